/**
 * The store as its users see it: revisions, records, events, reads and the write transaction.
 *
 * A store holds every version of every key since the last compaction. Each modifying entry takes the next
 * *main* revision; its changes are numbered by *sub* revision from 0. A store without writes is at revision 1.
 *
 * Keys and values are arbitrary bytes. Revisions and versions are safe integers; leases are signed 64-bit and
 * therefore `bigint`. Nothing here knows of gRPC, Raft or etcd's requests.
 */

import type { ImageSink, ImageSource, StoreImage } from './transfer/types.ts';

export interface Revision {
  readonly main: number;
  readonly sub: number;
}

/**
 * One record of the store: `mvccpb.KeyValue` bytes as they go on the wire, and the fields that decisions need.
 * For a tombstone only `key` and `modRevision` are meaningful, and `encoded` holds just those two.
 */
export interface KeyRecord {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly sub: number;
  /** Number of puts since creation, 1 for the first; 0 for a tombstone. */
  readonly version: number;
  readonly lease: bigint;
  readonly tombstone: boolean;
  /** The value: a view into `encoded`. */
  readonly value: Uint8Array;
  /**
   * `mvccpb.KeyValue`, ready to send. Never changed after creation; may be kept.
   *
   * Records of `get`, `getAt`, `put` and `deleteRange` fetch their bytes (`encoded`, `key`, `value`) on first use, so that nobody pays for a value
   * that is not looked at: use them first in the turn they were handed out. Those of ranges and events have them.
   */
  readonly encoded: Uint8Array;
}

/** One change, shared by every watcher that wants it. */
export interface StoreEvent {
  readonly type: 'put' | 'delete';
  readonly record: KeyRecord;
  /** `mvccpb.Event` bytes without prev_kv, encoded once. */
  readonly encoded: Uint8Array;
}

/** Everything that one main revision changed, in order of sub revision. Never empty. */
export interface EventBatch {
  readonly revision: number;
  readonly events: readonly StoreEvent[];
}

/**
 * A set of keys. `end` null: the one key. `end` of one zero byte: every key from `key` on. Otherwise `[key, end)`,
 * which is empty when `end <= key`.
 */
export interface KeyRange {
  readonly key: Uint8Array;
  readonly end: Uint8Array | null;
}

export interface RangeOptions extends KeyRange {
  /** 0 or less: now. */
  readonly revision: number;
  /** 0 or less: no limit. */
  readonly limit: number;
  /** Only the count is wanted. */
  readonly countOnly?: boolean;
  /** Values are left out of the records (their `encoded` has no value); other fields stay. */
  readonly keysOnly?: boolean;
}

export interface RangeResult {
  /** In key order. */
  readonly records: readonly KeyRecord[];
  /** Keys in the range at that revision, whatever the limit. */
  readonly count: number;
  /** Store revision when the read began: what goes in the reply header. */
  readonly revision: number;
}

/** A range whose records are wanted whole and in key order. */
export interface PageOptions extends KeyRange {
  /** 0 or less: now. */
  readonly revision: number;
  /** 0 or less: no limit. */
  readonly limit: number;
}

/** Records of a range as they go on the wire. */
export interface RangePage {
  /** One after the other, each as field 2 of an `etcdserverpb.RangeResponse`: `12 length KeyValue`. They never change and may be kept. */
  readonly chunks: readonly Uint8Array[];
  /** Length of all chunks. */
  readonly bytes: number;
  /** How many records they hold. */
  readonly records: number;
  /** Keys in the range at that revision, whatever the limit. */
  readonly count: number;
  /** Key of the last record, null when there is none. */
  readonly lastKey: Uint8Array | null;
  /** Store revision when the read began: what goes in the reply header. */
  readonly revision: number;
}

/** Why a read or a compaction is refused. */
export class CompactedError extends Error {
  override readonly name = 'CompactedError';
  readonly code = 'COMPACTED';
}
export class FutureRevisionError extends Error {
  override readonly name = 'FutureRevisionError';
  readonly code = 'FUTURE_REVISION';
}
/** Both memtables are full: the disk does not keep up. The caller refuses new work and tries again later. */
export class StoreBusyError extends Error {
  override readonly name = 'StoreBusyError';
  readonly code = 'STORE_BUSY';
}
/** Another member's state took the place of what was being read: ask again. */
export class StoreReplacedError extends Error {
  override readonly name = 'StoreReplacedError';
  readonly code = 'STORE_REPLACED';
}
/** The store was closed while this was under way, or before. */
export class StoreClosedError extends Error {
  override readonly name = 'StoreClosedError';
  readonly code = 'STORE_CLOSED';
}

/**
 * The changes of one log entry. Synchronous, one at a time, all in memory: `commit` makes them visible together,
 * `abort` forgets them. The first put or effective delete takes the next main revision, the others share it.
 */
