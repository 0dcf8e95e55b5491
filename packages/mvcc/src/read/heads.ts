/**
 * Newest records by key: the active layer over the sealed one over `head` and `graves`.
 *
 *   active   takes writes
 *   sealed   a flush of heads brings it to disk, part by part
 *   recent   the layer flushed last: equal to the disk, asked before it because it is faster
 */
import { assert } from '../assert.ts';
import type { BackendReader } from '../backend/backend.ts';
import { compareBytes, copyBytes, EMPTY } from '../bytes.ts';
import { type HeadEntry, readHeadEntry } from '../head-entry.ts';
import { HeadLayer } from '../memtable/head-layer.ts';
import { GRAVES, HEAD, leaseKeysTable } from '../tables.ts';

/** A key with its newest record, as a scan gives it. */
export interface HeadItem {
  readonly key: Uint8Array;
  readonly head: HeadEntry;
}

export class Heads {
  #reader: BackendReader;
  active = new HeadLayer();
  sealed: HeadLayer | null = null;
  /** Name of the flush that brings the sealed layer to disk: no other one, of this run or an earlier one, has it. */
  sealedId = '';
  /** Main revision up to which the sealed layer brings the heads. */
  sealedWatermark = 0;
  #recent: HeadLayer | null = null;

  constructor(reader: BackendReader) {
    this.#reader = reader;
  }

  useReader(reader: BackendReader): void {
    this.#reader = reader;
  }

