/**
 * What a start does instead of building an index: bring heads up to the end of `log`.
 *
 * Heads on disk are as of their watermark; the records after it are walked once and their keys enter the active layer. That part is bounded by the flush
 * policy, so a start takes as long with five million keys as with five thousand.
 */
import { BackendError, type BackendReader } from './backend/backend.ts';
import type { HeadEntry } from './head-entry.ts';
import { isLongKey } from './key-codec.ts';
import { emptyKeyValueParts, readKeyValue } from './key-value.ts';
import { emptyRecordHeader, readRecordHeader } from './log-record.ts';
import type { ReadView } from './read/view.ts';
import { type AppliedState, FORMAT, type HeadsState, hasProgress } from './state.ts';

export function checkFormat(applied: AppliedState, heads: HeadsState): void {
  if (applied.format !== FORMAT) {
    throw new BackendError('FORMAT', `the store has format ${applied.format}, this version reads ${FORMAT}`);
  }
  if (heads.watermark > applied.revision) {
    throw new BackendError('CORRUPTED', 'heads are newer than the records they point to');
  }
}

/** @returns how many records were walked */
export function walkTail(view: ReadView, reader: BackendReader, heads: HeadsState): number {
  // After a flush that was cut off, what the heads on disk say is not what they said at the watermark.
  const interrupted = hasProgress(reader);
  const layer = view.heads.active;
  const header = emptyRecordHeader();
  const parts = emptyKeyValueParts();
  const pending: { key: Uint8Array; head: HeadEntry }[] = [];
  let walked = 0;
  let from = { main: heads.watermark + 1, sub: 0 };
  // Looking at heads inside a scan is not allowed, so an interrupted start goes in batches.
  for (let more = true; more; ) {
    more = false;
    view.records.walk(from.main, from.sub, view.revision, (main, sub, frame) => {
      const { bytes, start, end } = frame;
      if (interrupted && pending.length === 1024) {
        from = { main, sub };
        more = true;
        return false;
      }
      walked++;
      readRecordHeader(bytes, start, header);
      readKeyValue(bytes, header.keyValueStart, end, parts);
      const key = bytes.subarray(parts.keyStart, parts.keyEnd);
      if (isLongKey(key)) view.longKeys = true;
      const head: HeadEntry = {
        main,
        sub,
        createRevision: parts.createRevision,
        version: parts.version,
        lease: parts.lease,
        tombstone: header.tombstone,
        past: header.past,
        depth: header.depth,
        jumpMain: header.jumpMain,
        jumpSub: header.jumpSub,
      };
      if (interrupted) {
        pending.push({ key: key.slice(), head });
        return true;
      }
      let entry = layer.find(key);
      // The first record after the watermark tells what was there: a delete or a later version means a live key.
      if (entry === -1) entry = layer.addOver(key, header.tombstone || parts.version > 1);
      layer.set(entry, head);
      return true;
    });
    for (const { key, head } of pending.splice(0)) layer.set(view.heads.touch(key), head);
  }
  return walked;
}
