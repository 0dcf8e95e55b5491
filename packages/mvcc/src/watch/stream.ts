/**
 * A client's set of watches: ids, parking and progress. One per connection stream; made by `WatchHub.openStream`.
 *
 * A stream has one consumer and therefore one measure of fullness. When the consumer is full, a watch of the stream
 * that has news is *parked*: it leaves the hub's structures, costs nothing, and holds no events. The others stay where
 * they are until they have news too. `resume` sends the parked ones to catch up from the log, each at its own position.
 */
import { assert } from '../assert.ts';
import type { WatchConsumer, WatchId, WatchOptions, WatchRefusal } from './types.ts';
import { Watch } from './watch.ts';

/** The hub, as its streams see it. */
export interface StreamHost {
  /** The store's revision. */
  currentRevision(): number;
  readonly progressIntervalMs: number;
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
  randomInt(bound: number): number;
  /** Gives a watch that is in no home one, by its position. */
  place(watch: Watch): void;
  /** Calls `stream.reportProgress` once live delivery is up to date. */
  wantProgress(stream: WatchStream): void;
  /** Takes all watches of a closed stream out of their homes, some at a time. */
  forget(stream: WatchStream, watches: Iterator<Watch>): void;
}

export class WatchStream {
  readonly consumer: WatchConsumer;
  readonly #host: StreamHost;
  readonly #watches = new Map<WatchId, Watch>();
  readonly #parked = new Set<Watch>();
  #nextId = 0;
  #closed = false;
  #requestedCount = 0;
  /** Requests that came while the consumer was full: they wait until it has room and its watches have caught up. */
  #deferredCount = 0;
  #tickDue = false;
  #ticker: { cancel(): void } | null = null;

  constructor(host: StreamHost, consumer: WatchConsumer) {
    this.#host = host;
    this.consumer = consumer;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Number of open watches. */
  get size(): number {
    return this.#watches.size;
  }

  /**
   * Opens a watch. Its events come in later turns, so the caller can announce it first.
   * @returns the watch, or why there is none
   */
  create(options: WatchOptions): Watch | WatchRefusal {
    assert(!this.#closed, 'an ended stream opens no watch');
    // The order of these checks is what a client sees when several apply (sem-104, sem-105, sem-110).
    if (options.startRevision < 0) return 'COMPACTED';
    if (isEmptyRange(options)) return 'EMPTY_RANGE';
    if (options.id !== 0 && this.#watches.has(options.id)) return 'DUPLICATE_ID';
    const id = options.id === 0 ? this.#freeId() : options.id;
    const next = options.startRevision === 0 ? this.#host.currentRevision() + 1 : options.startRevision;
    const watch = new Watch(this, id, options, next);
    this.#watches.set(id, watch);
    this.#host.place(watch);
    if (watch.progressNotify) this.#startTicker();
    return watch;
  }

  /** @returns whether there was such a watch */
  cancel(id: WatchId): boolean {
    const watch = this.#watches.get(id);
    if (watch === undefined) return false;
    this.end(watch);
    return true;
  }

  /** Takes a watch off: it is given nothing more. */
  end(watch: Watch): void {
    watch.home?.remove(watch);
    watch.state = 'closed';
    this.#parked.delete(watch);
    this.#watches.delete(watch.id);
  }

  /** Puts a watch that is in no home aside until `resume`. */
  park(watch: Watch): void {
    watch.state = 'parked';
    this.#parked.add(watch);
  }

  /** The consumer has room again. */
  resume(): void {
    if (this.#closed) return;
    if (this.#deferredCount > 0) this.#host.wantProgress(this);
    if (this.#parked.size === 0) return;
    const parked = [...this.#parked];
    this.#parked.clear();
    for (const watch of parked) this.#host.place(watch);
  }

  /**
   * Asks for one `onProgress(null, revision)`. It comes after all events that are due now; when some watch is
   * behind, or before its start revision, or there is no watch, it does not come at all (sem-124). Asked for while the consumer is full,
   * it comes once that has drained and been given everything.
   */
  requestProgress(): void {
    if (this.consumer.isFull()) {
      // `resume` goes on with it.
      this.#deferredCount += 1;
      return;
    }
    this.#requestedCount += 1;
    this.#host.wantProgress(this);
  }

  /**
   * Called by the hub when every live watch has been given everything up to `revision`.
   * @returns whether some request still waits for watches to catch up: to be called again
   */
  reportProgress(revision: number): boolean {
    const requestedCount = this.#requestedCount;
    const tickDue = this.#tickDue;
    this.#requestedCount = 0;
    this.#tickDue = false;
    if (this.#closed) return false;
    if (tickDue) this.#reportIdle(revision);
    if (requestedCount + this.#deferredCount === 0) return false;
    if (this.consumer.isFull()) {
      this.#deferredCount += requestedCount;
      return false;
    }
    if (this.#watches.size === 0) this.#deferredCount = 0;
    if (!this.#allUpTo(revision)) return this.#deferredCount > 0;
    let due = requestedCount + this.#deferredCount;
    for (; due > 0 && !this.consumer.isFull(); due--) this.consumer.onProgress(null, revision);
    this.#deferredCount = due;
    return false;
  }

  /** Ends all watches. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ticker?.cancel();
    this.#parked.clear();
    this.#host.forget(this, this.#watches.values());
  }

  /** Automatic progress: for watches that asked for it and had no events since the last tick (sem-122). */
  #reportIdle(revision: number): void {
    for (const watch of this.#watches.values()) {
      if (!watch.progressNotify) continue;
      const idle = !watch.busy;
      watch.busy = false;
      if (idle && isUpTo(watch, revision) && !this.consumer.isFull()) {
        this.consumer.onProgress(watch, revision);
      }
    }
  }

  #allUpTo(revision: number): boolean {
    if (this.#watches.size === 0) return false;
    for (const watch of this.#watches.values()) if (!isUpTo(watch, revision)) return false;
    return true;
  }

  #startTicker(): void {
    if (this.#ticker !== null) return;
    const intervalMs = this.#host.progressIntervalMs;
    const jitterMs = this.#host.randomInt(Math.max(1, Math.floor(intervalMs / 10)));
    this.#ticker = this.#host.setTimer(intervalMs + jitterMs, () => {
      this.#ticker = null;
      this.#tickDue = true;
      this.#host.wantProgress(this);
      this.#startTicker();
    });
  }

  #freeId(): number {
    while (this.#watches.has(this.#nextId)) this.#nextId += 1;
    return this.#nextId++;
  }
}

/** Whether "everything up to `revision` was sent" is true and worth saying: a future watch has nothing to say yet. */
function isUpTo(watch: Watch, revision: number): boolean {
  return watch.state === 'live' && watch.startRevision <= revision;
}

/** `[key, end)` without a key in it. One zero byte as the end stands for no end. */
function isEmptyRange({ key, end }: WatchOptions): boolean {
  if (end === null || (end.length === 1 && end[0] === 0)) return false;
  return Buffer.compare(key, end) >= 0;
}
