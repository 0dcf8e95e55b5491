/**
 * The watch hub: hands the store's changes to whoever watches them.
 *
 * Parts: `live.ts` feeds watches that keep up, `catch-up.ts` those that are behind, `stream.ts` is a client's set of
 * watches, `round.ts` delivers, `matcher.ts` finds who wants a key, `event-group.ts` shares what several want.
 *
 * Everything happens in turns of the hub's own, never in the applier's: `publish` only notes the batch. A turn gives
 * a slice of time to live delivery, then one to a catch-up walk, and comes again while there is work. So a write is
 * answered before its watchers are served, and no number of watchers holds up the loop for longer than the slices.
 *
 * What each watch can rely on: its events come in order of revision, each once, none left out, all of one revision
 * in one `onEvents`; and progress at R comes after every event up to R.
 */

import { assert } from '../assert.ts';
import type { EventBatch } from '../types.ts';
import { CatchUp } from './catch-up.ts';
import { LiveSet } from './live.ts';
import type { Delivery } from './round.ts';
import { type StreamHost, WatchStream } from './stream.ts';
import {
  WATCH_DEFAULTS,
  type WatchConsumer,
  type WatchHubOptions,
  type WatchRuntime,
  type WatchSource,
  type WatchStats,
} from './types.ts';
import type { Watch } from './watch.ts';

/** Watches of ended streams that are taken out in one turn. */
const FORGET_PER_TURN = 2_000;

export class WatchHub {
  readonly #source: WatchSource;
  readonly #runtime: WatchRuntime;
  readonly #sliceMs: number;
  readonly #live: LiveSet;
  readonly #catchUp: CatchUp;
  readonly #streams = new Set<WatchStream>();
  readonly #progressWanted = new Set<WatchStream>();
  /** What streams may ask of the hub. */
  readonly #host: StreamHost;
  /** Watches of ended streams, still in their homes. */
  #leaving: Iterator<Watch>[] = [];
  #scheduled = false;
  #closed = false;
  #eventsDelivered = 0;

  constructor(source: WatchSource, runtime: WatchRuntime, options: WatchHubOptions = {}) {
    const { progressIntervalMs, sliceMs, sliceBytes } = { ...WATCH_DEFAULTS, ...options };
    this.#source = source;
    this.#runtime = runtime;
    this.#sliceMs = sliceMs;
    const delivery: Delivery = {
      monotonicMs: () => runtime.monotonicMs(),
      park: (watch) => {
        watch.home?.remove(watch);
        watch.stream.park(watch);
      },
      delivered: (eventCount) => {
        this.#eventsDelivered += eventCount;
      },
    };
    this.#live = new LiveSet(source, runtime, delivery);
    this.#catchUp = new CatchUp({
      source,
      runtime,
      delivery,
      live: this.#live,
      sliceMs,
      sliceBytes,
      onCompacted: (watch) => this.#endCompacted(watch),
    });
    this.#host = {
      progressIntervalMs,
      currentRevision: () => source.revision,
      setTimer: (delayMs, callback) => runtime.setTimer(delayMs, callback),
      randomInt: (bound) => runtime.randomInt(bound),
      place: (watch) => this.#place(watch),
      wantProgress: (stream) => {
        this.#progressWanted.add(stream);
        this.#schedule();
      },
      forget: (stream, watches) => {
        this.#streams.delete(stream);
        this.#progressWanted.delete(stream);
        this.#leaving.push(watches);
        this.#schedule();
      },
    };
  }

  openStream(consumer: WatchConsumer): WatchStream {
    assert(!this.#closed, 'an ended hub opens no stream');
    const stream = new WatchStream(this.#host, consumer);
    this.#streams.add(stream);
    return stream;
  }

  /** A revision was applied and is visible. To be called for every one, in order. */
  publish(batch: EventBatch): void {
    if (this.#live.size === 0 && this.#catchUp.idle) return;
    this.#live.publish(batch);
    this.#schedule();
  }

  /** The store moved ahead in another way (a snapshot was installed): watches go on from their positions (sem-127). */
  storeAdvanced(): void {
    this.#schedule();
  }

  stats(): WatchStats {
    let watches = 0;
    for (const stream of this.#streams) watches += stream.size;
    return {
      streams: this.#streams.size,
      watches,
      slowWatches: Math.max(0, watches - this.#live.size),
      eventsDelivered: this.#eventsDelivered,
    };
  }

  /** Ends all streams without a word to their consumers. */
  close(): void {
    this.#closed = true;
    for (const stream of [...this.#streams]) stream.close();
    this.#leaving = [];
  }

  #place(watch: Watch): void {
    if (watch.next >= this.#live.cursor) this.#live.add(watch);
    else this.#catchUp.add(watch);
    this.#schedule();
  }

  #endCompacted(watch: Watch): void {
    const { stream } = watch;
    stream.end(watch);
    if (!stream.closed) stream.consumer.onCompacted(watch, this.#source.compactRevision);
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    this.#runtime.afterPoll(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#closed) return;
    const deadlineMs = this.#runtime.monotonicMs() + this.#sliceMs;
    this.#live.run(deadlineMs, (watch) => this.#endCompacted(watch));
    if (this.#live.current) this.#reportProgress();
    this.#catchUp.runSlice();
    this.#forgetSome();
    if (!this.#live.current || !this.#catchUp.idle || this.#leaving.length > 0) this.#schedule();
  }

  #reportProgress(): void {
    for (const stream of this.#progressWanted) {
      if (!stream.reportProgress(this.#source.revision)) this.#progressWanted.delete(stream);
    }
  }

  #forgetSome(): void {
    let forgotten = 0;
    while (this.#leaving.length > 0 && forgotten < FORGET_PER_TURN) {
      const { done, value: watch } = this.#leaving.at(-1)!.next();
      if (done) {
        this.#leaving.pop();
      } else {
        watch.home?.remove(watch);
        watch.state = 'closed';
        forgotten += 1;
      }
    }
  }
}
