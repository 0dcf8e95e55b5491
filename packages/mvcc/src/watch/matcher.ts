/**
 * Which watches want a key: a hash map for single keys, an interval tree for ranges.
 *
 * Watches of one and the same range share one entry, so a thousand watches of a prefix are one interval. The cost of
 * a look-up is one hash, about log(distinct ranges), and the hits; never the number of watches.
 */
import { assert } from '../assert.ts';
import { type Interval, IntervalTree } from './interval-tree.ts';
import type { Watch } from './watch.ts';

/** All watches of one range in one matcher. */
export class WatchEntry implements Interval {
  readonly low: string;
  readonly high: string | null;
  readonly single: boolean;
  /** In no order; a watch knows its slot. */
  readonly watches: Watch[] = [];

  constructor(low: string, high: string | null, single: boolean) {
    this.low = low;
    this.high = high;
    this.single = single;
  }
}

export class Matcher {
  readonly #singles = new Map<string, WatchEntry>();
  readonly #ranges = new Map<string, WatchEntry>();
  readonly #tree: IntervalTree<WatchEntry>;
  #size = 0;

  constructor(randomInt: (bound: number) => number) {
    this.#tree = new IntervalTree(randomInt);
  }

  /** Number of watches. */
  get size(): number {
    return this.#size;
  }

  add(watch: Watch): void {
    assert(watch.entry === null, 'a watch is in one matcher at a time');
    const entry = watch.single ? this.#singleEntry(watch) : this.#rangeEntry(watch);
    watch.entry = entry;
    watch.slot = entry.watches.length;
    entry.watches.push(watch);
    this.#size += 1;
  }

  delete(watch: Watch): void {
    const { entry, slot } = watch;
    assert(entry !== null && entry.watches[slot] === watch, 'a watch to remove is in its slot');
    const last = entry.watches.pop()!;
    if (last !== watch) {
      entry.watches[slot] = last;
      last.slot = slot;
    }
    watch.entry = null;
    this.#size -= 1;
    if (entry.watches.length > 0) return;
    if (entry.single) {
      this.#singles.delete(entry.low);
    } else {
      this.#ranges.delete(rangeName(entry));
      this.#tree.delete(entry);
    }
  }

  /** Appends the entries whose range holds `key` (latin1 text) to `hits`. */
  match(key: string, hits: WatchEntry[]): void {
    const single = this.#singles.get(key);
    if (single !== undefined) hits.push(single);
    if (this.#tree.size > 0) this.#tree.stab(key, hits);
  }

  /** Visits every watch; `visit` must not change the matcher. */
  forEach(visit: (watch: Watch) => void): void {
    for (const entry of this.#singles.values()) entry.watches.forEach(visit);
    for (const entry of this.#ranges.values()) entry.watches.forEach(visit);
  }

  #singleEntry(watch: Watch): WatchEntry {
    let entry = this.#singles.get(watch.low);
    if (entry === undefined) {
      entry = new WatchEntry(watch.low, null, true);
      this.#singles.set(watch.low, entry);
    }
    return entry;
  }

  #rangeEntry(watch: Watch): WatchEntry {
    const name = rangeName(watch);
    let entry = this.#ranges.get(name);
    if (entry === undefined) {
      entry = new WatchEntry(watch.low, watch.high, false);
      this.#ranges.set(name, entry);
      this.#tree.add(entry);
    }
    return entry;
  }
}

/** Injective: the length says where the start ends. */
function rangeName(range: Interval): string {
  return range.high === null ? `*${range.low}` : `${range.low.length}:${range.low}${range.high}`;
}
