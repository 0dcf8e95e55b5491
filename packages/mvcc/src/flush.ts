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
import type { BackendReader } from './backend/backend.ts';
import { BlockIndex } from './blocks.ts';
import { successor } from './bytes.ts';
import type { MvccFailpoint } from './failpoints.ts';
import { MAX_HEAD_ENTRY_BYTES, writeHeadEntry } from './head-entry.ts';
import type { MetaLayers } from './meta-layer.ts';
import type { StoreLimits, StoreOptions } from './options.ts';
import type { ReadView } from './read/view.ts';
import { type AppliedState, FORMAT, type HeadsState, type RemovalState, readRemoval } from './state.ts';
import type { ImagePin } from './transfer/image.ts';
import { StoreBusyError, StoreClosedError, StoreReplacedError } from './types.ts';
import { FrameWriter, type WriterJob, type WriterResult } from './writer/jobs.ts';
import type { WriterPort } from './writer/port.ts';
import { HEAD_HAS_PREVIOUS, HEAD_TOMBSTONE, MOVE_FAILED } from './writer/store-writer.ts';

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

type Done = (error: Error | null) => void;
type PinDone = (error: Error | null, pin: ImagePin | null) => void;

interface SealedHeads {
  /** Records up to here are in the layer, and must be durable before it. */
  readonly watermark: number;
  /** Key to go on from; null: not begun. */
  next: Uint8Array | null;
  inFlight: boolean;
}

