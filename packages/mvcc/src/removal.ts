/**
 * Physical removal of what compaction made unreachable, in resumable slices.
 *
 * Compaction itself is one number: reads below the compact revision C are refused from the moment it is set, and nothing below decides by whether a
 * record is still there. Removal then walks `log` once over [previous C, C]. One key through it:
 *
 *   revision      2     4     6     7     9
 *   key a         put   put         del   put
 *
 *   compact 5   walks 2..5: 4's predecessor 2 dies. Left: 4, 7, 9. Readable from 5 on: 4 is what a is at 5 and 6.
 *   compact 7   walks 5..7: 7's predecessor 4 dies. 7 is a tombstone exactly at C and stays: a watch may start at 7 and must see it.
 *   compact 8   walks 7..8: 7 is a tombstone below C and dies. 9 points to it: a missing record at or below C ends the chain.
 *
 * So: each record's predecessor dies when it lies below C, and a tombstone below C dies with its grave. What lies exactly at C is kept
 * whole, also when one transaction changed a key twice. The walk includes the previous C, where such records may have stayed.
 * Work is in proportion to [previous C, C], never to the store.
 */
import type { BackendTransaction } from './backend/backend.ts';
import { copyBytes } from './bytes.ts';
import { readHeadEntry } from './head-entry.ts';
import { BucketTransaction } from './key-codec.ts';
import { emptyKeyValueParts, readKeyValue } from './key-value.ts';
import { emptyRecordHeader, readRecordHeader } from './log-record.ts';
import { readMain, readSub, revisionKey } from './revision.ts';
import type { RemovalState } from './state.ts';
import { GRAVES, LOG } from './tables.ts';

/**
 * Looks at up to `maxRecords` records and removes what they supersede. `head` and `graves` must hold everything up to `target`.
 * @returns where to go on; `target` 0 when finished
 */
export function removeSlice(
  transaction: BackendTransaction,
  state: RemovalState,
  target: number,
  maxRecords: number,
): RemovalState {
  const resuming = state.target === target;
  const fromMain = resuming ? state.fromMain : Math.max(0, state.finished);
  const fromSub = resuming ? state.fromSub : 0;
  const dead: Uint8Array[] = [];
  const graves: { key: Uint8Array; main: number; sub: number }[] = [];
  const header = emptyRecordHeader();
  const parts = emptyKeyValueParts();
  let looked = 0;
  let next: { main: number; sub: number } | null = null;
  const range = { low: revisionKey(fromMain, fromSub), high: revisionKey(target + 1, 0) };
  transaction.scan(LOG, range, (key, value) => {
    const main = readMain(key, 0);
    const sub = readSub(key, 0);
    if (looked++ === maxRecords) {
      next = { main, sub };
      return false;
    }
    readRecordHeader(value, 0, header);
    if (header.previousMain !== 0 && header.previousMain < target) {
      dead.push(revisionKey(header.previousMain, header.previousSub));
    }
    if (header.tombstone && main < target) {
      dead.push(copyBytes(key));
      readKeyValue(value, header.keyValueStart, value.length, parts);
      graves.push({ key: copyBytes(value.subarray(parts.keyStart, parts.keyEnd)), main, sub });
    }
    return true;
  });
  for (const key of dead) transaction.remove(LOG, key);
  const buckets = new BucketTransaction(transaction);
  for (const grave of graves) {
    const bytes = GRAVES.get(buckets, grave.key);
    if (bytes === undefined) continue;
    const entry = readHeadEntry(bytes, true);
    if (entry.main === grave.main && entry.sub === grave.sub) GRAVES.remove(buckets, grave.key);
  }
  buckets.settle();
  const at = next as { main: number; sub: number } | null;
  if (at === null) return { finished: target, target: 0, fromMain: 0, fromSub: 0 };
  return { finished: state.finished, target, fromMain: at.main, fromSub: at.sub };
}
