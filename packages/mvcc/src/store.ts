/**
 * The store: puts the parts together. Start here, then `write-transaction.ts` (a write), `read/range-read.ts` and `read/view.ts` (a read),
 * `flush/` (the way to disk), `writer/store-writer.ts` (the disk), `removal.ts` (compaction).
 *
 * All of it is synchronous and in memory, but for the writer thread and for long reads, which go in slices through `afterPoll`.
 */

import { assert } from './assert.ts';
import type { Backend, BackendReader } from './backend/backend.ts';
import { lmdbBackend, lmdbBackendAgain } from './backend/lmdb/backend.ts';
import { BlockIndex } from './blocks.ts';
import { Flusher } from './flush/flusher.ts';
import { MetaLayers } from './meta-layer.ts';
import { DEFAULT_LIMITS, mapSizeFor, type StoreLimits, type StoreOptions } from './options.ts';
import { readEvents } from './read/events.ts';
import { HashRead } from './read/hash.ts';
import { Heads } from './read/heads.ts';
import { PageCounts } from './read/page-counts.ts';
import { PageRead } from './read/pages/page-read.ts';
import { RangeRead } from './read/range-read.ts';
import { Records } from './read/records.ts';
import { runSliced, type SlicedWork } from './read/sliced.ts';
import { TableHash } from './read/table-hash.ts';
import { ReadView } from './read/view.ts';
import { checkFormat, walkTail } from './restart.ts';
import { readApplied, readHeads, readRemoval, readSequence } from './state.ts';
import { recordFromHead } from './stored-record.ts';
import { ImageOpening, type OpenImage } from './transfer/image.ts';
import { ChunkedImage } from './transfer/image-source.ts';
import { inlineReceiver, StoreSink, threadedReceiver } from './transfer/sink.ts';
import type { ImageSink, ImageSource, StoreImage } from './transfer/types.ts';
import {
  type EventBatch,
  type KeyRecord,
  type PageOptions,
  type RangeOptions,
  type RangePage,
  type RangeResult,
  type Store,
  StoreBusyError,
  StoreClosedError,
  StoreReplacedError,
  type WriteTransaction,
} from './types.ts';
import { StoreTransaction, type TransactionEnd } from './write-transaction.ts';
import { lateWriter } from './writer/late-writer.ts';
import { inlineWriter, threadedWriter, type WriterPort } from './writer/port.ts';

/** @throws BackendError when the files cannot be opened or are damaged */
export function openStore(options: StoreOptions): MvccStore {
  return new MvccStore(options);
}

/** Everything that belongs to one state of the store: all of it is made anew when another member's state takes its place. */
interface Core {
  readonly view: ReadView;
  readonly meta: MetaLayers;
  readonly pages: PageCounts;
  readonly flusher: Flusher;
}

export class MvccStore implements Store {
  readonly #options: StoreOptions;
  /** The bounds in force. */
  readonly limits: StoreLimits;
  readonly #mapSizeBytes: number;
  readonly #port: WriterPort;
  #core: Core;
  readonly #fatalListeners: ((error: Error) => void)[] = [];
  #fatalError: Error | null = null;
  #transactionOpen = false;
  #closed = false;
  #sink: StoreSink | null = null;
  #sinks = 0;
  #installing = false;
  #afterInstall: (() => void)[] = [];

