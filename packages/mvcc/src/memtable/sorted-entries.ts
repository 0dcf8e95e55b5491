/**
 * Entry numbers in key order, with a running sum per leaf.
 *
 * A list of leaves of up to 128 numbers each. Finding a place is two binary searches; a new entry moves at most one leaf. Every entry has a *delta*
 * (-1, 0 or 1: what it changes in the number of live keys), and a leaf knows the sum of its own, so that the delta of a range
 * costs time in proportion to the leaves it covers.
 */
const LEAF_ENTRIES = 128;

interface Leaf {
  readonly entries: Int32Array;
  count: number;
  delta: number;
}

/** Compares the key of entry `entry` with some key: below 0 when the entry's is less. */
export type EntryCompare = (entry: number) => number;

export class SortedEntries {
  #leaves: Leaf[] = [{ entries: new Int32Array(LEAF_ENTRIES), count: 0, delta: 0 }];
  readonly #deltaOf: (entry: number) => number;

  constructor(deltaOf: (entry: number) => number) {
    this.#deltaOf = deltaOf;
  }

  /** Adds `entry`, whose key is not here yet and whose delta is 0. */
  insert(entry: number, compare: EntryCompare): void {
    const leafIndex = this.#leafFor(compare);
    const leaf = this.#leaves[leafIndex]!;
    const at = lowerBound(leaf, compare);
    leaf.entries.copyWithin(at + 1, at, leaf.count);
    leaf.entries[at] = entry;
    leaf.count++;
    if (leaf.count === LEAF_ENTRIES) this.#split(leafIndex);
  }

  /** Tells that the delta of the entry found by `compare` changed by `change`. */
  changeDelta(compare: EntryCompare, change: number): void {
    this.#leaves[this.#leafFor(compare)]!.delta += change;
  }

  /** @returns the entry that compares equal, or -1 */
  find(compare: EntryCompare): number {
    const leaf = this.#leaves[this.#leafFor(compare)]!;
    const at = lowerBound(leaf, compare);
    if (at === leaf.count) return -1;
    const entry = leaf.entries[at]!;
    return compare(entry) === 0 ? entry : -1;
  }

  /** Visits entries at or above `low` in order until `visit` returns false. */
  scan(low: EntryCompare, visit: (entry: number) => boolean): void {
    let leafIndex = this.#leafFor(low);
    let at = lowerBound(this.#leaves[leafIndex]!, low);
    for (; leafIndex < this.#leaves.length; leafIndex++, at = 0) {
      const leaf = this.#leaves[leafIndex]!;
      for (; at < leaf.count; at++) if (!visit(leaf.entries[at]!)) return;
    }
  }

  /** Sum of deltas in `[low, high)`; null: no bound. */
  deltaBetween(low: EntryCompare | null, high: EntryCompare | null): number {
    return this.#deltaBelow(high) - (low === null ? 0 : this.#deltaBelow(low));
  }

  #deltaBelow(bound: EntryCompare | null): number {
    const last = bound === null ? this.#leaves.length : this.#leafFor(bound);
    let sum = 0;
    for (let i = 0; i < last; i++) sum += this.#leaves[i]!.delta;
    if (bound !== null) {
      const leaf = this.#leaves[last]!;
      const end = lowerBound(leaf, bound);
      for (let i = 0; i < end; i++) sum += this.#deltaOf(leaf.entries[i]!);
    }
    return sum;
  }

  /** The last leaf whose first key is not above the wanted one: the only one that can hold it. */
  #leafFor(compare: EntryCompare): number {
    let low = 1;
    let high = this.#leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(this.#leaves[middle]!.entries[0]!) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
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

function lowerBound(leaf: Leaf, compare: EntryCompare): number {
  let low = 0;
  let high = leaf.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(leaf.entries[middle]!) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
