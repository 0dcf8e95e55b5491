/**
 * Physical removal of what compaction made unreachable, in resumable passes of slices.
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
 *
 * A *pass* looks at up to a million records, notes what dies, and then removes it in order of revision:
 *
 *   look    2000 records, 2000 records, ...              nothing is written
 *   remove  2000 dead, 2000 dead, ... up to the last     each a transaction; where the pass began stays noted until its last one
 *
 * The dead of neighbouring records lie all over `log`, and a page of it holds about a dozen records: removed as they are found, each takes the writing of a
 * page, and in order a page is written once for all of its dead. A crash in a pass begins it anew. That finds what is left, since nothing is removed
 * before its predecessor, by which it would be found, is gone.
 */
import type { BackendTransaction } from './backend/backend.ts';
import { copyBytes } from './bytes.ts';
import { readHeadEntry } from './head-entry.ts';
import { BucketTransaction } from './key-codec.ts';
import { emptyKeyValueParts, readKeyValue } from './key-value.ts';
import { emptyRecordHeader, readRecordHeader } from './log-record.ts';
import { readMain, readSub, revisionKey } from './revision.ts';
import { RevisionSorter } from './revision-sorter.ts';
import type { RemovalState } from './state.ts';
import { GRAVES, LOG } from './tables.ts';

/** Records looked at in a pass: what is noted of them takes about 13 MB, and twice as much where all are deletions. */
export const PASS_RECORDS = 1 << 20;

export class RemovalPass {
  readonly target: number;
  readonly #finished: number;
  readonly #passRecords: number;
  /** Where the pass began. */
  readonly #from: { readonly main: number; readonly sub: number };
  /** Where the walk goes on; null: it reached the target. */
  #next: { main: number; sub: number } | null;
  #looked = 0;
  readonly #dead = new RevisionSorter();
  #sorted = false;
  #removed = 0;

  /** @param state as it is on disk. `head` and `graves` must hold everything up to `target` */
  constructor(state: RemovalState, target: number, passRecords: number) {
    const resuming = state.target === target;
    this.target = target;
    this.#finished = state.finished;
    this.#passRecords = passRecords;
    this.#from = resuming
      ? { main: state.fromMain, sub: state.fromSub }
      : { main: Math.max(0, state.finished), sub: 0 };
    this.#next = this.#from;
  }

  /** Whether it is known what dies, so that `remove` may be called. */
  get known(): boolean {
    return this.#next === null || this.#looked >= this.#passRecords;
  }

  /** Looks at up to `most` records. */
  look(transaction: Pick<BackendTransaction, 'scan'>, most: number): void {
    const { target } = this;
    const from = this.#next!;
    const end = Math.min(this.#passRecords, this.#looked + most);
    const header = emptyRecordHeader();
    this.#next = null;
    transaction.scan(
      LOG,
      { low: revisionKey(from.main, from.sub), high: revisionKey(target + 1, 0) },
      (key, value) => {
        const main = readMain(key, 0);
        const sub = readSub(key, 0);
        if (this.#looked === end) {
          this.#next = { main, sub };
          return false;
        }
        this.#looked++;
        readRecordHeader(value, 0, header);
        if (header.previousMain !== 0 && header.previousMain < target) {
          this.#dead.add(header.previousMain, header.previousSub);
        }
        if (header.tombstone && main < target) this.#dead.add(main, sub);
        return true;
      },
    );
  }

  /** Removes up to `most` of what dies. @returns where the removal is then; `target` 0 when it is finished */
  remove(transaction: BackendTransaction, most: number): RemovalState {
    const { target } = this;
    if (!this.#sorted) this.#dead.sort();
    this.#sorted = true;
    const end = Math.min(this.#dead.count, this.#removed + most);
    const buckets = new BucketTransaction(transaction);
    for (; this.#removed < end; this.#removed++) {
      const main = this.#dead.main(this.#removed);
      const sub = this.#dead.sub(this.#removed);
      const key = revisionKey(main, sub);
      removeGrave(transaction, buckets, key, main, sub);
      transaction.remove(LOG, key);
    }
    buckets.settle();
    const state = { finished: this.#finished, target };
    if (this.#removed < this.#dead.count)
      return { ...state, fromMain: this.#from.main, fromSub: this.#from.sub };
    const next = this.#next;
    if (next === null) return { finished: target, target: 0, fromMain: 0, fromSub: 0 };
    return { ...state, fromMain: next.main, fromSub: next.sub };
  }

  /** Whether all that it knew of is removed. */
  get ended(): boolean {
    return this.#sorted && this.#removed === this.#dead.count;
  }
}

/** A tombstone that is removed is the newest record of its key, or an older one: then the grave is not its own. */
function removeGrave(
  transaction: BackendTransaction,
  buckets: BucketTransaction,
  revision: Uint8Array,
  main: number,
  sub: number,
): void {
  const value = transaction.get(LOG, revision);
  if (value === undefined) return;
  const header = emptyRecordHeader();
  readRecordHeader(value, 0, header);
  if (!header.tombstone) return;
  const parts = emptyKeyValueParts();
  readKeyValue(value, header.keyValueStart, value.length, parts);
  const key = copyBytes(value.subarray(parts.keyStart, parts.keyEnd));
  const bytes = GRAVES.get(buckets, key);
  if (bytes === undefined) return;
  const entry = readHeadEntry(bytes, true);
  if (entry.main === main && entry.sub === sub) GRAVES.remove(buckets, key);
}
