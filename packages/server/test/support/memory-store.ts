/**
 * A store for service tests: every version of every key in maps, bytes from the generated codecs.
 *
 * It has what watches and leases need of `Store`, done the obvious way. It shares no code with the real store.
 */
import {
  CompactedError,
  type EventBatch,
  FutureRevisionError,
  type KeyRange,
  type KeyRecord,
  type Store,
  type StoreEvent,
  type WriteTransaction,
} from '@quorate/mvcc';
import { Event, KeyValue } from '@quorate/proto';

type Needed = Pick<
  Store,
  | 'revision'
  | 'compactRevision'
  | 'appliedIndex'
  | 'readEvents'
  | 'getAt'
  | 'get'
  | 'getMeta'
  | 'scanMeta'
  | 'leaseKeys'
  | 'leaseKeyCount'
  | 'begin'
>;

const NOTHING = new Uint8Array(0);
const name = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

export class MemoryStore implements Needed {
  revision = 1;
  compactRevision = -1;
  appliedIndex = 0;
  readonly history: EventBatch[] = [];
  readonly #versions = new Map<string, KeyRecord[]>();
  readonly #meta = new Map<string, Map<string, Uint8Array>>();
  #listener: (batch: EventBatch) => void = () => {};

  /** Called after each commit that changed keys, as the member does. */
  onCommit(listener: (batch: EventBatch) => void): void {
    this.#listener = listener;
  }

  put(key: string, value = 'v', lease = 0n): EventBatch {
    const transaction = this.begin(this.appliedIndex + 1);
    transaction.put(bytesOf(key), bytesOf(value), lease);
    return transaction.commit()!;
  }

  delete(key: string): void {
    const transaction = this.begin(this.appliedIndex + 1);
    transaction.deleteRange({ key: bytesOf(key), end: null });
    transaction.commit();
  }

  compact(revision: number): void {
    this.compactRevision = revision;
  }

  get(key: Uint8Array): KeyRecord | null {
    return this.getAt(key, this.revision);
  }

  getAt(key: Uint8Array, revision: number): KeyRecord | null {
    if (revision > this.revision) throw new FutureRevisionError();
    if (revision < this.compactRevision) throw new CompactedError();
    const record = this.#versions.get(name(key))?.findLast((version) => version.modRevision <= revision);
    return record === undefined || record.tombstone ? null : record;
  }

  readEvents(from: number, maxBytes: number): { batches: readonly EventBatch[]; next: number } {
    if (from < this.compactRevision) throw new CompactedError();
    const batches: EventBatch[] = [];
    let bytes = 0;
    for (const batch of this.history.slice(Math.max(0, from - 2))) {
      for (const event of batch.events) bytes += event.encoded.length;
      if (batches.length > 0 && bytes > maxBytes) return { batches, next: batch.revision };
      batches.push(batch);
    }
    return { batches, next: this.revision + 1 };
  }

  getMeta(table: string, key: Uint8Array): Uint8Array | null {
    return this.#meta.get(table)?.get(name(key)) ?? null;
  }

  scanMeta(table: string, visit: (key: Uint8Array, value: Uint8Array) => boolean): void {
    const rows = [...(this.#meta.get(table) ?? [])].sort(([one], [other]) => (one < other ? -1 : 1));
    for (const [key, value] of rows) if (!visit(bytesOf(key), value)) return;
  }

  leaseKeys(lease: bigint): readonly Uint8Array[] {
    const keys: string[] = [];
    for (const [key, versions] of this.#versions) {
      const newest = versions.at(-1)!;
      if (!newest.tombstone && newest.lease === lease) keys.push(key);
    }
    return keys.sort().map(bytesOf);
  }

  leaseKeyCount(lease: bigint): number {
    return this.leaseKeys(lease).length;
  }

  /** Changes are collected, and made by `commit`; a transaction does not see its own. */
  begin(index: number): WriteTransaction {
    const revision = this.revision + 1;
    const records: KeyRecord[] = [];
    const meta: [table: string, key: string, value: Uint8Array | null][] = [];
    const write = (key: Uint8Array, value: Uint8Array | null, lease: bigint): KeyRecord | null => {
      const before = this.get(key);
      records.push(makeRecord(key, value, lease, revision, records.length, before));
      return before;
    };
    return {
      revision,
      get changeCount() {
        return records.length;
      },
      put: write,
      deleteRange: ({ key, end }: KeyRange) => {
        if (end !== null) throw new Error('this store deletes single keys');
        const before = this.get(key);
        if (before === null) return [];
        write(key, null, 0n);
        return [before];
      },
      range: () => {
        throw new Error('this store has no ranges');
      },
      get: (key) => this.get(key),
      putMeta: (table, key, value) => void meta.push([table, name(key), value.slice()]),
      removeMeta: (table, key) => void meta.push([table, name(key), null]),
      compact: (at) => this.compact(at),
      abort() {},
      commit: (fold) => {
        this.appliedIndex = index;
        for (const [table, key, value] of meta) this.#setMeta(table, key, value);
        const batch = records.length === 0 ? null : this.#commit(revision, records);
        fold?.(batch);
        return batch;
      },
    };
  }

  #commit(revision: number, records: readonly KeyRecord[]): EventBatch {
    this.revision = revision;
    for (const record of records) {
      const key = name(record.key);
      const versions = this.#versions.get(key) ?? [];
      this.#versions.set(key, versions);
      versions.push(record);
    }
    const batch = { revision, events: records.map(makeEvent) };
    this.history.push(batch);
    this.#listener(batch);
    return batch;
  }

  #setMeta(table: string, key: string, value: Uint8Array | null): void {
    const rows = this.#meta.get(table) ?? new Map<string, Uint8Array>();
    this.#meta.set(table, rows);
    if (value === null) rows.delete(key);
    else rows.set(key, value);
  }
}

function makeRecord(
  key: Uint8Array,
  value: Uint8Array | null,
  lease: bigint,
  revision: number,
  sub: number,
  before: KeyRecord | null,
): KeyRecord {
  const tombstone = value === null;
  const fields = tombstone
    ? { key, value: NOTHING, createRevision: 0, modRevision: revision, version: 0, lease: 0n }
    : {
        key,
        value,
        createRevision: before?.createRevision ?? revision,
        modRevision: revision,
        version: (before?.version ?? 0) + 1,
        lease,
      };
  return { ...fields, sub, tombstone, encoded: KeyValue.encode(fields) };
}

function makeEvent(record: KeyRecord): StoreEvent {
  return {
    type: record.tombstone ? 'delete' : 'put',
    record,
    encoded: Event.encode({ type: record.tombstone ? 1 : 0, kv: record.encoded as never }),
  };
}
