/**
 * Which leaf a key belongs to: the first keys of all leaves but the first, as numbers beside each other.
 *
 *     separators  /pods/web-0042  /pods/web-0188  /pods/web-0307      in common: `/pods/web-0`
 *     words             "042"           "188"           "307"         five bytes each (`KeyArena.word`)
 *
 * A search goes over words, a few kilobytes, and looks at keys only where words are equal. It first compares what all separators have in common:
 * a key that differs there lies before or after all of them.
 */
import type { KeyArena } from './key-arena.ts';
import { keyWord } from './key-arena.ts';

export class Separators {
  readonly #keys: KeyArena;
  #entries = new Int32Array(64);
  #words = new Float64Array(64);
  #count = 0;
  #common = 0;

  constructor(keys: KeyArena) {
    this.#keys = keys;
  }

  /** Adds `entry`, whose key is above those of `at` separators. */
  insert(at: number, entry: number): void {
    if (this.#count === this.#entries.length) this.#grow();
    this.#entries.copyWithin(at + 1, at, this.#count);
    this.#words.copyWithin(at + 1, at, this.#count);
    this.#entries[at] = entry;
    this.#count++;
    const key = this.#keys.key(entry);
    const common =
      this.#count === 1
        ? key.length
        : this.#keys.agree(this.#entries[at === 0 ? 1 : 0]!, key, 0, this.#common);
    if (common === this.#common) {
      this.#words[at] = this.#keys.word(entry, common);
      return;
    }
    this.#common = common;
    for (let i = 0; i < this.#count; i++) this.#words[i] = this.#keys.word(this.#entries[i]!, common);
  }

  /** How many separators are at or below `key`. */
  below(key: Uint8Array): number {
    const count = this.#count;
    if (count === 0) return 0;
    const common = this.#common;
    const keys = this.#keys;
    if (keys.agree(this.#entries[0]!, key, 0, common) < common) {
      return keys.compare(this.#entries[0]!, key) < 0 ? count : 0;
    }
    const word = keyWord(key, 0, key.length, common);
    const words = this.#words;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[middle]! < word) low = middle + 1;
      else high = middle;
    }
    if (low === count || words[low]! > word) return low;
    for (high = low + 1; high < count && words[high] === word; ) high++;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (keys.compareFrom(this.#entries[middle]!, key, common) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Bytes that all keys between separator `at - 1` and separator `at` have in common at least. */
  commonBetween(at: number): number {
    if (at === 0 || at === this.#count) return 0;
    const key = this.#keys.key(this.#entries[at]!);
    return this.#keys.agree(this.#entries[at - 1]!, key, this.#common, key.length);
  }

  #grow(): void {
    const entries = new Int32Array(this.#entries.length * 2);
    entries.set(this.#entries);
    this.#entries = entries;
    const words = new Float64Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
  }
}
