/**
 * The store: puts the parts together. Start here, then `write-transaction.ts` (a write), `read/range-read.ts` and `read/view.ts` (a read),
 * `flush.ts` (the way to disk), `writer/store-writer.ts` (the disk), `removal.ts` (compaction).
 *
 * All of it is synchronous and in memory, but for the writer thread and for long reads, which go in slices through `afterPoll`.
 */

import { assert } from './assert.ts';
import type { Backend, BackendReader } from './backend/backend.ts';
import { lmdbBackend } from './backend/lmdb.ts';
import { BlockIndex } from './blocks.ts';
import { Flusher } from './flush.ts';
import { MetaLayers } from './meta-layer.ts';
import { DEFAULT_LIMITS, mapSizeFor, type StoreLimits, type StoreOptions } from './options.ts';
import { readEvents } from './read/events.ts';
import { HashRead } from './read/hash.ts';
import { Heads } from './read/heads.ts';
import { PageCounts } from './read/page-counts.ts';
import { RangeRead } from './read/range-read.ts';
import { Records } from './read/records.ts';
import { runSliced, type SlicedWork } from './read/sliced.ts';
import { TableHash } from './read/table-hash.ts';
import { ReadView } from './read/view.ts';
import { checkFormat, walkTail } from './restart.ts';
import { readApplied, readHeads, readRemoval, readSequence } from './state.ts';
import { recordFromHead } from './stored-record.ts';
import type { EventBatch, KeyRecord, RangeOptions, RangeResult, Store, WriteTransaction } from './types.ts';
import { StoreTransaction, type TransactionEnd } from './write-transaction.ts';
import { inlineWriter, threadedWriter, type WriterPort } from './writer/port.ts';

/** @throws BackendError when the files cannot be opened or are damaged */
export function openStore(options: StoreOptions): MvccStore {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const mapSizeBytes = options.mapSizeBytes ?? mapSizeFor(0);
  const { storage } = options;
  const openBackend = (): Backend =>
    'backend' in storage ? storage.backend : lmdbBackend({ directory: storage.directory, mapSizeBytes });
  return new MvccStore(options, limits, mapSizeBytes, openBackend);
}

export class MvccStore implements Store {
  readonly #options: StoreOptions;
  /** The bounds in force. */
  readonly limits: StoreLimits;
  readonly #view: ReadView;
  readonly #meta: MetaLayers;
  readonly #pages = new PageCounts();
  readonly #flusher: Flusher;
  readonly #port: WriterPort;
  readonly #fatalListeners: ((error: Error) => void)[] = [];
  #fatalError: Error | null = null;
  #transactionOpen = false;
  #closed = false;

