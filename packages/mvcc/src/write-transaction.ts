/**
 * The changes of one log entry, made at once in memory and taken back on `abort`.
 *
 * A put of a key: its head is brought to the active layer (from below, when it is not there), the record with its pointers goes to the
 * active segment, the head is replaced. Reads of the transaction see that without doing anything; nobody else runs before `commit`.
 */
import { assert } from './assert.ts';
import { compareBytes, copyBytes, EMPTY } from './bytes.ts';
import type { HeadEntry } from './head-entry.ts';
import { isLongKey } from './key-codec.ts';
import { linkRecord } from './link.ts';
import type { RecordFields } from './log-record.ts';
import { boundsOf, RangeRead } from './read/range-read.ts';
import type { ReadView } from './read/view.ts';
import { recordFromHead, StoredEvent } from './stored-record.ts';
import {
  CompactedError,
  type EventBatch,
  FutureRevisionError,
  type KeyRange,
  type KeyRecord,
  type RangeOptions,
  type RangeResult,
  type WriteTransaction,
} from './types.ts';
import type { MetaChange } from './writer/jobs.ts';

/** What a finished transaction asks of the store. */
export interface TransactionEnd {
  readonly index: number;
  readonly term: number;
  readonly meta: readonly MetaChange[];
  /** Null: no compaction. */
  readonly compactRevision: number | null;
}

interface Undo {
  readonly entry: number;
  readonly head: HeadEntry | null;
  readonly dirty: boolean;
}

const SCAN_KEYS = 256;

export class StoreTransaction implements WriteTransaction {
  readonly revision: number;
  readonly #view: ReadView;
  readonly #index: number;
  readonly #term: number;
  readonly #firstRecord: number;
  readonly #undo: Undo[] = [];
  readonly #end: (end: TransactionEnd | null) => void;
  #meta: MetaChange[] = [];
  #compactRevision: number | null = null;
  #changeCount = 0;
  #open = true;

  constructor(view: ReadView, index: number, term: number, end: (end: TransactionEnd | null) => void) {
    this.#view = view;
    this.#index = index;
    this.#term = term;
    this.#end = end;
    this.revision = view.revision + 1;
    this.#firstRecord = view.records.active.count;
  }

  get changeCount(): number {
    return this.#changeCount;
  }

  put(key: Uint8Array, value: Uint8Array, lease: bigint): KeyRecord | null {
    assert(this.#open, 'a transaction ends once');
    assert(key.length > 0, 'a key has at least one byte');
    const { heads, records } = this.#view;
    const entry = heads.touch(key);
    const before = heads.active.head(entry);
    const alive = before !== null && !before.tombstone;
    this.#change(entry, before, {
      key,
      value,
      createRevision: alive ? before.createRevision : this.revision,
      version: alive ? before.version + 1 : 1,
      lease,
      tombstone: false,
    });
    return alive ? recordFromHead(before, records) : null;
  }

  deleteRange(range: KeyRange): readonly KeyRecord[] {
    assert(this.#open, 'a transaction ends once');
    const { heads } = this.#view;
    if (range.end === null) {
      const head = heads.lookup(range.key);
      return head === null || head.tombstone ? [] : [this.#bury(range.key, head)];
    }
    const { low, high } = boundsOf(range);
    const deleted: KeyRecord[] = [];
    if (high !== null && compareBytes(low, high) >= 0) return deleted;
    for (let at: Uint8Array | null = low; at !== null; ) {
      const { items, next } = heads.scan(at, high, false, SCAN_KEYS);
      for (const { key, head } of items) deleted.push(this.#bury(key, head));
      at = next;
    }
    return deleted;
  }

  #bury(key: Uint8Array, before: HeadEntry): KeyRecord {
    const entry = this.#view.heads.touchKnown(key, before);
    this.#change(entry, before, {
      key,
      value: EMPTY,
      createRevision: 0,
      version: 0,
      lease: 0n,
      tombstone: true,
    });
    return recordFromHead(before, this.#view.records);
  }

  #change(
    entry: number,
    before: HeadEntry | null,
    what: {
      key: Uint8Array;
      value: Uint8Array;
      createRevision: number;
      version: number;
      lease: bigint;
      tombstone: boolean;
    },
  ): void {
    const { heads, records, compactRevision } = this.#view;
    const layer = heads.active;
    this.#undo.push({ entry, head: before, dirty: layer.dirty(entry) });
    // A tombstone below the compact revision may be gone already: the chain begins anew.
    const chained = before !== null && !(before.tombstone && before.main < compactRevision) ? before : null;
    const fields: RecordFields = {
      ...what,
      main: this.revision,
      sub: this.#changeCount++,
      past: false,
      depth: 0,
      previousMain: 0,
      previousSub: 0,
      jumpMain: 0,
      jumpSub: 0,
    };
    if (chained !== null) linkRecord(fields, chained, records);
    records.active.append(fields);
    if (isLongKey(what.key)) this.#view.longKeys = true;
    layer.set(entry, fields);
    this.#view.images.changed(what.key, this.revision);
    this.#view.revision = this.revision;
  }

  range(options: RangeOptions): RangeResult {
    const read = new RangeRead(this.#view, options, null);
    return read.step(() => 0, Number.MAX_SAFE_INTEGER)!;
  }

  get(key: Uint8Array): KeyRecord | null {
    const head = this.#view.heads.lookup(key);
    return head === null || head.tombstone ? null : recordFromHead(head, this.#view.records);
  }

  putMeta(table: string, key: Uint8Array, value: Uint8Array): void {
    assert(this.#open, 'a transaction ends once');
    this.#meta.push([table, copyBytes(key), copyBytes(value)]);
  }

  removeMeta(table: string, key: Uint8Array): void {
    assert(this.#open, 'a transaction ends once');
    this.#meta.push([table, copyBytes(key), null]);
  }

  compact(revision: number): void {
    assert(this.#open, 'a transaction ends once');
    if (revision <= (this.#compactRevision ?? this.#view.compactRevision)) {
      throw new CompactedError('the revision was compacted already');
    }
    if (revision > this.#view.revision) throw new FutureRevisionError('the revision is in the future');
    this.#compactRevision = revision;
  }

  commit(fold?: (batch: EventBatch | null) => void): EventBatch | null {
    assert(this.#open, 'a transaction ends once');
    this.#open = false;
    const batch = this.#changeCount === 0 ? null : { revision: this.revision, events: this.#events() };
    fold?.(batch);
    this.#end({
      index: this.#index,
      term: this.#term,
      meta: this.#meta,
      compactRevision: this.#compactRevision,
    });
    return batch;
  }

  #events(): StoredEvent[] {
    const segment = this.#view.records.active;
    const events: StoredEvent[] = [];
    for (let i = this.#firstRecord; i < segment.count; i++) {
      events.push(new StoredEvent(segment.frame(i), segment.sub(i)));
    }
    return events;
  }

  abort(): void {
    assert(this.#open, 'a transaction ends once');
    this.#open = false;
    const layer = this.#view.heads.active;
    for (let i = this.#undo.length - 1; i >= 0; i--) {
      const { entry, head, dirty } = this.#undo[i]!;
      layer.reset(entry, head, dirty);
    }
    this.#view.records.active.truncate(this.#firstRecord);
    this.#view.revision = this.revision - 1;
    this.#end(null);
  }
}
