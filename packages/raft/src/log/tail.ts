/**
 * The newest entries, in memory.
 *
 * A run of entries without gaps, `[firstIndex, nextIndex)`. The log decides what may be dropped from its front; see
 * `raft-log.ts`. Alongside each entry goes a running sum of bytes, so that the size of any stretch is one
 * subtraction:
 *
 *     index     5     6     7
 *     bytes    10     4     6
 *     #sums    10    14    20       bytes of (5, 7] = 20 - 10
 */
import { assert } from '../errors.ts';
import { type Entry, EntryType } from '../types.ts';

/** Takes the place of a dropped entry until the arrays are cut, so that its data can be collected at once. */
const DROPPED: Entry = { index: 0, term: 0, type: EntryType.normal, data: new Uint8Array(0) };

export class Tail {
  #entries: Entry[] = [];
  #sums: number[] = [];
  /** Entries before this position are dropped; the arrays are cut from time to time, not each time. */
  #start = 0;
  #firstIndex: number;
  /** Running sum at the entry before `firstIndex`. */
  #baseSum = 0;

  constructor(firstIndex: number) {
    this.#firstIndex = firstIndex;
  }

  get firstIndex(): number {
    return this.#firstIndex;
  }

  /** Index after the last entry; equal to `firstIndex` when empty. */
  get nextIndex(): number {
    return this.#firstIndex + this.#entries.length - this.#start;
  }

  get bytes(): number {
    return this.bytesAfter(this.#firstIndex - 1);
  }

  has(index: number): boolean {
    return index >= this.#firstIndex && index < this.nextIndex;
  }

  at(index: number): Entry {
    const entry = this.#entries[this.#start + index - this.#firstIndex];
    assert(entry !== undefined, 'tail: the entry is in memory', index);
    return entry;
  }

  /** Bytes of all entries after `index`; entries no longer in memory count nothing. */
  bytesAfter(index: number): number {
    const last = this.#sums[this.#sums.length - 1] ?? this.#baseSum;
    if (this.#entries.length === this.#start) return 0;
    if (index < this.#firstIndex) return last - this.#baseSum;
    if (index >= this.nextIndex) return 0;
    return last - this.#sums[this.#start + index - this.#firstIndex]!;
  }

  /** Adds an entry at `nextIndex`. */
  push(entry: Entry): void {
    assert(entry.index === this.nextIndex, 'tail: entries follow each other', entry.index, this.nextIndex);
    const last = this.#sums[this.#sums.length - 1] ?? this.#baseSum;
    this.#entries.push(entry);
    this.#sums.push(last + entry.data.byteLength);
  }

  /** Drops `index` and everything after it. */
  truncateFrom(index: number): void {
    assert(index >= this.#firstIndex, 'tail: what is truncated is in memory', index, this.#firstIndex);
    const keep = Math.min(this.#start + index - this.#firstIndex, this.#entries.length);
    this.#entries.length = keep;
    this.#sums.length = keep;
    // The base stays in `#sums[#start - 1]` when all that is left is dropped entries.
    if (keep === this.#start) this.restartAt(index);
  }

  /** Drops entries from the front, up to and including `limitIndex`, until at most `maxBytes` remain. */
  dropFront(limitIndex: number, maxBytes: number): void {
    let excess = this.bytes - maxBytes;
    while (excess > 0 && this.#firstIndex <= limitIndex && this.#start < this.#entries.length) {
      excess -= this.#entries[this.#start]!.data.byteLength;
      this.#baseSum = this.#sums[this.#start]!;
      this.#entries[this.#start] = DROPPED;
      this.#start += 1;
      this.#firstIndex += 1;
    }
    if (this.#start > 1024 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#sums = this.#sums.slice(this.#start);
      this.#start = 0;
    }
  }

  /** Empties it; the next entry is `firstIndex`. */
  restartAt(firstIndex: number): void {
    this.#entries = [];
    this.#sums = [];
    this.#start = 0;
    this.#firstIndex = firstIndex;
    this.#baseSum = 0;
  }

  /** Entries in `[low, high)`, at least one when there is one, no more than `maxBytes` unless the first is larger. */
  slice(low: number, high: number, maxBytes: number): readonly Entry[] {
    const first = this.#start + low - this.#firstIndex;
    const end = this.#start + Math.min(high, this.nextIndex) - this.#firstIndex;
    if (first >= end) return [];
    const before = first === this.#start ? this.#baseSum : this.#sums[first - 1]!;
    if (this.#sums[end - 1]! - before <= maxBytes) return this.#entries.slice(first, end);
    let stop = first + 1;
    while (stop < end && this.#sums[stop]! - before <= maxBytes) stop += 1;
    return this.#entries.slice(first, stop);
  }
}
