/**
 * All keys of a layer in order at once: what a start does, which gets them in the order of their revisions.
 *
 * Six bytes of each key, behind what all have in common, are two numbers of three digits (`KeyArena.digits`). Places are dealt out by one digit
 * after the other, the last first, so that each round keeps the order of the one before:
 *
 *     21 13 11 22    by the last digit: 21 11 22 13    by the first: 11 13 21 22
 *
 * A digit that all keys share costs no round. Keys that agree in all six bytes are sorted in the same way by what follows, or by `KeySorter` where
 * they are few.
 */
import type { KeyArena } from './key-arena.ts';
import { KeySorter, MAX_SORTED } from './sort-keys.ts';

/** Bytes of a number, and of both. */
const NUMBER_BYTES = 3;
const BOTH_BYTES = 2 * NUMBER_BYTES;
const DIGIT_BITS = 9;
const DIGIT_MASK = (1 << DIGIT_BITS) - 1;

/** Puts `entries` in the order of their keys, no two of which are the same. */
export function sortAll(keys: KeyArena, entries: Int32Array): void {
  const few = new KeySorter(keys);
  const work = new Rounds(entries.length);
  const rows = entries.length > 1 ? [{ start: 0, end: entries.length, from: 0 }] : [];
  for (let row = rows.pop(); row !== undefined; row = rows.pop()) {
    const slice = entries.subarray(row.start, row.end);
    if (slice.length <= MAX_SORTED) {
      few.sort(slice, slice.length, row.from);
      continue;
    }
    const from = commonBytes(keys, slice, row.from);
    work.sort(keys, slice, from);
    const { start } = row;
    work.equalRows(slice.length, (first, end) => {
      rows.push({ start: start + first, end: start + end, from: from + BOTH_BYTES });
    });
  }
}

/** How many bytes all keys have in common, given that it is at least `from`. */
function commonBytes(keys: KeyArena, entries: Int32Array, from: number): number {
  const first = keys.key(entries[0]!);
  let common = first.length;
  for (let i = 1; i < entries.length && common > from; i++)
    common = keys.agree(entries[i]!, first, from, common);
  return common;
}

/** The rounds of one sort, and the memory for them. */
class Rounds {
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #counts = new Uint32Array(DIGIT_MASK + 1);
  #places: Int32Array;
  #dealt: Int32Array;

  constructor(most: number) {
    this.#high = new Uint32Array(most);
    this.#low = new Uint32Array(most);
    this.#places = new Int32Array(most);
    this.#dealt = new Int32Array(most);
  }

  /** By six bytes from byte `from` on. */
  sort(keys: KeyArena, entries: Int32Array, from: number): void {
    const count = entries.length;
    for (let i = 0; i < count; i++) {
      const entry = entries[i]!;
      this.#high[i] = keys.digits(entry, from);
      this.#low[i] = keys.digits(entry, from + NUMBER_BYTES);
      this.#places[i] = i;
    }
    for (const numbers of [this.#low, this.#high]) {
      for (let digit = 0; digit < NUMBER_BYTES; digit++) this.#round(numbers, count, digit * DIGIT_BITS);
    }
    const places = this.#places;
    const sorted = this.#dealt;
    for (let i = 0; i < count; i++) sorted[i] = entries[places[i]!]!;
    entries.set(sorted.subarray(0, count));
  }

  #round(numbers: Uint32Array, count: number, shift: number): void {
    const counts = this.#counts.fill(0);
    for (let i = 0; i < count; i++) counts[(numbers[i]! >>> shift) & DIGIT_MASK]!++;
    if (counts[(numbers[0]! >>> shift) & DIGIT_MASK] === count) return;
    for (let digit = 0, before = 0; digit <= DIGIT_MASK; digit++) {
      const here = counts[digit]!;
      counts[digit] = before;
      before += here;
    }
    const places = this.#places;
    const dealt = this.#dealt;
    for (let i = 0; i < count; i++) {
      const place = places[i]!;
      dealt[counts[(numbers[place]! >>> shift) & DIGIT_MASK]!++] = place;
    }
    this.#places = dealt;
    this.#dealt = places;
  }

  /** Visits rows of two and more that agreed in all six bytes, of the `count` sorted last. */
  equalRows(count: number, visit: (start: number, end: number) => void): void {
    const places = this.#places;
    const differs = (a: number, b: number): boolean =>
      this.#low[a] !== this.#low[b] || this.#high[a] !== this.#high[b];
    for (let i = 1, start = 0; i <= count; i++) {
      if (i < count && !differs(places[i]!, places[i - 1]!)) continue;
      if (i - start > 1) visit(start, i);
      start = i;
    }
  }
}
