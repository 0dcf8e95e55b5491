/**
 * Committed entries in order, a slice of time at a time.
 *
 * Raft hands entries over in batches; each is decoded and applied, its changes go to the watchers and its outcome to
 * whoever waits. Applying is synchronous, so between slices of a few milliseconds the loop lets the sockets be read. When
 * the store has no room (the disk does not keep up), the loop waits; requests then pile up behind the committed index,
 * and new ones are refused (sem-013).
 *
 * Any error here is fatal: `onFatal` ends the member before another entry is touched.
 */
import { type EventBatch, StoreBusyError } from '@quorate/mvcc';
import { type ConfState, decodeConfChange, type Entry, EntryType } from '@quorate/raft';
import { decodeEntry } from '../consensus/entry-codec.ts';
import type { Env, Timer } from '../env.ts';
import { type DecodedChange, decodeChange } from '../membership/change.ts';
import type { Operation } from '../operations.ts';
import type { Applied, Applier } from './applier.ts';

export interface ApplyLoopHost {
  /** Changes that became visible, in order of revision. */
  onEvents(events: EventBatch): void;
  /** One entry's outcome; `data` is the entry as it was applied. */
  onOutcome(origin: number, sequence: number, data: Uint8Array, operation: Operation, applied: Applied): void;
  /** Asks raft to put a committed change into force. @returns null when it does not fit and was refused */
  onConfChange(entry: Entry): ConfState | null;
  /** A change of the configuration was applied or refused; `entry.data` as it was proposed. */
  onConfChangeApplied(entry: Entry, decoded: DecodedChange, applied: Applied): void;
  /** Everything up to `index` is applied; called once per slice. */
  onProgress(index: number): void;
  /** A run of entries that ends with `index` took longer than it should have. */
  onSlow(index: number, elapsedMs: number): void;
  onFatal(error: Error): void;
}

/** Longest time without looking at the sockets. */
const SLICE_MS = 4;
/** The clock is read once in so many entries. */
const ENTRIES_PER_LOOK = 16;
const BUSY_RETRY_MS = 2;

export class ApplyLoop {
  readonly #applier: Applier;
  readonly #env: Env;
  readonly #host: ApplyLoopHost;
  readonly #slowMs: number;
  #queue: (readonly Entry[])[] = [];
  /** Position in the first batch of the queue. */
  #at = 0;
  #appliedIndex: number;
  #scheduled = false;
  #retry: Timer | null = null;
  #ended = false;
  #slowRunsTotal = 0;

  /** @param slowMs what a run of at most `ENTRIES_PER_LOOK` entries may take without being called slow */
  constructor(
    applier: Applier,
    env: Env,
    host: ApplyLoopHost,
    { appliedIndex, slowMs }: { readonly appliedIndex: number; readonly slowMs: number },
  ) {
    this.#applier = applier;
    this.#env = env;
    this.#host = host;
    this.#slowMs = slowMs;
    this.#appliedIndex = appliedIndex;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /**
   * Runs of entries that took long. A run stands for its slowest entry: the clock is not read for each, and quick ones are done in
   * microseconds.
   */
  get slowRunsTotal(): number {
    return this.#slowRunsTotal;
  }

  get idle(): boolean {
    return this.#queue.length === 0;
  }

  /** Takes the next committed entries and applies what a slice allows at once, when nothing is before them. */
  push(entries: readonly Entry[]): void {
    if (entries.length === 0 || this.#ended) return;
    this.#queue.push(entries);
    if (!this.#scheduled && this.#retry === null) this.#slice();
  }

  /** Drops what waits: it is part of a state that will take the place of this one. */
  clear(): void {
    this.#queue = [];
    this.#at = 0;
    this.#retry?.cancel();
    this.#retry = null;
  }

  /** Another state is in place, that of `index`. */
  restartAt(index: number): void {
    this.clear();
    this.#appliedIndex = index;
  }

  end(): void {
    this.#ended = true;
    this.#queue = [];
    this.#retry?.cancel();
  }

  #slice(): void {
    this.#scheduled = false;
    if (this.#ended) return;
    try {
      const before = this.#appliedIndex;
      const waits = this.#applyFor(SLICE_MS);
      if (this.#appliedIndex > before) this.#host.onProgress(this.#appliedIndex);
      if (this.#ended || this.#queue.length === 0 || waits) return;
      this.#scheduled = true;
      this.#env.afterPoll(() => this.#slice());
    } catch (error) {
      this.end();
      this.#host.onFatal(error as Error);
    }
  }

  /** @returns whether the store is busy and a retry is set */
  #applyFor(sliceMs: number): boolean {
    let runMs = this.#env.monotonicMs();
    const endMs = runMs + sliceMs;
    let untilLook = ENTRIES_PER_LOOK;
    while (this.#queue.length > 0 && !this.#ended) {
      const batch = this.#queue[0]!;
      try {
        this.#applyOne(batch[this.#at]!);
      } catch (error) {
        if (!(error instanceof StoreBusyError)) throw error;
        this.#retry = this.#env.setTimer(BUSY_RETRY_MS, () => {
          this.#retry = null;
          this.#slice();
        });
        return true;
      }
      this.#at++;
      if (this.#at === batch.length) {
        this.#queue.shift();
        this.#at = 0;
      }
      if (--untilLook > 0 && this.#queue.length > 0) continue;
      const nowMs = this.#env.monotonicMs();
      this.#judge(nowMs - runMs);
      if (nowMs >= endMs) break;
      runMs = nowMs;
      untilLook = ENTRIES_PER_LOOK;
    }
    return false;
  }

  #judge(elapsedMs: number): void {
    if (elapsedMs <= this.#slowMs) return;
    this.#slowRunsTotal++;
    this.#host.onSlow(this.#appliedIndex, elapsedMs);
  }

  #applyOne(entry: Entry): void {
    if (entry.type === EntryType.confChange) {
      const decoded = decodeChange(decodeConfChange(entry.data));
      const applied = this.#applier.applyConfChange(entry, decoded, () => this.#host.onConfChange(entry));
      this.#appliedIndex = entry.index;
      this.#host.onConfChangeApplied(entry, decoded, applied);
      return;
    }
    if (entry.data.length === 0) {
      this.#applier.applyEmpty(entry.index, entry.term);
      this.#appliedIndex = entry.index;
      return;
    }
    const { origin, sequence, operation } = decodeEntry(entry.data);
    const applied = this.#applier.apply(entry.index, entry.term, operation);
    this.#appliedIndex = entry.index;
    if (applied.events !== null) this.#host.onEvents(applied.events);
    this.#host.onOutcome(origin, sequence, entry.data, operation, applied);
  }
}