  constructor(options: StoreOptions) {
    this.#options = options;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#mapSizeBytes = options.mapSizeBytes ?? mapSizeFor(0);
    const { storage } = options;
    const backend =
      'backend' in storage
        ? storage.backend
        : lmdbBackend({ directory: storage.directory, mapSizeBytes: this.#mapSizeBytes });
    const reader = backend.openReader();
    checkFormat(readApplied(reader), readHeads(reader));
    this.#port = this.#startWriter(backend);
    this.#core = this.#load(reader);
    this.#core.flusher.advance();
  }

  /** The files that are in force now, once more. */
  #backendAgain(): Backend {
    const { storage } = this.#options;
    if ('backend' in storage) return storage.backend;
    return lmdbBackendAgain({ directory: storage.directory, mapSizeBytes: this.#mapSizeBytes });
  }

  #load(reader: BackendReader): Core {
    const applied = readApplied(reader);
    const heads = readHeads(reader);
    const meta = new MetaLayers(reader);
    const records = new Records(reader, applied.revision);
    records.compactRevision = applied.compactRevision;
    const view = new ReadView({
      reader,
      heads: new Heads(reader),
      records,
      blocks: BlockIndex.load(reader),
      longKeys: heads.longKeys,
      revision: applied.revision,
      compactRevision: applied.compactRevision,
      imageBytes: this.limits.imageBytes,
      imageKeys: this.limits.imageKeys,
    });
    const walked = walkTail(view, reader, heads);
    const flusher = new Flusher({
      view,
      meta,
      port: this.#port,
      limits: this.limits,
      monotonicMs: this.#options.monotonicMs,
      setTimer: this.#options.setTimer,
      failpoint: this.#options.failpoint ?? (() => {}),
      onCommit: this.#options.onCommit ?? (() => {}),
      fatal: (error) => this.#fatal(error),
      reopen: (): BackendReader => this.#backendAgain().openReader(),
      flushRow: this.#options.flushRow ?? (() => null),
      applied,
      heads,
      removal: readRemoval(reader),
      firstSequence: readSequence(reader),
    });
    flusher.noteLag(walked);
    return { view, meta, pages: new PageCounts(), flusher };
  }

  get #view(): ReadView {
    return this.#core.view;
  }

  get #meta(): MetaLayers {
    return this.#core.meta;
  }

