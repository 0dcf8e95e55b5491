/**
 * Sorts entries by key, a few hundred at a time, with few looks at the keys.
 *
 * What all keys have in common is skipped. Of the next five bytes of each a number is made, in front of the entry's place, and plain numbers are sorted:
 *
 *     /pods/web-0042  place 0        2 * 257^4 + ...        * 512 + 0
 *     /pods/db        place 1        ^ 'd' + 1 = 101, 'b' + 1 = 99, then 0: the key has ended
 *
 * A byte counts one more than it is and an ended key counts 0, so that a key comes before those it begins (`keyWord`). Keys with equal numbers agree in
 * all five bytes (no two keys are the same), and are sorted in the same way by what follows.
 */
import { type KeyArena, WORD_BYTES } from './key-arena.ts';

/** Most entries of one sort: a number of 257^5 and a place below this are still exact. */
export const MAX_SORTED = 512;
/** Fewer are sorted by comparing them. */
const FEW = 8;

/** Numbers of the sort under way, from the beginning for the outermost; what is equal is sorted after all of it was read. */
const numbers = new Float64Array(MAX_SORTED);
const sources = new Int32Array(MAX_SORTED);

export class KeySorter {
  readonly #keys: KeyArena;

  constructor(keys: KeyArena) {
    this.#keys = keys;
  }

  /** Puts the first `count` of `entries`, whose keys agree in their first `from` bytes, in order. */
  sort(entries: Int32Array, count: number, from: number): void {
    this.#sort(entries, 0, count, from > 0 ? from : this.#common(entries, 0, count, 0));
  }

  #sort(entries: Int32Array, start: number, end: number, from: number): void {
    if (end - start <= FEW) this.#sortFew(entries, start, end);
    else {
      this.#sortByWord(entries, start, end, from);
      this.#sortEqual(entries, start, end, from);
    }
  }

  #sortRow(entries: Int32Array, start: number, end: number, from: number): void {
    if (end - start > 1) this.#sort(entries, start, end, this.#common(entries, start, end, from));
  }

  #common(entries: Int32Array, start: number, end: number, from: number): number {
    const keys = this.#keys;
    const first = keys.key(entries[start]!);
    let common = first.length;
    for (let i = start + 1; i < end && common > from; i++)
      common = keys.agree(entries[i]!, first, from, common);
    return common;
  }

  #sortByWord(entries: Int32Array, start: number, end: number, from: number): void {
    const count = end - start;
    for (let i = 0; i < count; i++) {
      const entry = entries[start + i]!;
      sources[i] = entry;
      numbers[i] = this.#keys.word(entry, from) * MAX_SORTED + i;
    }
    numbers.subarray(0, count).sort();
    for (let i = 0; i < count; i++) entries[start + i] = sources[numbers[i]! % MAX_SORTED]!;
  }

  /** Sorts each row of entries with the same number. */
  #sortEqual(entries: Int32Array, start: number, end: number, from: number): void {
    const keys = this.#keys;
    let row = start;
    let word = keys.word(entries[start]!, from);
    for (let i = start + 1; i <= end; i++) {
      const next = i === end ? -1 : keys.word(entries[i]!, from);
      if (next === word) continue;
      this.#sortRow(entries, row, i, from + WORD_BYTES);
      row = i;
      word = next;
    }
  }

  #sortFew(entries: Int32Array, start: number, end: number): void {
    for (let i = start + 1; i < end; i++) {
      const entry = entries[i]!;
      const key = this.#keys.key(entry);
      let at = i;
      for (; at > start && this.#keys.compare(entries[at - 1]!, key) > 0; at--)
        entries[at] = entries[at - 1]!;
      entries[at] = entry;
    }
  }
}