  constructor(options: StoreOptions, limits: StoreLimits, mapSizeBytes: number, openBackend: () => Backend) {
    this.#options = options;
    this.limits = limits;
    const backend = openBackend();
    const reader = backend.openReader();
    const applied = readApplied(reader);
    const heads = readHeads(reader);
    checkFormat(applied, heads);
    this.#meta = new MetaLayers(reader);
    const records = new Records(reader, applied.revision);
    records.compactRevision = applied.compactRevision;
    this.#view = new ReadView({
      reader,
      heads: new Heads(reader),
      records,
      blocks: BlockIndex.load(reader),
      longKeys: heads.longKeys,
      revision: applied.revision,
      compactRevision: applied.compactRevision,
    });
    const walked = walkTail(this.#view, reader, heads);
    this.#port = this.#startWriter(backend, mapSizeBytes);
    this.#flusher = new Flusher({
      view: this.#view,
      meta: this.#meta,
      port: this.#port,
      limits,
      monotonicMs: options.monotonicMs,
      failpoint: options.failpoint ?? (() => {}),
      fatal: (error) => this.#fatal(error),
      reopen: (): BackendReader => openBackend().openReader(),
      applied,
      heads,
      removal: readRemoval(reader),
      firstSequence: readSequence(reader),
    });
    this.#flusher.noteLag(walked);
    this.#flusher.advance();
  }

  #startWriter(backend: Backend, mapSizeBytes: number): WriterPort {
    const { storage, inThread, failpoint, afterPoll } = this.#options;
    const { blockKeys } = this.limits;
    if ('directory' in storage && inThread !== true) {
      const data = { directory: storage.directory, mapSizeBytes, blockKeys };
      return threadedWriter(data, failpoint, (error) => this.#flusher.fail(error));
    }
    return inlineWriter({ backend, blockKeys, failpoint: failpoint ?? (() => {}) }, afterPoll);
  }

  #fatal(error: Error): void {
    this.#fatalError = error;
    for (const listener of this.#fatalListeners) listener(error);
  }

  onFatal(listener: (error: Error) => void): void {
    this.#fatalListeners.push(listener);
    if (this.#fatalError !== null) listener(this.#fatalError);
  }

  get revision(): number {
    return this.#view.revision;
  }

  get compactRevision(): number {
    return this.#view.compactRevision;
  }

  get appliedIndex(): number {
    return this.#flusher.appliedIndex;
  }

  get appliedTerm(): number {
    return this.#flusher.appliedTerm;
  }

  get durableIndex(): number {
    return this.#flusher.durableIndex;
  }

  begin(index: number, term: number): WriteTransaction {
    assert(!this.#transactionOpen, 'one write transaction at a time');
    assert(index > this.appliedIndex, 'entries are applied in order and once', index, this.appliedIndex);
    this.#flusher.admit();
    this.#transactionOpen = true;
    const before = this.#view.revision;
    return new StoreTransaction(this.#view, index, term, (end) => {
      this.#transactionOpen = false;
      if (end !== null) this.#committed(end, before);
    });
  }

  #committed(end: TransactionEnd, before: number): void {
    for (const change of end.meta) this.#meta.apply(change);
    if (end.compactRevision !== null) {
      this.#view.compactRevision = end.compactRevision;
      this.#view.records.compactRevision = end.compactRevision;
    }
    this.#flusher.applied(end.index, end.term, this.#view.revision - before);
  }

  range(options: RangeOptions, done: (error: Error | null, result: RangeResult | null) => void): void {
    this.#sliced(() => new RangeRead(this.#view, options, this.#pages), done);
  }

  rangeSync(options: RangeOptions): RangeResult {
    return new RangeRead(this.#view, options, this.#pages).step(() => 0, 1)!;
  }

  #sliced<T>(begin: () => SlicedWork<T>, done: (error: Error | null, result: T | null) => void): void {
    const { monotonicMs, afterPoll } = this.#options;
    runSliced(
      begin,
      { monotonicMs, afterPoll, sliceMs: this.limits.sliceMs, closed: () => this.#closed },
      done,
    );
  }

  get(key: Uint8Array): KeyRecord | null {
    const head = this.#view.heads.lookup(key);
    return head === null || head.tombstone ? null : recordFromHead(head, this.#view.records);
  }

  getAt(key: Uint8Array, revision: number): KeyRecord | null {
    this.#view.checkReadable(revision);
    const head = this.#view.heads.lookup(key);
    return head === null ? null : this.#view.versionAt(head, revision);
  }

  readEvents(from: number, maxBytes: number): { batches: readonly EventBatch[]; next: number } {
    const deadlineMs = this.#options.monotonicMs() + this.limits.sliceMs;
    return readEvents(this.#view, from, maxBytes, () => this.#options.monotonicMs() >= deadlineMs);
  }

  getMeta(table: string, key: Uint8Array): Uint8Array | null {
    return this.#meta.get(table, key);
  }

  scanMeta(table: string, visit: (key: Uint8Array, value: Uint8Array) => boolean): void {
    this.#meta.scan(table, visit);
  }

  leaseKeys(lease: bigint): readonly Uint8Array[] {
    return this.#view.heads.leaseKeys(lease);
  }

  leaseKeyCount(lease: bigint): number {
    return this.leaseKeys(lease).length;
  }

  hashKv(
    revision: number,
    done: (
      error: Error | null,
      result: { hash: number; hashRevision: number; compactRevision: number } | null,
    ) => void,
  ): void {
    this.#sliced(() => new HashRead(this.#view, revision, () => this.#flusher.removalFinished), done);
  }

  hash(done: (error: Error | null, hash: number) => void): void {
    this.flush((error) => {
      if (error !== null) done(error, 0);
      else
        this.#sliced(
          () => new TableHash(this.#view),
          (failure, hash) => done(failure, hash ?? 0),
        );
    });
  }

  sizes(): { totalBytes: number; inUseBytes: number } {
    const { fileBytes, usedBytes } = this.#view.reader.stats();
    const waiting = this.#flusher.unflushedBytes;
    return { totalBytes: fileBytes + waiting, inUseBytes: usedBytes + waiting };
  }

  whenCompacted(revision: number, done: (error: Error | null) => void): void {
    this.#flusher.whenCompacted(revision, done);
  }

  defragment(done: (error: Error | null) => void): void {
    this.#flusher.defragment(done);
  }

  flush(done: (error: Error | null) => void): void {
    this.#flusher.flush(done);
  }

  /** Makes heads durable too: the next start has no record to walk. */
  flushHeads(done: (error: Error | null) => void): void {
    this.#flusher.flushHeads(done);
  }

  async close(): Promise<void> {
    const error = await new Promise<Error | null>((resolve) => this.#flusher.close(resolve));
    this.#closed = true;
    this.#view.reader.close();
    await this.#port.terminate();
    if (error !== null) throw error;
  }
}
