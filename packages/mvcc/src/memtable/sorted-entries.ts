/**
 * Entry numbers in key order, put in order where somebody asks for it.
 *
 *   leaves (each begins with its least key)     [ sorted ........ | tail, as they came ]  [ sorted ... | tail ]
 *
 * A new entry is appended to the tail of its leaf, found among the first keys of leaves (`separators.ts`). A tail
 * is put in its place when the order of its leaf matters: when a scan or the edge of a range comes by, or when the leaf is full and splits
 * (`sort-keys.ts`). So a store that is only written pays for an order once in a while for hundreds of entries together, and a turn never sorts more than the leaves
 * that it reads.
 *
 * Every entry has a *delta* (-1, 0 or 1: what it changes in the number of live keys), and a leaf knows the sum of its own, so that the
 * delta of a range costs time in proportion to the leaves it covers.
 */
import type { KeyArena } from './key-arena.ts';
import { Separators } from './separators.ts';
import { sortAll } from './sort-all.ts';
import { KeySorter, MAX_SORTED } from './sort-keys.ts';

const LEAF_ENTRIES = MAX_SORTED;
/** A tail up to this length goes in its place one by one; a longer one is sorted together with its leaf. */
const SHORT_TAIL = 32;
/** What `around` gives: a part of a leaf that begins at a multiple of this. */
const NEIGHBOURS = 128;
/** Entries of a leaf that is built in bulk: room for those to come. */
const BUILT_ENTRIES = 384;

interface Leaf {
  readonly entries: Int32Array;
  count: number;
  /** So many from the beginning are in order. The first is the least of all, in every leaf but the first. */
  sorted: number;
  delta: number;
}

export class SortedEntries {
  readonly #leaves: Leaf[] = [emptyLeaf()];
  readonly #keys: KeyArena;
  readonly #separators: Separators;
  readonly #sorter: KeySorter;
  readonly #deltaOf: (entry: number) => number;
  /** The entry inserted last and where it is: its delta often changes at once. -1: not known. */
  #lastEntry = -1;
  #lastLeaf = 0;

  constructor(keys: KeyArena, deltaOf: (entry: number) => number) {
    this.#keys = keys;
    this.#separators = new Separators(keys);
    this.#sorter = new KeySorter(keys);
    this.#deltaOf = deltaOf;
  }

  /** Takes entries 0 to `count - 1`, with the deltas they have, in place of what is here: nothing yet. */
  build(count: number): void {
    const entries = new Int32Array(count);
    for (let entry = 0; entry < count; entry++) entries[entry] = entry;
    sortAll(this.#keys, entries);
    for (let from = 0; from < count; from += BUILT_ENTRIES) {
      const leaf = from === 0 ? this.#leaves[0]! : emptyLeaf();
      leaf.entries.set(entries.subarray(from, from + BUILT_ENTRIES));
      leaf.count = leaf.sorted = Math.min(BUILT_ENTRIES, count - from);
      leaf.delta = this.#sumOf(leaf, 0, leaf.count);
      if (from === 0) continue;
      this.#separators.insert(this.#leaves.length - 1, entries[from]!);
      this.#leaves.push(leaf);
    }
  }

  /** Adds `entry` with key `key`, which is not here yet and whose delta is 0. */
  insert(entry: number, key: Uint8Array): void {
    const leafIndex = this.#leafFor(key);
    const leaf = this.#leaves[leafIndex]!;
    leaf.entries[leaf.count++] = entry;
    this.#lastEntry = entry;
    this.#lastLeaf = leafIndex;
    if (leaf.count === LEAF_ENTRIES) this.#split(leafIndex);
  }

  /** Tells that the delta of `entry`, whose key is `key`, changed by `change`. */
  changeDelta(entry: number, key: Uint8Array, change: number): void {
    const leafIndex = entry === this.#lastEntry ? this.#lastLeaf : this.#leafFor(key);
    this.#leaves[leafIndex]!.delta += change;
  }

  /** @returns the entry with key `key`, or -1 */
  find(key: Uint8Array): number {
    const leaf = this.#ordered(this.#leafFor(key));
    const at = this.#lowerBound(leaf, key);
    if (at === leaf.count) return -1;
    const entry = leaf.entries[at]!;
    return this.#keys.compare(entry, key) === 0 ? entry : -1;
  }

  /** Visits entries from `low` on in order until `visit` returns false. */
  scan(low: Uint8Array, visit: (entry: number) => boolean): void {
    let leafIndex = this.#leafFor(low);
    let at = this.#lowerBound(this.#ordered(leafIndex), low);
    for (; leafIndex < this.#leaves.length; leafIndex++, at = 0) {
      const leaf = this.#ordered(leafIndex);
      for (; at < leaf.count; at++) if (!visit(leaf.entries[at]!)) return;
    }
  }

  /** Entries at or below `key` and above it, with about `NEIGHBOURS` between them; null where there are none. */
  around(key: Uint8Array): { low: number | null; high: number | null } {
    const leafIndex = this.#leafFor(key);
    const leaf = this.#ordered(leafIndex);
    const at = this.#lowerBound(leaf, key);
    const here = at < leaf.count && this.#keys.compare(leaf.entries[at]!, key) === 0;
    const below = here ? at : at - 1;
    const from = below - (below % NEIGHBOURS);
    const next = from + NEIGHBOURS;
    const high = next < leaf.count ? leaf.entries[next] : this.#leaves[leafIndex + 1]?.entries[0];
    return { low: below < 0 ? null : leaf.entries[from]!, high: high ?? null };
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
      const leaf = this.#ordered(last);
      const end = this.#lowerBound(leaf, bound);
      // From the nearer end.
      if (end <= leaf.count / 2) return sum + this.#sumOf(leaf, 0, end);
      return sum + leaf.delta - this.#sumOf(leaf, end, leaf.count);
    }
    return sum;
  }

