/**
 * When what goes to disk, and what may be forgotten then.
 *
 *   begin/commit ──> active segment, meta ──seal──> log job ──durable──> refresh reader, drop sealed, WAL may go
 *                └─> active heads ──seal──> (records durable first) ──> heads job, heads job, ... last ──> refresh, drop sealed heads
 *   compact ──────> (state durable, heads at or above C) ──> remove job, remove job, ... finished
 *
 * Two watermarks: records often, in append order; heads rarely, in large sorted batches cut into parts, between which other jobs get their turn. Heads
 * are never ahead of the records they point to. Nothing in memory is dropped before the reader has moved to a snapshot that holds it:
 * otherwise an acknowledged write would be missing from reads for a while.
 */
import type { BackendReader } from '../backend/backend.ts';
import type { MvccFailpoint } from '../failpoints.ts';
import type { MetaLayers } from '../meta-layer.ts';
import type { StoreLimits, StoreOptions } from '../options.ts';
import type { ReadView } from '../read/view.ts';
import { type AppliedState, FORMAT, type HeadsState, type RemovalState, readRemoval } from '../state.ts';
import type { ImagePin } from '../transfer/image.ts';
import { StoreBusyError, StoreClosedError, StoreReplacedError } from '../types.ts';
import type { WriterJob, WriterResult } from '../writer/jobs.ts';
import type { WriterPort } from '../writer/port.ts';
import { MOVE_FAILED } from '../writer/store-writer.ts';
import { HeadFlush } from './head-flush.ts';
import { ImagePins } from './image-pins.ts';
import { RemovalSchedule } from './removal-schedule.ts';
import type { Done, Submit } from './submit.ts';

export interface FlushOptions {
  readonly view: ReadView;
  readonly meta: MetaLayers;
  readonly port: WriterPort;
  readonly limits: StoreLimits;
  readonly monotonicMs: () => number;
  readonly setTimer: ((delayMs: number, callback: () => void) => { cancel(): void }) | undefined;
  readonly failpoint: (name: MvccFailpoint) => void;
  readonly onCommit: (elapsedMs: number) => void;
  readonly fatal: (error: Error) => void;
  /** Opens a reader on the file that is current now. */
  readonly reopen: () => BackendReader;
  readonly flushRow: NonNullable<StoreOptions['flushRow']>;
  readonly applied: AppliedState;
  readonly heads: HeadsState;
  readonly removal: RemovalState;
  /** Number of the writer's last job before this run: with it, names of flushes are new. */
  readonly firstSequence: number;
}

type PinDone = (error: Error | null, pin: ImagePin | null) => void;

export class Flusher {
  readonly #o: FlushOptions;
  #appliedIndex: number;
  #appliedTerm: number;
  #durable: AppliedState;
  #sealedState: AppliedState | null = null;
  #oldestMs = 0;
  #dirty = false;
  /** Runs from the first entry after a seal: an idle store must not keep its tail in memory. */
  #ageTimer: { cancel(): void } | null = null;
  readonly #heads: HeadFlush;
  readonly #removal: RemovalSchedule;
  readonly #pins = new ImagePins(() => this.advance());
  #flushAll = false;
  #defragmenting: Done[] = [];
  #defragmentRunning = false;
  readonly #waitingFlush: { index: number; done: Done }[] = [];
  readonly #waitHeads: (() => void)[] = [];
  readonly #waitingPins: { compactRevision: number; done: PinDone }[] = [];
  #failed: Error | null = null;
  #closing = false;
  /** Another state takes this one's place: nothing new begins. */
  #retired = false;

