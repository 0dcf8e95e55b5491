/**
 * Entry numbers in key order, with a running sum per leaf.
 *
 * A list of leaves of up to 128 numbers each. Finding a place is two binary searches; a new entry moves at most one leaf. Every entry has a *delta*
 * (-1, 0 or 1: what it changes in the number of live keys), and a leaf knows the sum of its own, so that the delta of a range
 * costs time in proportion to the leaves it covers.
 *
 * Keys of one store share long beginnings ("/registry/pods/..."). A search remembers how many bytes the wanted key has in common with the
 * greatest key known to be below it and the least known to be above: every key between them shares the lesser number, and is compared from there.
 */
import type { KeyArena } from './key-arena.ts';

const LEAF_ENTRIES = 128;

interface Leaf {
  readonly entries: Int32Array;
  count: number;
  delta: number;
}

export class SortedEntries {
  #leaves: Leaf[] = [{ entries: new Int32Array(LEAF_ENTRIES), count: 0, delta: 0 }];
  readonly #keys: KeyArena;
  readonly #deltaOf: (entry: number) => number;
  /** Common bytes of the wanted key with its neighbours so far, left by `#leafFor` for `#lowerBound`. */
  #commonBelow = 0;
  #commonAbove = 0;

  constructor(keys: KeyArena, deltaOf: (entry: number) => number) {
    this.#keys = keys;
    this.#deltaOf = deltaOf;
  }

  /** Adds `entry` with key `key`, which is not here yet and whose delta is 0. */
  insert(entry: number, key: Uint8Array): void {
    const leafIndex = this.#leafFor(key);
    const leaf = this.#leaves[leafIndex]!;
    const at = this.#lowerBound(leaf, key);
    leaf.entries.copyWithin(at + 1, at, leaf.count);
    leaf.entries[at] = entry;
    leaf.count++;
    if (leaf.count === LEAF_ENTRIES) this.#split(leafIndex);
  }

  /** Tells that the delta of the entry with key `key` changed by `change`. */
  changeDelta(key: Uint8Array, change: number): void {
    this.#leaves[this.#leafFor(key)]!.delta += change;
  }

  /** @returns the entry with key `key`, or -1 */
  find(key: Uint8Array): number {
    const leaf = this.#leaves[this.#leafFor(key)]!;
    const at = this.#lowerBound(leaf, key);
    if (at === leaf.count) return -1;
    const entry = leaf.entries[at]!;
    return this.#keys.compare(entry, key) === 0 ? entry : -1;
  }

  /** Visits entries from `low` on in order until `visit` returns false. */
  scan(low: Uint8Array, visit: (entry: number) => boolean): void {
    let leafIndex = this.#leafFor(low);
    let at = this.#lowerBound(this.#leaves[leafIndex]!, low);
    for (; leafIndex < this.#leaves.length; leafIndex++, at = 0) {
      const leaf = this.#leaves[leafIndex]!;
      for (; at < leaf.count; at++) if (!visit(leaf.entries[at]!)) return;
    }
  }

  /** Bounds of the two or so leaves around `key`: entries there, null where there are none. */
  around(key: Uint8Array): { low: number | null; high: number | null } {
    const first = this.#leafFor(key) & ~1;
    const next = this.#leaves[first + 2];
    return { low: first === 0 ? null : this.#leaves[first]!.entries[0]!, high: next?.entries[0] ?? null };
  }

  /** Sum of deltas in `[low, high)`; null: no bound. */
  deltaBetween(low: Uint8Array, high: Uint8Array | null): number {
    return this.#deltaBelow(high) - this.#deltaBelow(low);
  }

  #deltaBelow(bound: Uint8Array | null): number {
    const last = bound === null ? this.#leaves.length : this.#leafFor(bound);
    let sum = 0;
    for (let i = 0; i < last; i++) sum += this.#leaves[i]!.delta;
    if (bound !== null) {
      const leaf = this.#leaves[last]!;
      const end = this.#lowerBound(leaf, bound);
      for (let i = 0; i < end; i++) sum += this.#deltaOf(leaf.entries[i]!);
    }
    return sum;
  }

  /** The last leaf whose first key is not above the wanted one: the only one that can hold it. */
  #leafFor(key: Uint8Array): number {
    const leaves = this.#leaves;
    let low = 1;
    let high = leaves.length;
    let below = 0;
    let above = 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const from = Math.min(below, above);
      if (this.#keys.compareFrom(leaves[middle]!.entries[0]!, key, from) <= 0) {
        low = middle + 1;
        below = this.#keys.common;
      } else {
        high = middle;
        above = this.#keys.common;
      }
    }
    this.#commonBelow = below;
    this.#commonAbove = above;
    return low - 1;
  }

  /** Place of `key` in the leaf that `#leafFor` has just found for it. */
  #lowerBound(leaf: Leaf, key: Uint8Array): number {
    let low = 0;
    let high = leaf.count;
    let below = this.#commonBelow;
    let above = this.#commonAbove;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const from = Math.min(below, above);
      if (this.#keys.compareFrom(leaf.entries[middle]!, key, from) < 0) {
        low = middle + 1;
        below = this.#keys.common;
      } else {
        high = middle;
        above = this.#keys.common;
      }
    }
    return low;
  }

  #split(leafIndex: number): void {
    const leaf = this.#leaves[leafIndex]!;
    const half = LEAF_ENTRIES / 2;
    const right: Leaf = { entries: new Int32Array(LEAF_ENTRIES), count: leaf.count - half, delta: 0 };
    right.entries.set(leaf.entries.subarray(half, leaf.count));
    leaf.count = half;
    for (let i = 0; i < right.count; i++) right.delta += this.#deltaOf(right.entries[i]!);
    leaf.delta -= right.delta;
    this.#leaves.splice(leafIndex + 1, 0, right);
  }
}