  #sumOf(leaf: Leaf, from: number, to: number): number {
    let sum = 0;
    for (let i = from; i < to; i++) sum += this.#deltaOf(leaf.entries[i]!);
    return sum;
  }

  /** Puts the tail of a leaf in its place. */
  #ordered(leafIndex: number): Leaf {
    const leaf = this.#leaves[leafIndex]!;
    if (leaf.sorted < leaf.count) this.#order(leaf, leafIndex);
    return leaf;
  }

  #order(leaf: Leaf, leafIndex: number): void {
    const { entries, count } = leaf;
    if (count - leaf.sorted > SHORT_TAIL) {
      this.#sorter.sort(entries, count, this.#separators.commonBetween(leafIndex));
      leaf.sorted = count;
      return;
    }
    while (leaf.sorted < count) {
      const entry = entries[leaf.sorted]!;
      const at = this.#lowerBound(leaf, this.#keys.key(entry));
      entries.copyWithin(at + 1, at, leaf.sorted);
      entries[at] = entry;
      leaf.sorted++;
    }
  }

  /** The last leaf whose first key is not above the wanted one: the only one that can hold it. */
  #leafFor(key: Uint8Array): number {
    return this.#separators.below(key);
  }

  /**
   * Place of `key` in the sorted part of its leaf. Remembers how many bytes the key has in common with the greatest key known to be below it and the least
   * known to be above: every key between them shares the lesser number, and is compared from there.
   */
  #lowerBound(leaf: Leaf, key: Uint8Array): number {
    let low = 0;
    let high = leaf.sorted;
    let below = 0;
    let above = 0;
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
    const leaf = this.#ordered(leafIndex);
    const half = LEAF_ENTRIES / 2;
    const right = emptyLeaf();
    right.entries.set(leaf.entries.subarray(half, leaf.count));
    right.count = right.sorted = leaf.count - half;
    leaf.count = leaf.sorted = half;
    right.delta = this.#sumOf(right, 0, right.count);
    leaf.delta -= right.delta;
    this.#leaves.splice(leafIndex + 1, 0, right);
    this.#separators.insert(leafIndex, right.entries[0]!);
    this.#lastEntry = -1;
  }
}

function emptyLeaf(): Leaf {
  return { entries: new Int32Array(LEAF_ENTRIES), count: 0, sorted: 0, delta: 0 };
}