  constructor(options: FlushOptions) {
    this.#o = options;
    this.#appliedIndex = options.applied.index;
    this.#appliedTerm = options.applied.term;
    this.#durable = options.applied;
    const submit: Submit = (job, done) => this.#submit(job, done);
    const advance = (): void => this.advance();
    this.#heads = new HeadFlush({ ...options, watermark: options.heads.watermark, submit, advance });
    this.#removal = new RemovalSchedule({ ...options, submit, advance });
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get appliedTerm(): number {
    return this.#appliedTerm;
  }

  get durableIndex(): number {
    return this.#durable.index;
  }

  /** Memory whose contents will take room in the file. */
  get unflushedBytes(): number {
    const { records } = this.#o.view;
    return records.active.bytes + (records.sealed?.bytes ?? 0) + this.#o.meta.bytes;
  }

  get removalFinished(): number {
    return this.#removal.finished;
  }

  /** Records that a restart found in `log` above the head watermark. */
  noteLag(records: number): void {
    this.#heads.noteLag(records);
  }

  /** Before an entry is applied. @throws StoreBusyError */
  admit(): void {
    if (this.#failed !== null) throw this.#failed;
    const { view, limits, meta } = this.#o;
    const full = view.records.active.bytes + meta.bytes >= limits.memtableBytes;
    if (full && this.#sealedState !== null) throw new StoreBusyError('both memtables are full');
    if (this.#heads.isFull) throw new StoreBusyError('both layers of heads are full');
  }

  /** An entry was applied and is visible. */
  applied(index: number, term: number, records: number): void {
    this.#appliedIndex = index;
    this.#appliedTerm = term;
    this.#heads.noteLag(records);
    if (!this.#dirty) {
      this.#dirty = true;
      this.#oldestMs = this.#o.monotonicMs();
      this.#watchAge();
    }
    this.#o.failpoint('mvccAfterCommit');
    this.advance();
  }

  #watchAge(): void {
    if (this.#ageTimer !== null) return;
    const { setTimer, limits, monotonicMs } = this.#o;
    const delayMs = this.#oldestMs + limits.flushAfterMs - monotonicMs();
    this.#ageTimer =
      setTimer?.(Math.max(1, delayMs), () => {
        this.#ageTimer = null;
        if (!this.#dirty) return;
        this.advance();
        // Sealed meanwhile, and dirty again since.
        if (this.#dirty && !this.#closing && !this.#retired && this.#failed === null) this.#watchAge();
      }) ?? null;
  }

  #stopTimers(): void {
    this.#ageTimer?.cancel();
    this.#ageTimer = null;
    this.#removal.stop();
  }

  /** Starts whatever is due. */
  advance(): void {
    if (this.#failed !== null || this.#closing || this.#retired) return;
    const { compactRevision } = this.#durable;
    this.#heads.advance(this.#flushAll || this.#heads.watermark < this.#removal.wanted(compactRevision));
    this.#advanceLog();
    this.#advanceRemoval(compactRevision);
    if (this.#defragmenting.length > 0 && !this.#defragmentRunning) this.#startDefragment();
    if (this.#waitingPins.length > 0) this.#answerPins();
  }

  #advanceLog(): void {
    if (this.#sealedState !== null || !this.#dirty || this.#pins.holdsRows) return;
    const { view, meta, limits } = this.#o;
    const due =
      this.#waitingFlush.length > 0 ||
      view.records.active.bytes + meta.bytes >= limits.flushBytes ||
      this.#heads.awaitsRecords ||
      this.#durable.compactRevision < view.compactRevision ||
      this.#o.monotonicMs() - this.#oldestMs >= limits.flushAfterMs;
    if (due) this.#sealLog();
  }

  #sealLog(): void {
    const { view, meta, port, failpoint } = this.#o;
    const state: AppliedState = {
      format: FORMAT,
      index: this.#appliedIndex,
      term: this.#appliedTerm,
      revision: view.revision,
      compactRevision: view.compactRevision,
    };
    const segment = view.records.seal();
    const row = this.#o.flushRow();
    if (row !== null) meta.apply([row.table, row.key, row.value]);
    const changes = meta.seal();
    this.#sealedState = state;
    this.#dirty = false;
    failpoint('mvccAfterSeal');
    this.#submit(
      { kind: 'log', records: segment.pack((bytes) => port.buffer(bytes)), meta: changes, state },
      () => {
        view.reader.refresh();
        failpoint('mvccBeforeDropSealed');
        view.records.flushedMain = state.revision;
        view.records.dropSealed(this.#o.limits.ringBytes);
        meta.dropSealed();
        this.#durable = state;
        this.#sealedState = null;
        this.#answerFlushes();
        this.advance();
      },
    );
  }

  #answerFlushes(): void {
    const ready = this.#waitingFlush.filter(({ index }) => index <= this.#durable.index);
    for (const waiting of ready) this.#waitingFlush.splice(this.#waitingFlush.indexOf(waiting), 1);
    for (const { done } of ready) done(null);
  }

  #advanceRemoval(compactRevision: number): void {
    const { watermark, isComplete } = this.#heads;
    const covered = isComplete ? compactRevision : watermark;
    this.#removal.advance(Math.min(compactRevision, covered), this.#pins.lowest, {
      appliedIndex: () => this.#appliedIndex,
      // An image is taken when removal is done.
      isAwaited: () => this.#waitingPins.length > 0,
    });
  }

  whenCompacted(revision: number, done: Done): void {
    if (this.#failed !== null) done(this.#failed);
    else if (revision <= this.#removal.finished) done(null);
    else if (this.#closing) done(closed());
    else {
      this.#removal.wait(revision, done);
      this.advance();
    }
  }

  flush(done: Done): void {
    if (this.#failed !== null) done(this.#failed);
    else if (this.#durable.index >= this.#appliedIndex) done(null);
    else if (this.#closing) done(closed());
    else {
      this.#waitingFlush.push({ index: this.#appliedIndex, done });
      this.advance();
    }
  }

  /**
   * Pins the state as of now for an image, once it is durable. Removal of what is compacted goes first, so that there is little to leave out; but not
   * when another image holds it up.
   */
  openPin(done: PinDone): void {
    this.flush((error) => {
      const gone = error ?? this.#gone();
      if (gone !== null) done(gone, null);
      else {
        this.#waitingPins.push({ compactRevision: this.#durable.compactRevision, done });
        this.advance();
      }
    });
  }

  #answerPins(): void {
    const ready = this.#waitingPins.filter(
      ({ compactRevision }) => this.#pins.any || compactRevision <= this.#removal.finished,
    );
    for (const waiting of ready) this.#waitingPins.splice(this.#waitingPins.indexOf(waiting), 1);
    for (const { done } of ready) this.flush((error) => this.#takePin(error, done));
  }

  /** Why no image can be taken any more. */
  #gone(): Error | null {
    if (this.#failed !== null) return this.#failed;
    if (this.#closing) return closed();
    return this.#retired ? replaced() : null;
  }

  #takePin(error: Error | null, done: PinDone): void {
    const gone = error ?? this.#gone();
    if (gone !== null) {
      done(gone, null);
      return;
    }
    // With a flush under way the small tables on disk may be newer at any moment.
    if (this.#sealedState !== null) {
      this.#waitingFlush.push({ index: this.#sealedState.index, done: (late) => this.#takePin(late, done) });
      return;
    }
    const { index, term, revision, compactRevision } = this.#durable;
    const info = { appliedIndex: index, appliedTerm: term, revision, compactRevision };
    done(null, this.#pins.take(info, this.#removal.finished));
  }

  /** Another state is about to take this one's place: begins nothing any more. */
  stop(): void {
    this.#retired = true;
    this.#stopTimers();
  }

  /**
   * The state of this flusher is gone; what was asked of it passes to `next`, or is answered: the new state is durable, and newer than all that was waited for.
   */
  handOver(next: Flusher): void {
    for (const { done } of this.#waitingFlush.splice(0)) done(null);
    for (const { revision, done } of this.#removal.takeWaiting()) next.whenCompacted(revision, done);
    for (const done of this.#defragmenting.splice(0)) next.defragment(done);
    for (const { done } of this.#waitingPins.splice(0)) done(replaced(), null);
    for (const again of this.#waitHeads.splice(0)) again();
  }

  defragment(done: Done): void {
    if (this.#failed !== null) done(this.#failed);
    else if (this.#closing) done(closed());
    else {
      this.#defragmenting.push(done);
      this.advance();
    }
  }

  #startDefragment(): void {
    this.#defragmentRunning = true;
    const waiting = this.#defragmenting.splice(0);
    const end = (error: Error | null): void => {
      this.#defragmentRunning = false;
      for (const done of waiting) done(error);
      this.advance();
    };
    this.#o.port.submit({ kind: 'defragment' }, (error) => {
      if (this.#failed !== null) return;
      // The old file is whole and in use as long as the writer did not move.
      const code = (error as { code?: string } | null)?.code;
      if (code === 'CANCELLED') {
        // The file that takes the place of this one was built in order: there is nothing to defragment in it.
        end(this.#retired ? null : closed());
      } else if (error !== null && code !== MOVE_FAILED) end(error);
      else if (error !== null) this.fail(error);
      else {
        this.#moveReader();
        this.#o.port.submit({ kind: 'resume' }, () => {});
        end(null);
      }
    });
  }

  #moveReader(): void {
    const { view, meta } = this.#o;
    const old = view.reader;
    const reader = this.#o.reopen();
    view.useReader(reader);
    meta.useReader(reader);
    old.close();
    // The new file may remember less of the removal than the old one did.
    this.#removal.resume(readRemoval(reader));
  }

  /**
   * No new background work; what is under way is waited for by `close` in the writer's queue. Who waits for more than that is
   * told that the store is closed.
   */
  close(done: Done): void {
    this.flush((error) => {
      this.#closing = true;
      this.#stopTimers();
      for (const waiting of this.#waitingPins.splice(0)) waiting.done(closed(), null);
      for (const waiting of this.#removal.takeWaiting()) waiting.done(closed());
      for (const waiting of this.#defragmenting.splice(0)) waiting(closed());
      for (const again of this.#waitHeads.splice(0)) again();
      if (error !== null) done(error);
      else this.#o.port.submit({ kind: 'close' }, (failure) => done(failure));
    });
  }

  /** Writes heads too, so that a restart has nothing to walk. */
  flushHeads(done: Done): void {
    this.#flushAll = true;
    this.flush((error) => {
      const wait = (): void => {
        if (this.#failed !== null || error !== null) done(error ?? this.#failed);
        else if (this.#retired) done(null);
        else if (this.#closing) done(closed());
        else if (this.#heads.isComplete) {
          this.#flushAll = false;
          done(null);
        } else this.#waitHeads.push(wait);
      };
      this.advance();
      wait();
    });
  }

  #submit(job: WriterJob, done: (result: WriterResult) => void): void {
    const startedMs = this.#o.monotonicMs();
    this.#o.port.submit(job, (error, result) => {
      if (this.#failed !== null || this.#retired) return;
      if (error !== null) this.fail(error);
      else {
        this.#o.onCommit(this.#o.monotonicMs() - startedMs);
        done(result!);
        for (const again of this.#waitHeads.splice(0)) again();
      }
    });
  }

  /** Nothing is retried: after a failed commit or sync the state of the file is unknown. */
  fail(error: Error): void {
    if (this.#failed !== null) return;
    this.#failed = error;
    this.#stopTimers();
    this.#o.fatal(error);
    for (const { done } of this.#waitingFlush.splice(0)) done(error);
    for (const { done } of this.#removal.takeWaiting()) done(error);
    for (const done of this.#defragmenting.splice(0)) done(error);
    for (const { done } of this.#waitingPins.splice(0)) done(error, null);
    for (const again of this.#waitHeads.splice(0)) again();
  }
}

function closed(): StoreClosedError {
  return new StoreClosedError('the store is closed');
}

function replaced(): StoreReplacedError {
  return new StoreReplacedError('the state was replaced by that of another member');
}