  get #flusher(): Flusher {
    return this.#core.flusher;
  }

  #startWriter(backend: Backend): WriterPort {
    const { storage, inThread, failpoint, afterPoll } = this.#options;
    const { blockKeys } = this.limits;
    if ('directory' in storage && inThread !== true) {
      const data = { directory: storage.directory, mapSizeBytes: this.#mapSizeBytes, blockKeys };
      return lateWriter(() => threadedWriter(data, failpoint, (error) => this.#flusher.fail(error)));
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
    if (this.#installing)
      throw new StoreBusyError("another member's state is about to take the place of this one");
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
    this.#sliced(() => new RangeRead(this.#view, options, this.#core.pages), done);
  }

  rangePage(options: PageOptions, done: (error: Error | null, page: RangePage | null) => void): void {
    this.#sliced(() => new PageRead(this.#view, options, this.#core.pages), done);
  }

  /** `rangePage` in one go: for tests. */
  rangePageSync(options: PageOptions): RangePage {
    return new PageRead(this.#view, options, this.#core.pages).step(() => 0, 1)!;
  }

  rangeSync(options: RangeOptions): RangeResult {
    return new RangeRead(this.#view, options, this.#core.pages).step(() => 0, 1)!;
  }

  #sliced<T>(begin: () => SlicedWork<T>, done: (error: Error | null, result: T | null) => void): void {
    const { monotonicMs, afterPoll } = this.#options;
    const check = this.#inForce();
    runSliced(begin, { monotonicMs, afterPoll, sliceMs: this.limits.sliceMs, check }, done);
  }

  /** A check that throws once the store is closed or the state of now is no longer that of the store. */
  #inForce(): () => void {
    const core = this.#core;
    return () => {
      if (this.#closed) throw new StoreClosedError('the store is closed');
      if (this.#core !== core)
        throw new StoreReplacedError('the state was replaced by that of another member');
    };
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

  /** What images of runs take now. */
  get images(): { readonly count: number; readonly bytes: number } {
    const { imageCount, bytes } = this.#view.images;
    return { count: imageCount, bytes };
  }

  sizes(): { totalBytes: number; inUseBytes: number } {
    const stats = this.#view.reader.stats();
    const waiting = this.#flusher.unflushedBytes;
    return {
      totalBytes: stats.fileBytes + waiting,
      // Dearer than the other, which every write asks for.
      get inUseBytes() {
        return stats.usedBytes + waiting;
      },
    };
  }

  prepare(): void {
    if (!this.#closed) this.#port.prepare();
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

  openImage(done: (error: Error | null, image: StoreImage | null) => void): void {
    this.#openImage(done);
  }

  openImageSource(done: (error: Error | null, source: ImageSource | null) => void): void {
    this.#openImage((error, image) => {
      done(error, image === null ? null : new ChunkedImage(image, this.#options.afterPoll));
    });
  }

  #openImage(done: (error: Error | null, image: OpenImage | null) => void): void {
    const { afterPoll, monotonicMs } = this.#options;
    const { view, flusher } = this.#core;
    const { sliceMs } = this.limits;
    const check = this.#inForce();
    flusher.openPin((error, pin) => {
      if (error !== null || pin === null) {
        afterPoll(() => done(error, null));
        return;
      }
      // In this turn: in a later one the tables on disk could have moved on.
      const opening = new ImageOpening({ view, pin, monotonicMs, sliceMs, check });
      const begin = (): ImageOpening => opening;
      runSliced(begin, { monotonicMs, afterPoll, sliceMs, check }, (failure, image) => {
        if (failure !== null) pin.release();
        afterPoll(() => done(failure, image));
      });
    });
  }

  receiveImage(): ImageSink {
    this.#sink?.abort();
    const { storage, inThread, afterPoll, failpoint } = this.#options;
    const { blockKeys } = this.limits;
    const mapSizeBytes = this.#mapSizeBytes;
    const name = `receive${++this.#sinks}`;
    const port =
      'directory' in storage && inThread !== true
        ? threadedReceiver({ directory: storage.directory, mapSizeBytes, blockKeys, name })
        : inlineReceiver(this.#backendAgain(), name, blockKeys, afterPoll);
    this.#sink = new StoreSink(name, port, () => failpoint?.('mvccAfterReceive'));
    return this.#sink;
  }

  install(sink: ImageSink, done: (error: Error | null) => void): void {
    const refusal = this.#refusalOf(sink);
    if (refusal !== null) {
      this.#options.afterPoll(() => done(new Error(refusal)));
      return;
    }
    const own = this.#sink!;
    // From here on its files are the writer's: nobody who ends the sink removes them.
    own.installed();
    this.#installing = true;
    const old = this.#core;
    old.flusher.stop();
    this.#port.submit({ kind: 'install', name: own.name }, (error) => {
      const failure = this.#fatalError ?? error;
      if (failure !== null) {
        // How far it came is not known: the next start finds the old state or the new one.
        old.flusher.fail(failure);
        done(failure);
        for (const callback of this.#afterInstall.splice(0)) callback();
        return;
      }
      this.#swap(old);
      done(null);
    });
  }

  /** @returns why the image cannot be installed */
  #refusalOf(sink: ImageSink): string | null {
    assert(!this.#transactionOpen, 'no state is installed while a transaction is open');
    const received = sink === this.#sink ? this.#sink.received : null;
    if (received === null) return 'the image did not come whole, or another one was asked for since';
    if (this.#closed) return 'the store is closed';
    if (this.#installing) return 'another image is being installed';
    if (received.appliedIndex <= this.appliedIndex) return 'the image is not newer than the store';
    const goesBack = received.revision < this.revision || received.compactRevision < this.compactRevision;
    return goesBack ? 'the image has a later entry but an earlier revision' : null;
  }

  /** The writer has moved to the new files and holds still: readers follow. */
  #swap(old: Core): void {
    this.#options.failpoint?.('mvccBeforeInstallSwap');
    this.#core = this.#load(this.#backendAgain().openReader());
    old.view.reader.close();
    this.#port.submit({ kind: 'resume' }, () => {});
    this.#installing = false;
    this.#sink = null;
    old.flusher.handOver(this.#core.flusher);
    this.#core.flusher.advance();
    for (const callback of this.#afterInstall.splice(0)) callback();
  }

  async close(): Promise<void> {
    this.#sink?.abort();
    if (this.#installing && this.#fatalError === null) {
      await new Promise<void>((resolve) => this.#afterInstall.push(resolve));
    }
    const error = await new Promise<Error | null>((resolve) => this.#flusher.close(resolve));
    this.#closed = true;
    this.#view.reader.close();
    await this.#port.terminate();
    if (error !== null) throw error;
  }
}
