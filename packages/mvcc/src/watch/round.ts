/**
 * One round of delivery: match some revisions against one home's watches, then hand each watch its group.
 *
 * The two steps are apart so that a watch gets one response for all of a revision (sem-115), and so that handing over
 * can stop when its time is up and go on in a later turn: the list of touched watches and a position are all there is
 * to remember. Previous records that were asked for are read in between, in the same way. Watches may end or be parked in between; what they had found is then dropped.
 */
import type { EventBatch, StoreEvent } from '../types.ts';
import { EventGroup, PreviousRecords } from './event-group.ts';
import type { Matcher, WatchEntry } from './matcher.ts';
import type { WatchSource } from './types.ts';
import { text, type Watch } from './watch.ts';

/** Looking at the clock costs about as much as one delivery; so not before every one. */
const DELIVERIES_PER_LOOK = 16;
const READS_PER_LOOK = 64;

export interface Delivery {
  /** Takes a watch whose consumer is full out of its home. */
  park(watch: Watch): void;
  monotonicMs(): number;
  /** Counts events handed over. */
  delivered(eventCount: number): void;
}

export class Round {
  readonly #touched: Watch[] = [];
  readonly #plain = EventGroup.root(null);
  readonly #previous: PreviousRecords;
  readonly #withPrevious: EventGroup;
  readonly #hits: WatchEntry[] = [];
  /** Events whose previous records some watch wants: read ahead of the handing over, since a revision may have many. */
  readonly #wanted: StoreEvent[] = [];
  #read = 0;
  #position = 0;

  constructor(source: WatchSource) {
    this.#previous = new PreviousRecords(source);
    this.#withPrevious = EventGroup.root(this.#previous);
  }

  /** Adds one revision. @returns the number of (event, watch) matches */
  match(batch: EventBatch, matcher: Matcher): number {
    let matchCount = 0;
    for (const event of batch.events) {
      const hits = this.#hits;
      hits.length = 0;
      matcher.match(text(event.record.key), hits);
      const isPut = event.type === 'put';
      let wanted = false;
      for (const entry of hits) {
        const { watches } = entry;
        matchCount += watches.length;
        for (let slot = 0; slot < watches.length; slot++) {
          const watch = watches[slot]!;
          if (batch.revision < watch.next) continue;
          if (isPut ? watch.withoutPuts : watch.withoutDeletes) continue;
          let group = watch.group;
          if (group === null) {
            this.#touched.push(watch);
            group = watch.withPrevious ? this.#withPrevious : this.#plain;
          }
          watch.group = group.with(event);
          wanted ||= watch.withPrevious;
        }
      }
      if (wanted) this.#wanted.push(event);
    }
    return matchCount;
  }

  /**
   * Hands over what was found, until `deadlineMs`; at least a little, so that a round ends.
   * @param headerRevision see `WatchConsumer.onEvents`
   * @param next first revision after the round
   * @returns whether everything was handed over
   */
  deliver(delivery: Delivery, headerRevision: number, next: number, deadlineMs: number): boolean {
    const touched = this.#touched;
    while (this.#read < this.#wanted.length) {
      this.#previous.of(this.#wanted[this.#read++]!);
      if (this.#read % READS_PER_LOOK === 0 && delivery.monotonicMs() >= deadlineMs) return false;
    }
    while (this.#position < touched.length) {
      const watch = touched[this.#position++]!;
      const group = watch.group;
      watch.group = null;
      // The watch, or its whole stream, may have ended since it was matched.
      if (group !== null && !watch.stream.closed) {
        const { consumer } = watch.stream;
        if (consumer.isFull()) {
          watch.next = Math.max(watch.next, group.firstRevision);
          delivery.park(watch);
        } else {
          watch.next = next;
          watch.busy = true;
          delivery.delivered(group.size);
          consumer.onEvents(watch, group, headerRevision);
        }
      }
      if (this.#position % DELIVERIES_PER_LOOK === 0 && delivery.monotonicMs() >= deadlineMs) break;
    }
    return this.#position >= touched.length;
  }
}
