/**
 * What a start does instead of building an index: bring heads up to the end of `log`.
 *
 * Heads on disk are as of their watermark; the records after it are walked once and their keys enter the active layer, which puts them in order when
 * all are there. That part is bounded by the flush policy, so a start takes as long with five million keys as with five thousand.
 */
import { BackendError, type BackendReader } from './backend/backend.ts';
import { compareBytes } from './bytes.ts';
import { emptyHeadEntry } from './head-entry.ts';
import { MAX_SHORT_KEY_BYTES } from './key-codec.ts';
import { emptyKeyValueParts, readKeyValue } from './key-value.ts';
import { emptyRecordHeader, readRecordHeader } from './log-record.ts';
import type { ReadView } from './read/view.ts';
import { type AppliedState, FORMAT, type HeadsProgress, type HeadsState, readProgress } from './state.ts';

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
  // A flush that a crash cut off has brought some keys further than the watermark.
  const cutOff = readProgress(reader);
  const layer = view.heads.active;
  const header = emptyRecordHeader();
  const parts = emptyKeyValueParts();
  const head = emptyHeadEntry();
  let walked = 0;
  layer.load(view.revision - heads.watermark, () => {
    view.records.walk(heads.watermark + 1, 0, view.revision, (main, sub, { bytes, start, end }) => {
      walked++;
      readRecordHeader(bytes, start, header);
      readKeyValue(bytes, header.keyValueStart, end, parts);
      const { keyStart, keyEnd } = parts;
      if (keyEnd - keyStart > MAX_SHORT_KEY_BYTES) view.longKeys = true;
      if (cutOff.length > 0 && main <= watermarkOf(bytes.subarray(keyStart, keyEnd), cutOff)) return true;
      // The first record after what is on disk tells what is there: a delete or a later version means a live key.
      const entry = layer.loadEntry(bytes, keyStart, keyEnd, header.tombstone || parts.version > 1);
      head.main = main;
      head.sub = sub;
      head.createRevision = parts.createRevision;
      head.version = parts.version;
      head.lease = parts.lease;
      head.tombstone = header.tombstone;
      head.past = header.past;
      head.depth = header.depth;
      head.jumpMain = header.jumpMain;
      head.jumpSub = header.jumpSub;
      layer.set(entry, head);
      return true;
    });
  });
  return walked;
}

/** Up to which revision flushes that were cut off brought `key`; 0: none came to it. */
function watermarkOf(key: Uint8Array, cutOff: readonly HeadsProgress[]): number {
  for (const { below, watermark } of cutOff) if (compareBytes(key, below) < 0) return watermark;
  return 0;
}
