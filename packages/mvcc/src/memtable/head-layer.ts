/**
 * Newest records of keys whose `head` or `graves` entry on disk is older: one layer over the layer (or tables) below.
 *
 * Fields lie in typed arrays by entry number; a key costs about 100 bytes and no object. An entry that was only touched equals
 * what lies below (it is *clean*) and is never flushed. `baseLive` tells whether the key is live below, so that the sum of
 * (live here) - (live below) over a range is what this layer changes in a count of it.
 */
import type { HeadEntry } from '../head-entry.ts';
import { KeyArena, UNKNOWN } from './key-arena.ts';
import { SortedEntries } from './sorted-entries.ts';

const LIVE = 1;
const TOMBSTONE = 2;
const BASE_LIVE = 4;
const DIRTY = 8;
const PAST = 16;

/** What an entry costs besides its key: fields, hash slots, place in the order. */
const ENTRY_BYTES = 110;
/** Entries that room is made for before they come: whoever expects more may be wrong. */
const MAX_RESERVED = 1 << 18;

export class HeadLayer {
  readonly #keys = new KeyArena();
  readonly #order = new SortedEntries(this.#keys, (entry) => this.#delta(entry));
  readonly #leases = new Map<bigint, Set<number>>();
  #dirtyCount = 0;
  /** Inside `load`: there is no order yet. */
  #loading = false;
  #flags = new Uint8Array(256);
  #main = new Float64Array(256);
  #sub = new Uint32Array(256);
  #create = new Float64Array(256);
  #version = new Float64Array(256);
  #lease = new BigInt64Array(256);
  #depth = new Uint32Array(256);
  #jumpMain = new Float64Array(256);
  #jumpSub = new Uint32Array(256);

  /** Keys that differ from the layer below. */
  get dirtyCount(): number {
    return this.#dirtyCount;
  }

  get count(): number {
    return this.#keys.count;
  }

  get bytes(): number {
    return this.#keys.bytes + this.#keys.count * ENTRY_BYTES;
  }

  /** @returns the entry of `key`, or -1 */
  find(key: Uint8Array): number {
    const entry = this.#keys.find(key);
    if (entry !== UNKNOWN) return entry;
    return this.#order.find(key);
  }