/** While others write, removal rests so many times as long as each of its slices took, ... */
const REMOVAL_PAUSES = 2;
const MAX_REMOVAL_PAUSE_MS = 100;
/** ... for so long; then it goes on without pauses. */
const REMOVAL_PATIENCE_MS = 60_000;

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
  #sealedHeads: SealedHeads | null = null;
  #headWatermark: number;
  #headFlushes = 0;
  #lagRecords = 0;
  #removalFinished: number;
  #removing = false;
  /** Revision that the removal begun goes to; 0: none is begun. */
  #removalUnderWay = 0;
  /** When the removal under way began; -1: none is under way. */
  #removalFromMs = -1;
  #removalTimer: { cancel(): void } | null = null;
  #flushAll = false;
  #defragmenting: Done[] = [];
  #defragmentRunning = false;
  readonly #waitingFlush: { index: number; done: Done }[] = [];
  readonly #waitingRemoval: { revision: number; done: Done }[] = [];
  readonly #waitHeads: (() => void)[] = [];
  readonly #waitingPins: { compactRevision: number; done: PinDone }[] = [];
  /** Compact revision of each open image: what is above it may not be removed for its sake. */
  readonly #pins = new Map<object, number>();
  /** Images whose rows are being copied: the small tables on disk stand still for them. */
  #logHolds = 0;
  #failed: Error | null = null;
  #closing = false;
  /** Another state takes this one's place: nothing new begins. */
  #retired = false;

  constructor(options: FlushOptions) {
    this.#o = options;
    this.#appliedIndex = options.applied.index;
    this.#appliedTerm = options.applied.term;
    this.#durable = options.applied;
    this.#headWatermark = options.heads.watermark;
    this.#removalFinished = options.removal.finished;
    this.#removalUnderWay = options.removal.target;
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
    return this.#removalFinished;
  }

  /** Records that a restart found in `log` above the head watermark. */
  noteLag(records: number): void {
    this.#lagRecords += records;
  }

  /** Before an entry is applied. @throws StoreBusyError */
  admit(): void {
    if (this.#failed !== null) throw this.#failed;
    const { view, limits, meta } = this.#o;
    const full = view.records.active.bytes + meta.bytes >= limits.memtableBytes;
    if (full && this.#sealedState !== null) throw new StoreBusyError('both memtables are full');
    const headsFull = view.heads.active.dirtyCount >= 2 * limits.headEntries;
    if (headsFull && this.#sealedHeads !== null) throw new StoreBusyError('both layers of heads are full');
  }

  /** An entry was applied and is visible. */
  applied(index: number, term: number, records: number): void {
    this.#appliedIndex = index;
    this.#appliedTerm = term;
    this.#lagRecords += records;
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

  #stopTimer(): void {
    this.#ageTimer?.cancel();
    this.#ageTimer = null;
    this.#removalTimer?.cancel();
    this.#removalTimer = null;
  }

  /** Starts whatever is due. */
  advance(): void {
    if (this.#failed !== null || this.#closing || this.#retired) return;
    this.#advanceHeads();
    this.#advanceLog();
    this.#advanceRemoval();
    if (this.#defragmenting.length > 0 && !this.#defragmentRunning) this.#startDefragment();
    if (this.#waitingPins.length > 0) this.#answerPins();
  }

  #advanceLog(): void {
    if (this.#sealedState !== null || !this.#dirty || this.#logHolds > 0) return;
    const { view, meta, limits } = this.#o;
    const due =
      this.#waitingFlush.length > 0 ||
      view.records.active.bytes + meta.bytes >= limits.flushBytes ||
      (this.#sealedHeads !== null && this.#sealedHeads.watermark > view.records.flushedMain) ||
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

  #advanceHeads(): void {
    const { view, limits } = this.#o;
    if (this.#sealedHeads === null) {
      const due =
        view.heads.active.dirtyCount >= limits.headEntries ||
        this.#lagRecords >= limits.headLagRecords ||
        (this.#lagRecords > 0 && (this.#flushAll || this.#headWatermark < this.#removalTarget()));
      if (!due) return;
      view.heads.seal(`${this.#o.firstSequence}.${++this.#headFlushes}`, view.revision);
      this.#sealedHeads = { watermark: view.revision, next: null, inFlight: false };
      this.#lagRecords = 0;
    }
    const sealed = this.#sealedHeads;
    if (!sealed.inFlight && view.records.flushedMain >= sealed.watermark) this.#submitHeadPart(sealed);
  }

  #submitHeadPart(sealed: SealedHeads): void {
    const { view, limits } = this.#o;
    const layer = view.heads.sealed!;
    const entries = new FrameWriter(limits.headPartEntries * 96);
    const encoded = new Uint8Array(MAX_HEAD_ENTRY_BYTES);
    let count = 0;
    let lastKey: Uint8Array | null = null;
    let more = false;
    layer.scan(sealed.next ?? new Uint8Array(0), (entry) => {
      if (!layer.dirty(entry)) return true;
      const head = layer.head(entry);
      if (head === null) return true;
      if (count === limits.headPartEntries) {
        more = true;
        return false;
      }
      count++;
      lastKey = layer.key(entry);
      entries.byte((head.tombstone ? HEAD_TOMBSTONE : 0) | (head.depth > 0 ? HEAD_HAS_PREVIOUS : 0));
      entries.frame(lastKey, 0, lastKey.length);
      entries.frame(encoded, 0, writeHeadEntry(encoded, 0, head));
      return true;
    });
    const progress = lastKey === null ? new Uint8Array(1) : successor(lastKey);
    sealed.next = progress;
    sealed.inFlight = true;
    const { watermark } = sealed;
    this.#submit(
      {
        kind: 'heads',
        entries: entries.finish(),
        flushId: view.heads.sealedId,
        progress,
        watermark,
        last: !more,
      },
      (result) => {
        sealed.inFlight = false;
        if (result.kind === 'heads') {
          view.reader.refresh();
          view.blocks = BlockIndex.unpack(result.blocks);
          view.longKeys ||= result.longKeys;
          view.heads.dropSealed();
          this.#headWatermark = watermark;
          this.#sealedHeads = null;
        }
        this.advance();
      },
    );
  }

  /** Compact revision up to which something is left to remove, -1: nothing. */
  #removalTarget(): number {
    const target = this.#durable.compactRevision;
    return target > this.#removalFinished ? target : -1;
  }

  /**
   * One slice. `head` and `graves` must hold everything up to the revision that is removed to: where they do not reach the compact revision yet, removal
   * goes as far as they do, since every revision up to C is a state that a compaction could have left. A removal begun goes on to its own end, however fast C moves.
   */
  #advanceRemoval(): void {
    const wanted = this.#removalTarget();
    if (this.#removing || wanted === -1) return;
    const covered = this.#sealedHeads === null && this.#lagRecords === 0 ? wanted : this.#headWatermark;
    const pinned = Math.min(Number.MAX_SAFE_INTEGER, ...this.#pins.values());
    const target = this.#removalUnderWay > 0 ? this.#removalUnderWay : Math.min(wanted, covered, pinned);
    if (target <= this.#removalFinished || target > pinned) return;
    this.#removing = true;
    this.#removalUnderWay = target;
    const { removeSliceRecords: maxRecords, removePassRecords: passRecords } = this.#o.limits;
    const fromMs = this.#o.monotonicMs();
    if (this.#removalFromMs === -1) this.#removalFromMs = fromMs;
    const appliedBefore = this.#appliedIndex;
    this.#submit({ kind: 'remove', target, maxRecords, passRecords }, (result) => {
      if (result.kind === 'removed' && result.finished) this.#removalDone(target);
      const tookMs = this.#o.monotonicMs() - fromMs;
      this.#afterPause(this.#appliedIndex > appliedBefore ? tookMs * REMOVAL_PAUSES : 0, () => {
        this.#removing = false;
        this.advance();
      });
    });
  }

  /** Pauses between slices while others write, but not for ever: what is compacted faster than it is removed would pile up. */
  #afterPause(wantedMs: number, then: () => void): void {
    const pauseMs = Math.min(wantedMs, MAX_REMOVAL_PAUSE_MS);
    const patient =
      this.#removalFromMs !== -1 && this.#o.monotonicMs() - this.#removalFromMs < REMOVAL_PATIENCE_MS;
    // An image is taken when removal is done.
    const awaited = this.#waitingPins.length > 0;
    if (pauseMs < 1 || !patient || awaited || this.#closing || this.#o.setTimer === undefined) then();
    else {
      this.#removalTimer = this.#o.setTimer(pauseMs, () => {
        this.#removalTimer = null;
        then();
      });
    }
  }

  #removalDone(target: number): void {
    this.#removalFromMs = -1;
    this.#o.view.reader.refresh();
    this.#removalFinished = target;
    this.#removalUnderWay = 0;
    const ready = this.#waitingRemoval.filter(({ revision }) => revision <= target);
    for (const waiting of ready) this.#waitingRemoval.splice(this.#waitingRemoval.indexOf(waiting), 1);
    for (const { done } of ready) done(null);
  }

  whenCompacted(revision: number, done: Done): void {
    if (this.#failed !== null) done(this.#failed);
    else if (revision <= this.#removalFinished) done(null);
    else if (this.#closing) done(closed());
    else {
      this.#waitingRemoval.push({ revision, done });
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
      ({ compactRevision }) => this.#pins.size > 0 || compactRevision <= this.#removalFinished,
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
    const name = {};
    this.#pins.set(name, compactRevision);
    this.#logHolds++;
    let held = true;
    const rowsCopied = (): void => {
      if (!held) return;
      held = false;
      this.#logHolds--;
      this.advance();
    };
    done(null, {
      info: { appliedIndex: index, appliedTerm: term, revision, compactRevision },
      removalFinished: this.#removalFinished,
      rowsCopied,
      release: () => {
        rowsCopied();
        if (this.#pins.delete(name)) this.advance();
      },
    });
  }

  /** Another state is about to take this one's place: begins nothing any more. */
  stop(): void {
    this.#retired = true;
    this.#stopTimer();
  }

  /**
   * The state of this flusher is gone; what was asked of it passes to `next`, or is answered: the new state is durable, and newer than all that was waited for.
   */
  handOver(next: Flusher): void {
    for (const { done } of this.#waitingFlush.splice(0)) done(null);
    for (const { revision, done } of this.#waitingRemoval.splice(0)) next.whenCompacted(revision, done);
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
    const removal = readRemoval(reader);
    this.#removalFinished = removal.finished;
    this.#removalUnderWay = removal.target;
  }

  /**
   * No new background work; what is under way is waited for by `close` in the writer's queue. Who waits for more than that is
   * told that the store is closed.
   */
  close(done: Done): void {
    this.flush((error) => {
      this.#closing = true;
      this.#stopTimer();
      for (const waiting of this.#waitingPins.splice(0)) waiting.done(closed(), null);
      for (const waiting of this.#waitingRemoval.splice(0)) waiting.done(closed());
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
        else if (this.#sealedHeads === null && this.#lagRecords === 0) {
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
    this.#stopTimer();
    this.#o.fatal(error);
    for (const { done } of this.#waitingFlush.splice(0)) done(error);
    for (const { done } of this.#waitingRemoval.splice(0)) done(error);
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
