/**
 * The caller's half of the log: checks what is appended, keeps the callbacks in order, and knows what is durable.
 *
 * Two views of the same log run side by side. `#appended` includes what is still on its way and decides whether a batch
 * fits; `#index` follows with what is durable and serves reads.
 *
 *   append [7..8], append [8..9]          appended ends at 9, durable at 6
 *   the frame with both is durable        durable ends at 9, then both callbacks run
 */
import type { Entry, HardState, SnapshotMeta } from '@quorate/raft';
import { assert } from './assert.ts';
import { type BatchContent, batchBytes } from './batch.ts';
import { checkBatch } from './batch-check.ts';
import type { Disk } from './disk.ts';
import { WalFailedError } from './errors.ts';
import { encodeMarker } from './frame-body.ts';
import type { WrittenFrame } from './frame-writer.ts';
import type { Lane, LaneEvents } from './lane.ts';
import type { LogIndex } from './log-index.ts';
import { SegmentReader } from './segment-reader.ts';
import { type TermIndex, type TermRun, termRuns } from './term-index.ts';
import type { SegmentInfo, Wal, WalBatch, WalDone } from './wal.ts';

interface UnderWay {
  readonly bytes: number;
  readonly runs: readonly TermRun[];
  readonly entryCount: number;
  readonly restartAt: { readonly index: number; readonly term: number } | null;
  /** Also those of batches without a write of their own that came after it. */
  readonly callbacks: WalDone[];
}

export interface LogOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly index: LogIndex;
  readonly hardState: HardState | null;
  readonly lock: { release(): void };
  readonly onFatal: (error: WalFailedError) => void;
}

export class WriteAheadLog implements Wal {
  readonly #index: LogIndex;
  readonly #appended: TermIndex;
  readonly #reader: SegmentReader;
  readonly #lock: { release(): void };
  readonly #onFatal: (error: WalFailedError) => void;
  #lane: Lane | null = null;
  #underWay: UnderWay[] = [];
  #pendingBytes = 0;
  #writtenBytes = 0;
  #hardState: HardState | null;
  /** A hard state that was not worth a sync; goes with the next batch. */
  #deferred: HardState | null = null;
  #newestSegment: number;
  #failure: WalFailedError | null = null;
  #closed: Promise<void> | null = null;

  constructor(options: LogOptions) {
    this.#index = options.index;
    this.#appended = options.index.terms.copy();
    this.#reader = new SegmentReader(options.disk, options.directory, options.index);
    this.#lock = options.lock;
    this.#onFatal = options.onFatal;
    this.#hardState = options.hardState;
    this.#newestSegment = options.index.newestSegment;
  }

  /** What the lane reports to; for `open.ts`. */
  readonly events: LaneEvents = {
    written: (frames) => this.#onWritten(frames),
    failed: (cause) => this.#fail(cause),
  };

  /** Joins the log with its lane; once, before anything is appended. */
  attach(lane: Lane): void {
    this.#lane = lane;
  }

  append(batch: WalBatch, done: WalDone): void {
    if (this.#failure !== null || this.#closed !== null) {
      const failure = this.#failure ?? new WalFailedError('the log is closed', undefined);
      queueMicrotask(() => done(failure));
      return;
    }
    checkBatch(batch);
    const restart = this.#check(batch);
    const marker = batch.snapshotMarker ?? null;
    // Throws for ids that are none, and nothing is changed yet.
    const encodedMarker = marker === null ? null : encodeMarker(marker);
    if (!batch.mustSync) {
      this.#defer(batch, done);
      return;
    }
    const runs = termRuns(batch.entries);
    if (restart && marker !== null) this.#appended.reset(marker.index, marker.term);
    if (runs.length > 0) this.#appended.append(runs, batch.entries.length);
    const hardState = batch.hardState ?? this.#deferred;
    this.#deferred = null;
    this.#hardState = hardState ?? this.#hardState;
    this.#submit(
      {
        entries: batch.entries,
        hardState,
        marker: encodedMarker,
        restart,
        lastIndex: this.#appended.lastIndex,
        lastTerm: this.#appended.lastTerm,
      },
      {
        runs,
        entryCount: batch.entries.length,
        restartAt: restart && marker !== null ? { index: marker.index, term: marker.term } : null,
        callbacks: [done],
      },
      batch.mayBlock ?? false,
    );
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  firstIndex(): number {
    return this.#index.terms.firstIndex;
  }

  lastIndex(): number {
    return this.#index.terms.lastIndex;
  }

  term(index: number): number | undefined {
    return this.#index.terms.term(index);
  }

  entries(low: number, high: number, maxBytes: number): Entry[] {
    if (low < this.firstIndex() || high > this.lastIndex() + 1 || low > high) {
      throw new RangeError(
        `entries [${low}, ${high}) are not in the durable log [${this.firstIndex()}, ${this.lastIndex() + 1})`,
      );
    }
    return this.#reader.read(low, high, maxBytes);
  }

