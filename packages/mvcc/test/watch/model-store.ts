/**
 * A store for watch tests: all of history in an array, one obviously right answer to every question.
 */
import {
  CompactedError,
  type EventBatch,
  FutureRevisionError,
  type KeyRecord,
  type StoreEvent,
  type WatchSource,
} from '@quorate/mvcc';
import { eventPrefixBytes, keyValueBytes, writeEventPrefix, writeKeyValue } from '../../src/key-value.ts';

export type Change =
  | { readonly put: string; readonly value?: string; readonly lease?: bigint }
  | { readonly delete: string };

/** A store that tests can write to: this model, or the real one beside it. */
export interface WatchedStore extends WatchSource {
  /** What truly happened. */
  readonly model: ModelStore;
  /** Applies changes in one revision. Deletes of missing keys change nothing; all in vain: null. */
  apply(...changes: readonly Change[]): EventBatch | null;
  compact(revision: number): void;
  /** Another member's state takes the place of this one: further revisions that nobody is told of, compacted `back` revisions from the end (-1: not). */
  leap(revisions: readonly (readonly Change[])[], back: number): void;
}

const NOTHING = new Uint8Array(0);

export class ModelStore implements WatchedStore {
  readonly model = this;
  revision = 1;
  compactRevision = -1;
  /** Reads of the log so far: tests see by it that walks are shared. */
  readCount = 0;
  /** Most revisions that one read gives, so that small histories take many slices. */
  maxBatchesPerRead = 1_000_000;
  readonly history: EventBatch[] = [];
  readonly #versions = new Map<string, KeyRecord[]>();

  leap(revisions: readonly (readonly Change[])[], back: number): void {
    for (const changes of revisions) this.apply(...changes);
    if (back >= 0 && this.revision - back > Math.max(1, this.compactRevision))
      this.compact(this.revision - back);
  }

  apply(...changes: readonly Change[]): EventBatch | null {
    const revision = this.revision + 1;
    const events: StoreEvent[] = [];
    for (const change of changes) {
      const name = 'put' in change ? change.put : change.delete;
      const versions = this.#versions.get(name) ?? [];
      this.#versions.set(name, versions);
      const before = versions.at(-1);
      const alive = before !== undefined && !before.tombstone;
      if (!('put' in change) && !alive) continue;
      const record = makeRecord(name, change, revision, events.length, alive ? before : null);
      versions.push(record);
      events.push(makeEvent(record));
    }
    if (events.length === 0) return null;
    this.revision = revision;
    const batch = { revision, events };
    this.history.push(batch);
    return batch;
  }

  put(key: string, value = 'v'): EventBatch {
    return this.apply({ put: key, value })!;
  }

  compact(revision: number): void {
    if (revision > this.revision) throw new FutureRevisionError();
    if (revision <= this.compactRevision) throw new CompactedError();
    this.compactRevision = revision;
  }

  readEvents(from: number, maxBytes: number): { batches: readonly EventBatch[]; next: number } {
    this.readCount += 1;
    if (from < this.compactRevision) throw new CompactedError();
    const batches: EventBatch[] = [];
    let bytes = 0;
    for (let revision = Math.max(from, 2); revision <= this.revision; revision++) {
      const batch = this.history[revision - 2]!;
      for (const event of batch.events) bytes += event.encoded.length;
      if (batches.length > 0 && bytes > maxBytes) return { batches, next: revision };
      batches.push(batch);
      if (batches.length >= this.maxBatchesPerRead) return { batches, next: revision + 1 };
    }
    return { batches, next: this.revision + 1 };
  }

  getAt(key: Uint8Array, revision: number): KeyRecord | null {
    if (revision > this.revision) throw new FutureRevisionError();
    if (revision < this.compactRevision) throw new CompactedError();
    const versions = this.#versions.get(Buffer.from(key).toString('latin1')) ?? [];
    const record = versions.findLast((version) => version.modRevision <= revision);
    return record === undefined || record.tombstone ? null : record;
  }
}

function makeRecord(
  name: string,
  change: Change,
  revision: number,
  sub: number,
  before: KeyRecord | null,
): KeyRecord {
  const key = Buffer.from(name, 'latin1');
  const isPut = 'put' in change;
  const value = isPut ? Buffer.from(change.value ?? '', 'latin1') : NOTHING;
  const lease = isPut ? (change.lease ?? 0n) : 0n;
  const createRevision = isPut ? (before?.createRevision ?? revision) : 0;
  const version = isPut ? (before?.version ?? 0) + 1 : 0;
  const encoded = new Uint8Array(
    keyValueBytes(key.length, createRevision, revision, version, value.length, lease),
  );
  writeKeyValue(encoded, 0, key, createRevision, revision, version, value, lease);
  return {
    key,
    value,
    lease,
    createRevision,
    modRevision: revision,
    sub,
    version,
    tombstone: !isPut,
    encoded,
  };
}

function makeEvent(record: KeyRecord): StoreEvent {
  const prefixBytes = eventPrefixBytes(record.tombstone, record.encoded.length);
  const encoded = new Uint8Array(prefixBytes + record.encoded.length);
  encoded.set(record.encoded, writeEventPrefix(encoded, 0, record.tombstone, record.encoded.length));
  return { type: record.tombstone ? 'delete' : 'put', record, encoded };
}
