/**
 * Watches that keep up, and the cursor that they share.
 *
 * The live set follows the head of the store: one revision, one round, one response per interested watch (sem-116).
 * Batches come straight from the applier and wait here for the hub's next turn; when delivery is slower than writing
 * for long, only a bounded number waits and the rest is read back from the store. So a key with a hundred thousand
 * watches costs the writer nothing but the turn's fair share.
 */

import { assert } from '../assert.ts';
import type { EventBatch } from '../types.ts';
import { Matcher } from './matcher.ts';
import { type Delivery, Round } from './round.ts';
import type { WatchRuntime, WatchSource } from './types.ts';
import type { Watch, WatchHome } from './watch.ts';

/** Revisions that wait for delivery by reference, and bytes of their events; beyond either they are read from the store. */
const MAX_WAITING_BATCHES = 4_096;
const MAX_WAITING_BYTES = 8 << 20;
const READ_BYTES = 512 * 1024;

export class LiveSet implements WatchHome {
  readonly #source: WatchSource;
  readonly #delivery: Delivery;
  readonly #matcher: Matcher;
  /** Contiguous revisions, `#waiting[#head]` being that of `#cursor`; empty when there is none or when they must be read. */
  #waiting: EventBatch[] = [];
  #head = 0;
  #waitingBytes = 0;
  /** First revision that is neither delivered nor in the running round. */
  #cursor: number;
  #round: { readonly round: Round; readonly revision: number } | null = null;

  constructor(source: WatchSource, runtime: WatchRuntime, delivery: Delivery) {
    this.#source = source;
    this.#delivery = delivery;
    this.#matcher = new Matcher((bound) => runtime.randomInt(bound));
    this.#cursor = source.revision + 1;
  }

  /** Of an empty set it is the head of the store: what nobody waits for is not walked over. */
  get cursor(): number {
    if (this.#matcher.size === 0 && this.#round === null) this.#skipTo(this.#source.revision + 1);
    return this.#cursor;
  }

  get size(): number {
    return this.#matcher.size;
  }

  /** Whether every member has been given everything up to the store's revision. */
  get current(): boolean {
    return this.#round === null && this.cursor > this.#source.revision;
  }

  /** Takes in a watch whose position is at the cursor or beyond. */
  add(watch: Watch): void {
    assert(watch.next >= this.cursor, 'a live watch is not behind', watch.next, this.#cursor);
    watch.state = 'live';
    watch.home = this;
    this.#matcher.add(watch);
  }

  remove(watch: Watch): void {
    this.#matcher.delete(watch);
    watch.home = null;
    watch.group = null;
  }

  /** A revision was applied. Revisions may be left out: they are read from the store. */
  publish(batch: EventBatch): void {
    const waitingCount = this.#waiting.length - this.#head;
    if (this.#matcher.size === 0 || waitingCount >= MAX_WAITING_BATCHES) return;
    if (this.#waitingBytes >= MAX_WAITING_BYTES || batch.revision !== this.#cursor + waitingCount) return;
    this.#waiting.push(batch);
    this.#waitingBytes += bytesOf(batch);
  }

  /**
   * Delivers until everything is, or until the deadline.
   * @param onCompacted called for members that need history which is gone
   */
  run(deadlineMs: number, onCompacted: (watch: Watch) => void): void {
    while (true) {
      if (this.#round !== null) {
        const { round, revision } = this.#round;
        if (!round.deliver(this.#delivery, revision, revision + 1, deadlineMs)) return;
        this.#round = null;
      }
      if (this.#matcher.size === 0) return;
      const batch = this.#take(onCompacted);
      if (batch === null) return;
      const round = new Round(this.#source);
      round.match(batch, this.#matcher);
      this.#cursor = batch.revision + 1;
      this.#round = { round, revision: batch.revision };
      if (this.#delivery.monotonicMs() >= deadlineMs) return;
    }
  }

  /** The next revision, from those that wait or else from the store; null at the head. */
  #take(onCompacted: (watch: Watch) => void): EventBatch | null {
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
      if (this.#cursor > this.#source.revision) return null;
      if (this.#cursor < this.#source.compactRevision) this.#passCompaction(onCompacted);
      const { batches, next } = this.#source.readEvents(this.#cursor, READ_BYTES);
      if (batches.length === 0) {
        this.#cursor = Math.max(this.#cursor, next);
        return null;
      }
      this.#waiting = [...batches];
      for (const batch of batches) this.#waitingBytes += bytesOf(batch);
    }
    const batch = this.#waiting[this.#head]!;
    // Delivered ones are let go of while others still wait behind them.
    this.#waiting[this.#head] = GONE;
    this.#head += 1;
    this.#waitingBytes -= bytesOf(batch);
    return batch;
  }

  /** History between the cursor and the compact revision is gone: who needs it ends, the others go on from there. */
  #passCompaction(onCompacted: (watch: Watch) => void): void {
    const { compactRevision } = this.#source;
    const lost: Watch[] = [];
    this.#matcher.forEach((watch) => {
      if (watch.next < compactRevision) lost.push(watch);
    });
    for (const watch of lost) onCompacted(watch);
    this.#cursor = compactRevision;
  }

  #skipTo(revision: number): void {
    if (revision <= this.#cursor) return;
    this.#waiting = [];
    this.#head = 0;
    this.#waitingBytes = 0;
    this.#cursor = revision;
  }
}

const GONE: EventBatch = { revision: 0, events: [] };

function bytesOf(batch: EventBatch): number {
  let bytes = 0;
  for (const { encoded } of batch.events) bytes += encoded.length;
  return bytes;
}
