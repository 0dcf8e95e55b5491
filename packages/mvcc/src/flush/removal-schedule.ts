/** When what is compacted is removed: slice by slice, resting between them while others write. */
import type { StoreLimits } from '../options.ts';
import type { ReadView } from '../read/view.ts';
import type { RemovalState } from '../state.ts';
import type { Done, Submit } from './submit.ts';

/** While others write, removal rests so many times as long as each of its slices took, ... */
const PAUSES = 2;
const MAX_PAUSE_MS = 100;
/** ... for so long; then it goes on without pauses. */
const PATIENCE_MS = 60_000;

export interface RemovalOptions {
  readonly view: ReadView;
  readonly limits: StoreLimits;
  readonly monotonicMs: () => number;
  readonly setTimer: ((delayMs: number, callback: () => void) => { cancel(): void }) | undefined;
  readonly removal: RemovalState;
  readonly submit: Submit;
  /** A slice is done: something else may be due. */
  readonly advance: () => void;
}

export interface Others {
  appliedIndex(): number;
  /** Whether somebody waits for the end of the removal. */
  isAwaited(): boolean;
}

interface Waiting {
  readonly revision: number;
  readonly done: Done;
}

export class RemovalSchedule {
  readonly #o: RemovalOptions;
  #finished: number;
  #running = false;
  /** Revision that the removal begun goes to; 0: none is begun. */
  #target: number;
  /** When the removal under way began; -1: none is under way. */
  #fromMs = -1;
  #timer: { cancel(): void } | null = null;
  #stopped = false;
  readonly #waiting: Waiting[] = [];

  constructor(options: RemovalOptions) {
    this.#o = options;
    this.#finished = options.removal.finished;
    this.#target = options.removal.target;
  }

  /** Everything superseded at or below this compact revision is gone; -1 before the first compaction. */
  get finished(): number {
    return this.#finished;
  }

  /** @returns the compact revision up to which something is left to remove, -1: nothing */
  wanted(compactRevision: number): number {
    return compactRevision > this.#finished ? compactRevision : -1;
  }

  /**
   * Begins the next slice, if there is one. `head` and `graves` must hold everything up to the revision that is removed to: where they do not reach
   * the compact revision yet, removal goes as far as they do, since every revision up to C is a state that a compaction could have left. A removal
   * begun goes on to its own end, however fast C moves.
   * @param reach as far as compaction and heads on disk allow
   * @param pinned compact revision of the oldest open image
   */
  advance(reach: number, pinned: number, others: Others): void {
    if (this.#running) return;
    const target = this.#target > 0 ? this.#target : Math.min(reach, pinned);
    if (target <= this.#finished || target > pinned) return;
    this.#running = true;
    this.#target = target;
    const { removeSliceRecords: maxRecords, removePassRecords: passRecords } = this.#o.limits;
    const fromMs = this.#o.monotonicMs();
    if (this.#fromMs === -1) this.#fromMs = fromMs;
    const appliedBefore = others.appliedIndex();
    this.#o.submit({ kind: 'remove', target, maxRecords, passRecords }, (result) => {
      if (result.kind === 'removed' && result.finished) this.#end(target);
      const tookMs = this.#o.monotonicMs() - fromMs;
      const restMs = others.appliedIndex() > appliedBefore && !others.isAwaited() ? tookMs * PAUSES : 0;
      this.#afterRest(restMs, () => {
        this.#running = false;
        this.#o.advance();
      });
    });
  }

  /** Rests, but not for ever: what is compacted faster than it is removed would pile up. */
  #afterRest(wantedMs: number, then: () => void): void {
    const restMs = Math.min(wantedMs, MAX_PAUSE_MS);
    const patient = this.#fromMs !== -1 && this.#o.monotonicMs() - this.#fromMs < PATIENCE_MS;
    if (restMs < 1 || !patient || this.#stopped || this.#o.setTimer === undefined) then();
    else {
      this.#timer = this.#o.setTimer(restMs, () => {
        this.#timer = null;
        then();
      });
    }
  }

  #end(target: number): void {
    this.#fromMs = -1;
    this.#o.view.reader.refresh();
    this.#finished = target;
    this.#target = 0;
    const ready = this.#waiting.filter(({ revision }) => revision <= target);
    for (const waiting of ready) this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    for (const { done } of ready) done(null);
  }

  /** Calls `done` once everything superseded at or below `revision` is gone. */
  wait(revision: number, done: Done): void {
    this.#waiting.push({ revision, done });
  }

  /** Who waits, who is then somebody else's to answer. */
  takeWaiting(): readonly Waiting[] {
    return this.#waiting.splice(0);
  }

  /** Another file is in use now: it may remember less of the removal than the last one did. */
  resume({ finished, target }: RemovalState): void {
    this.#finished = finished;
    this.#target = target;
  }

  /** Rests no more. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
  }
}