export interface WriteTransaction {
  /** Main revision that writes of this transaction have. */
  readonly revision: number;
  /** Number of key changes so far (puts, tombstones). */
  readonly changeCount: number;
  /** @returns the record before this put (own earlier writes included), or null */
  put(key: Uint8Array, value: Uint8Array, lease: bigint): KeyRecord | null;
  /** Deletes in key order. @returns the records that were deleted */
  deleteRange(range: KeyRange): readonly KeyRecord[];
  /** Reads as the transaction sees it: own writes included when `revision` is now. @throws CompactedError, FutureRevisionError */
  range(options: RangeOptions): RangeResult;
  get(key: Uint8Array): KeyRecord | null;
  /** Replicated state beside the keys (leases, members, alarms, auth...): flushed in the same transaction as the keys. */
  putMeta(table: string, key: Uint8Array, value: Uint8Array): void;
  removeMeta(table: string, key: Uint8Array): void;
  /** Marks everything below `revision` as compacted, at once for every reader. Physical removal follows in the background. */
  compact(revision: number): void;
  /**
   * @param fold called first, with what changed: brings up to date what `StoreOptions.flushRow` gives
   * @returns what changed, null when no key did
   */
  commit(fold?: (batch: EventBatch | null) => void): EventBatch | null;
  abort(): void;
}

export interface Store {
  /** Newest main revision; 1 for a store without writes. */
  readonly revision: number;
  /** Lowest revision that can be read, less than it is compacted; -1 when never compacted. */
  readonly compactRevision: number;
  /** Last log entry that was applied (visible), and its term. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Last log entry whose effects are durable here: log files up to it may go. */
  readonly durableIndex: number;

  /**
   * Begins the changes of log entry `index`. Every entry passes through here, also those without changes.
   * @throws StoreBusyError when there is no room in memory
   */
  begin(index: number, term: number): WriteTransaction;

  /**
   * Reads at a pinned revision. Answers in the same turn when the range is small; otherwise in slices of about
   * 2 ms, between which other work goes on.
   * @param done called exactly once, with CompactedError (also when a compaction passes the read) or FutureRevisionError
   */
  range(options: RangeOptions, done: (error: Error | null, result: RangeResult | null) => void): void;
  /** The same as the bytes of the answer, at a fraction of the cost: for what needs no look at the records. */
  rangePage(options: PageOptions, done: (error: Error | null, page: RangePage | null) => void): void;
  /** `range` in one go: for the applier and for tests. */
  rangeSync(options: RangeOptions): RangeResult;
  /** Newest record of one key, null when it does not exist. */
  get(key: Uint8Array): KeyRecord | null;
  /** Record of `key` as it was at `revision`; null when it did not exist. @throws CompactedError, FutureRevisionError */
  getAt(key: Uint8Array, revision: number): KeyRecord | null;

  /**
   * Events of revisions `[from, ...]` in order, whole revisions only, at least one when there is one, until
   * about `maxBytes` of events or about 2 ms were read.
   * @returns the batches, and the revision to go on from: `revision + 1` when everything was read
   * @throws CompactedError when `from` is below the compact revision (a watch may start at it)
   */
  readEvents(from: number, maxBytes: number): { batches: readonly EventBatch[]; next: number };

  /** Replicated state beside the keys, as committed so far. */
  getMeta(table: string, key: Uint8Array): Uint8Array | null;
  /** All of one table in key order; tables read this way are small or read at start-up. */
  scanMeta(table: string, visit: (key: Uint8Array, value: Uint8Array) => boolean): void;
  /** Keys attached to `lease`, in key order. Costs time in proportion to the answer. */
  leaseKeys(lease: bigint): readonly Uint8Array[];
  leaseKeyCount(lease: bigint): number;

  /** etcd's HashKV at `revision` (0: now; less: the hash of no record), in slices. @param done see `range` */
  hashKv(
    revision: number,
    done: (
      error: Error | null,
      result: { hash: number; hashRevision: number; compactRevision: number } | null,
    ) => void,
  ): void;
  /** Hash over the whole database (every table), comparable between runs of one member only. */
  hash(done: (error: Error | null, hash: number) => void): void;

  /** To be looked at in the turn that asked. */
  sizes(): { totalBytes: number; inUseBytes: number };
  /** Starts what is started late (the writer's thread): once file descriptors have run out, it could not be. */
  prepare(): void;
  /** Runs once physical removal of every compaction up to `revision` is durable. */
  whenCompacted(revision: number, done: (error: Error | null) => void): void;
  /** Rewrites the file without free pages while reads and writes go on. */
  defragment(done: (error: Error | null) => void): void;
  /** Opens an image of the state as of now: flushes first, so that it is durable here. @param done in a later turn */
  openImage(done: (error: Error | null, image: StoreImage | null) => void): void;
  /** The same as chunks, for another member. */
  openImageSource(done: (error: Error | null, source: ImageSource | null) => void): void;
  /** Where the chunks of another member's image go: files beside those in use. One at a time; an earlier one is aborted. */
  receiveImage(): ImageSink;
  /**
   * Replaces everything in this store by a finished image that is newer (higher applied index): files are renamed, and the object stays.
   * Reads under way end with the state they began with or with StoreReplacedError; no transaction may be open. After a crash at any
   * point either the old or the new state is there, whole.
   * @param done when the new state is durable and visible
   */
  install(sink: ImageSink, done: (error: Error | null) => void): void;
  /** Makes everything applied so far durable. */
  flush(done: (error: Error | null) => void): void;
  /** Flushes and closes. */
  close(): Promise<void>;
  /** A failure from which the store does not recover (a failed commit or sync): the member must stop. */
  onFatal(listener: (error: Error) => void): void;
}