  /** Makes room for `count` entries: growing by and by means copying all of them in one turn, again and again. */
  reserve(count: number): void {
    this.#keys.reserve(count);
    if (count > this.#flags.length) this.#grow(2 ** Math.ceil(Math.log2(count)));
  }

  /**
   * Entries that `fill` adds with `loadEntry`, and changes, get their order at its end, all of them at once. For a layer that is empty and that nobody
   * else looks at meanwhile.
   * @param expected about how many entries
   */
  load(expected: number, fill: () => void): void {
    this.reserve(Math.min(expected, MAX_RESERVED));
    this.#loading = true;
    fill();
    this.#endLoad();
  }

  #endLoad(): void {
    if (!this.#loading) return;
    this.#loading = false;
    this.#order.build(this.#keys.count);
  }

  /**
   * Inside `load`: the entry of the key in `[start, end)` of `source`; `set` must follow. One that is added has of what lies below only the liveness.
   */
  loadEntry(source: Uint8Array, start: number, end: number, liveBelow: boolean): number {
    const { count } = this.#keys;
    const entry = this.#loading ? this.#keys.findOrAdd(source, start, end) : UNKNOWN;
    if (entry === UNKNOWN) {
      // Somebody made keys that collide: the order has to tell from here on.
      this.#endLoad();
      const key = source.slice(start, end);
      const known = this.find(key);
      return known === -1 ? this.addOver(key, liveBelow) : known;
    }
    if (entry === count) {
      this.#clear(entry);
      if (liveBelow) this.#flags[entry]! |= BASE_LIVE;
    }
    return entry;
  }

  /** Adds a clean entry that equals what lies below (`below` null: nothing does). */
  add(key: Uint8Array, below: HeadEntry | null): number {
    const entry = this.#keys.add(key);
    this.#clear(entry);
    if (below !== null) this.#store(entry, below);
    if (this.live(entry)) this.#flags[entry]! |= BASE_LIVE;
    if (this.#lease[entry] !== 0n) this.#noteLease(this.#lease[entry]!, entry);
    this.#order.insert(entry, key);
    return entry;
  }

  #clear(entry: number): void {
    if (entry === this.#flags.length) this.#grow(this.#flags.length * 2);
    this.#flags[entry] = 0;
    this.#main[entry] = 0;
    this.#lease[entry] = 0n;
  }

  /** Adds an entry of which only the liveness below is known; `set` must follow. */
  addOver(key: Uint8Array, liveBelow: boolean): number {
    const entry = this.add(key, null);
    if (liveBelow) this.#flags[entry]! |= BASE_LIVE;
    // The delta of an entry without a record over a live one is -1 until `set`.
    if (liveBelow) this.#noteDelta(entry, 0);
    return entry;
  }

  /** Makes `head` the newest record of the entry's key. */
  set(entry: number, head: HeadEntry): void {
    const before = this.#delta(entry);
    if (!(this.#flags[entry]! & DIRTY)) this.#dirtyCount++;
    this.#store(entry, head);
    this.#flags[entry]! |= DIRTY;
    this.#noteDelta(entry, before);
    if (head.lease !== 0n) this.#noteLease(head.lease, entry);
  }

  /** Back to an earlier state of the entry (`head` null: the key has no record). For an aborted transaction. */
  reset(entry: number, head: HeadEntry | null, dirty: boolean): void {
    const before = this.#delta(entry);
    if (this.#flags[entry]! & DIRTY) this.#dirtyCount--;
    if (dirty) this.#dirtyCount++;
    if (head === null) {
      this.#flags[entry] = this.#flags[entry]! & BASE_LIVE;
      this.#main[entry] = 0;
      this.#lease[entry] = 0n;
    } else this.#store(entry, head);
    this.#flags[entry] = (this.#flags[entry]! & ~DIRTY) | (dirty ? DIRTY : 0);
    this.#noteDelta(entry, before);
  }

  live(entry: number): boolean {
    return (this.#flags[entry]! & LIVE) !== 0;
  }

  dirty(entry: number): boolean {
    return (this.#flags[entry]! & DIRTY) !== 0;
  }

  lease(entry: number): bigint {
    return this.#lease[entry]!;
  }

  key(entry: number): Uint8Array {
    return this.#keys.key(entry);
  }

  /** @returns null when the key has no record at all */
  head(entry: number): HeadEntry | null {
    const flags = this.#flags[entry]!;
    if (!(flags & (LIVE | TOMBSTONE))) return null;
    return {
      main: this.#main[entry]!,
      sub: this.#sub[entry]!,
      createRevision: this.#create[entry]!,
      version: this.#version[entry]!,
      lease: this.#lease[entry]!,
      tombstone: (flags & TOMBSTONE) !== 0,
      past: (flags & PAST) !== 0,
      depth: this.#depth[entry]!,
      jumpMain: this.#jumpMain[entry]!,
      jumpSub: this.#jumpSub[entry]!,
    };
  }

  /** Visits entries with keys from `low` on, in order, until `visit` returns false. */
  scan(low: Uint8Array, visit: (entry: number) => boolean): void {
    this.#order.scan(low, visit);
  }

  /** Keys of this layer below and above `key`, with about 100 of its keys between them; null where there are none. */
  around(key: Uint8Array): { low: Uint8Array | null; high: Uint8Array | null } {
    const { low, high } = this.#order.around(key);
    return { low: low === null ? null : this.key(low), high: high === null ? null : this.key(high) };
  }

  compare(entry: number, key: Uint8Array): number {
    return this.#keys.compare(entry, key);
  }

  /** What this layer adds to the number of live keys in `[low, high)`. */
  deltaBetween(low: Uint8Array, high: Uint8Array | null): number {
    return this.#order.deltaBetween(low, high);
  }

  /** Visits entries that have `lease` now. */
  entriesOfLease(lease: bigint, visit: (entry: number) => void): void {
    const entries = this.#leases.get(lease);
    if (entries === undefined) return;
    for (const entry of entries) if (this.#lease[entry] === lease && this.live(entry)) visit(entry);
  }

  #delta(entry: number): number {
    const flags = this.#flags[entry]!;
    return ((flags & LIVE) !== 0 ? 1 : 0) - ((flags & BASE_LIVE) !== 0 ? 1 : 0);
  }

  #noteDelta(entry: number, before: number): void {
    const change = this.#delta(entry) - before;
    if (change === 0 || this.#loading) return;
    this.#order.changeDelta(entry, this.#keys.key(entry), change);
  }

  #noteLease(lease: bigint, entry: number): void {
    const entries = this.#leases.get(lease);
    if (entries === undefined) this.#leases.set(lease, new Set([entry]));
    else entries.add(entry);
  }

  #store(entry: number, head: HeadEntry): void {
    const kept = this.#flags[entry]! & (BASE_LIVE | DIRTY);
    this.#flags[entry] = kept | (head.tombstone ? TOMBSTONE : LIVE) | (head.past ? PAST : 0);
    this.#main[entry] = head.main;
    this.#sub[entry] = head.sub;
    this.#create[entry] = head.createRevision;
    this.#version[entry] = head.version;
    this.#lease[entry] = head.lease;
    this.#depth[entry] = head.depth;
    this.#jumpMain[entry] = head.jumpMain;
    this.#jumpSub[entry] = head.jumpSub;
  }

  #grow(capacity: number): void {
    this.#flags = grown(this.#flags, new Uint8Array(capacity));
    this.#main = grown(this.#main, new Float64Array(capacity));
    this.#sub = grown(this.#sub, new Uint32Array(capacity));
    this.#create = grown(this.#create, new Float64Array(capacity));
    this.#version = grown(this.#version, new Float64Array(capacity));
    const lease = new BigInt64Array(capacity);
    lease.set(this.#lease);
    this.#lease = lease;
    this.#depth = grown(this.#depth, new Uint32Array(capacity));
    this.#jumpMain = grown(this.#jumpMain, new Float64Array(capacity));
    this.#jumpSub = grown(this.#jumpSub, new Uint32Array(capacity));
  }
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