  release(index: number): void {
    if (this.#failure !== null || this.#closed !== null) return;
    const below = this.#index.releasableBelow(index);
    if (below <= this.#index.oldestSegment) return;
    this.#reader.dropBelow(below);
    this.#index.dropBelow(below);
    this.#appended.trim(Math.min(this.#index.terms.firstIndex - 1, this.#appended.lastIndex));
    this.#lane!.release(below);
  }

  segments(): readonly SegmentInfo[] {
    return this.#index.segments();
  }

  pump(): void {
    this.#lane!.pump();
  }

  get failure(): WalFailedError | null {
    return this.#failure;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#deferred !== null && this.#failure === null) this.#flushDeferred(this.#deferred);
    try {
      await this.#lane!.close();
    } finally {
      this.#reader.close();
      this.#lock.release();
    }
  }

  /** Refuses what would break the log; says whether the batch's marker starts it anew. */
  #check(batch: WalBatch): boolean {
    const { entries, snapshotMarker: marker, mustSync } = batch;
    if (!mustSync && (entries.length > 0 || marker)) {
      throw new RangeError('entries and snapshot markers must be synced');
    }
    if (!mustSync && batch.hardState !== null) this.#checkDeferrable(batch.hardState);
    // A marker below the log is about entries that were released, and so were in it.
    const isAhead = marker ? marker.index >= this.#appended.firstIndex - 1 : false;
    const restart = isAhead && this.#appended.term(marker!.index) !== marker!.term;
    if (entries.length === 0) return restart;
    return this.#checkEntries(entries, restart ? marker! : null) && restart;
  }

  #checkDeferrable(next: HardState): void {
    const current = this.#hardState;
    if (current !== null && current.term === next.term && current.vote === next.vote) return;
    throw new RangeError('a hard state with a new term or vote must be synced');
  }

  #checkEntries(entries: readonly Entry[], restartAt: SnapshotMeta | null): true {
    const first = entries[0]!.index;
    const end = restartAt?.index ?? this.#appended.lastIndex;
    const begin = restartAt === null ? this.#appended.firstIndex : end + 1;
    if (first < begin || first > end + 1) {
      throw new RangeError(`entry ${first} does not fit the log [${begin}, ${end + 1})`);
    }
    let term = restartAt?.term ?? this.#appended.term(first - 1) ?? 0;
    for (const entry of entries) {
      if (entry.term < term) {
        throw new RangeError(`the term falls from ${term} to ${entry.term} at entry ${entry.index}`);
      }
      term = entry.term;
    }
    return true;
  }

  /** No write: the callback runs once everything before it is durable, which without a write under way is now. */
  #defer(batch: WalBatch, done: WalDone): void {
    if (batch.hardState !== null) {
      this.#deferred = batch.hardState;
      this.#hardState = batch.hardState;
    }
    const last = this.#underWay.at(-1);
    if (last !== undefined) last.callbacks.push(done);
    else queueMicrotask(() => done(null));
  }

  #flushDeferred(hardState: HardState): void {
    this.#deferred = null;
    const { lastIndex, lastTerm } = this.#appended;
    this.#submit(
      { entries: [], hardState, marker: null, restart: false, lastIndex, lastTerm },
      { runs: [], entryCount: 0, restartAt: null, callbacks: [] },
      false,
    );
  }

  #submit(content: BatchContent, batch: Omit<UnderWay, 'bytes'>, mayBlock: boolean): void {
    const bytes = batchBytes(content);
    this.#underWay.push({ ...batch, bytes });
    this.#pendingBytes += bytes;
    this.#lane!.submit(content, bytes, mayBlock);
  }

  #onWritten(frames: readonly WrittenFrame[]): void {
    const callbacks: WalDone[] = [];
    for (const frame of frames) this.#applyFrame(frame, callbacks);
    runAll(callbacks, null);
  }

  #applyFrame(frame: WrittenFrame, callbacks: WalDone[]): void {
    const batches = this.#underWay.splice(0, frame.batchCount);
    assert(batches.length === frame.batchCount, 'a frame holds batches that are under way', frame.batchCount);
    if (frame.segment > this.#newestSegment) {
      this.#index.addSegment(frame.segment, frame.offset);
      this.#newestSegment = frame.segment;
    }
    this.#writtenBytes += frame.bytes;
    let runs: TermRun[] = [];
    let entryCount = 0;
    for (const batch of batches) {
      runs = runs.concat(batch.runs);
      entryCount += batch.entryCount;
      this.#pendingBytes -= batch.bytes;
      callbacks.push(...batch.callbacks);
    }
    this.#index.apply(frame, { restartAt: batches[0]!.restartAt, runs, entryCount });
  }

  #fail(cause: unknown): void {
    if (this.#failure !== null) return;
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#failure = new WalFailedError(`the log cannot be written any more: ${reason}`, cause);
    const waiting = this.#underWay.flatMap((batch) => batch.callbacks);
    this.#underWay = [];
    this.#pendingBytes = 0;
    this.#onFatal(this.#failure);
    runAll(waiting, this.#failure);
  }
}

/** Runs every callback, also after one threw; the first thing thrown then goes on to the host. */
function runAll(callbacks: readonly WalDone[], error: WalFailedError | null): void {
  const thrown: unknown[] = [];
  for (const callback of callbacks) {
    try {
      callback(error);
    } catch (failure) {
      thrown.push(failure);
    }
  }
  if (thrown.length > 0) throw thrown[0];
}