  get bytes(): number {
    return this.active.bytes + (this.sealed?.bytes ?? 0) + (this.#recent?.bytes ?? 0);
  }

  seal(flushId: string, watermark: number): HeadLayer {
    assert(this.sealed === null, 'one layer of heads is sealed at a time');
    this.sealed = this.active;
    this.sealedId = flushId;
    this.sealedWatermark = watermark;
    this.active = new HeadLayer();
    // It will hold about as many. Memory that is not used costs nothing.
    this.active.reserve(this.sealed.count);
    return this.sealed;
  }

  /** The sealed layer is on disk. */
  dropSealed(): void {
    this.#recent = this.sealed;
    this.sealed = null;
  }

  /** Newest record of `key`, tombstones too; null when it has none. */
  lookup(key: Uint8Array): HeadEntry | null {
    const entry = this.active.find(key);
    return entry !== -1 ? this.active.head(entry) : this.#below(key);
  }

  /** Entry of `key` in the active layer, made when missing. */
  touch(key: Uint8Array): number {
    const entry = this.active.find(key);
    return entry !== -1 ? entry : this.active.add(key, this.#below(key));
  }

  /** The same for a key whose newest record is known to be `head`, from `lookup` or `scan`: looks for nothing below. */
  touchKnown(key: Uint8Array, head: HeadEntry): number {
    const entry = this.active.find(key);
    return entry !== -1 ? entry : this.active.add(key, head);
  }

  #below(key: Uint8Array): HeadEntry | null {
    for (const layer of [this.sealed, this.#recent]) {
      if (layer === null) continue;
      const entry = layer.find(key);
      if (entry !== -1) return layer.head(entry);
    }
    return this.onDisk(key);
  }

  onDisk(key: Uint8Array): HeadEntry | null {
    const live = HEAD.get(this.#reader, key);
    if (live !== undefined) return readHeadEntry(live, false);
    const dead = GRAVES.get(this.#reader, key);
    return dead === undefined ? null : readHeadEntry(dead, true);
  }

  /**
   * The first keys of `[low, high)` with their newest records, in order.
   * @param dead whether keys whose newest record is a tombstone are wanted too
   * @param most about how many to look at: at least one is found when there is one
   * @returns the items, and where to go on (null: that was all)
   */
  scan(
    low: Uint8Array,
    high: Uint8Array | null,
    dead: boolean,
    most: number,
  ): { items: HeadItem[]; next: Uint8Array | null } {
    const sources: Source[] = [
      this.#layerSource(this.active, low, high, most),
      ...(this.sealed === null ? [] : [this.#layerSource(this.sealed, low, high, most)]),
      this.#tableSource(low, high, false, most),
      ...(dead ? [this.#tableSource(low, high, true, most)] : []),
    ];
    // Each source knows its keys up to its own end; together they know those below the least of these ends.
    let next: Uint8Array | null = null;
    for (const { end } of sources)
      if (end !== null && (next === null || compareBytes(end, next) < 0)) next = end;
    return { items: merge(sources, next, dead), next };
  }

  /** Bounds around `key` from the layer with most keys of what is not on disk; null: none. */
  around(key: Uint8Array): { low: Uint8Array | null; high: Uint8Array | null } {
    const { active, sealed } = this;
    return (sealed !== null && sealed.count > active.count ? sealed : active).around(key);
  }

  /** Keys that have `lease`, in order. */
  leaseKeys(lease: bigint): Uint8Array[] {
    const keys: Uint8Array[] = [];
    leaseKeysTable(lease).scan(this.#reader, EMPTY, null, (key) => {
      keys.push(copyBytes(key));
      return true;
    });
    // Disk holds what was flushed: keys that changed since speak for themselves.
    const attached = keys.filter(
      (key) => this.active.find(key) === -1 && (this.sealed?.find(key) ?? -1) === -1,
    );
    this.sealed?.entriesOfLease(lease, (entry) => {
      const key = this.sealed!.key(entry);
      if (this.active.find(key) === -1) attached.push(key);
    });
    this.active.entriesOfLease(lease, (entry) => attached.push(this.active.key(entry)));
    return attached.sort(compareBytes);
  }

  #layerSource(layer: HeadLayer, low: Uint8Array, high: Uint8Array | null, most: number): Source {
    const items: HeadItem[] = [];
    let end: Uint8Array | null = null;
    layer.scan(low, (entry) => {
      if (high !== null && layer.compare(entry, high) >= 0) return false;
      const key = layer.key(entry);
      if (items.length >= most) {
        end = key;
        return false;
      }
      const head = layer.head(entry);
      if (head !== null) items.push({ key, head });
      return true;
    });
    return { items, end };
  }

  #tableSource(low: Uint8Array, high: Uint8Array | null, dead: boolean, most: number): Source {
    const items: HeadItem[] = [];
    let end: Uint8Array | null = null;
    (dead ? GRAVES : HEAD).scan(this.#reader, low, high, (key, value) => {
      const own = copyBytes(key);
      if (items.length >= most) {
        end = own;
        return false;
      }
      items.push({ key: own, head: readHeadEntry(value, dead) });
      return true;
    });
    return { items, end };
  }
}

interface Source {
  readonly items: readonly HeadItem[];
  /** First key it did not look at; null when it looked at all. */
  readonly end: Uint8Array | null;
}

/** One item per key below `end`; an earlier source hides a later one. */
function merge(sources: readonly Source[], end: Uint8Array | null, dead: boolean): HeadItem[] {
  const full = sources.filter((source) => source.items.length > 0);
  if (full.length === 1 && end === null) {
    return full[0]!.items.filter(({ head }) => dead || !head.tombstone);
  }
  const merged: HeadItem[] = [];
  const at = full.map(() => 0);
  for (;;) {
    let least: HeadItem | null = null;
    for (let i = 0; i < full.length; i++) {
      const item = full[i]!.items[at[i]!];
      if (item !== undefined && (least === null || compareBytes(item.key, least.key) < 0)) least = item;
    }
    if (least === null || (end !== null && compareBytes(least.key, end) >= 0)) return merged;
    for (let i = 0; i < full.length; i++) {
      const item = full[i]!.items[at[i]!];
      if (item !== undefined && compareBytes(item.key, least.key) === 0) at[i]!++;
    }
    if (dead || !least.head.tombstone) merged.push(least);
  }
}
