/**
 * A client that watches one range through the hub, writes down what it gets, and opens its watch again where it left
 * off when its stream is cut.
 */
import {
  type EventGroup,
  type KeyRecord,
  Watch,
  type WatchConsumer,
  type WatchHub,
  type WatchStream,
} from '@quorate/mvcc';
import type { ObservedRecord, WatchObservation, WatchRecord, WatchSession } from '@quorate/testing';
import { watching } from './recorder.ts';

export interface WatcherOptions {
  readonly key: string;
  readonly end: string | null;
  readonly startRevision: number;
  readonly withoutPuts: boolean;
  readonly withoutDeletes: boolean;
  readonly withPrevious: boolean;
  readonly progressNotify: boolean;
}

interface Session extends WatchSession {
  readonly responses: WatchObservation[];
}

export class Watcher implements WatchConsumer {
  readonly options: WatcherOptions;
  readonly sessions: Session[] = [];
  /** Responses that still fit before the consumer is full. */
  room = Number.POSITIVE_INFINITY;
  ended = false;
  readonly #hub: WatchHub;
  #stream: WatchStream;
  #watch: Watch;

  constructor(hub: WatchHub, options: WatcherOptions, revision: number) {
    this.#hub = hub;
    this.options = options;
    [this.#stream, this.#watch] = this.#open(options.startRevision, revision);
  }

  isFull(): boolean {
    return this.room <= 0;
  }

  onEvents(watch: Watch, group: EventGroup, headerRevision: number): void {
    this.#expectOwn(watch);
    const events = group.events().map((event) => {
      const before = group.previousOf(event);
      return { type: event.type, record: observed(event.record), previous: before && observed(before) };
    });
    this.#note({ headerRevision, events });
  }

  onProgress(watch: Watch | null, revision: number): void {
    if (watch !== null) this.#expectOwn(watch);
    this.#note({ headerRevision: revision });
  }

  onCompacted(watch: Watch, compactRevision: number): void {
    this.#expectOwn(watch);
    this.ended = true;
    this.#note({ headerRevision: 0, canceled: true, compactRevision });
  }

  requestProgress(): void {
    if (!this.#stream.closed) this.#stream.requestProgress();
  }

  /** The socket takes `count` more responses. */
  drain(count: number): void {
    const wasFull = this.isFull();
    this.room += count;
    if (wasFull && !this.isFull()) this.#stream.resume();
  }

  stall(): void {
    this.room = 0;
  }

  cancel(): void {
    if (this.ended) return;
    this.ended = true;
    this.#stream.cancel(this.#watch.id);
  }

  /** Loses the connection and comes back where it left off. */
  reconnect(revision: number): void {
    if (this.ended) return;
    this.#stream.close();
    this.room = Number.POSITIVE_INFINITY;
    [this.#stream, this.#watch] = this.#open(this.#position(), revision);
  }

  record(completeUpTo: number): WatchRecord {
    const { sessions, options } = this;
    return this.ended ? { ...options, sessions } : { ...options, sessions, completeUpTo };
  }

  /** First revision that it has not seen for sure. */
  #position(): number {
    let position = 0;
    for (const { startRevision, responses } of this.sessions) {
      if (position === 0) position = startRevision || responses[0]!.headerRevision + 1;
      for (const { events, created, canceled, headerRevision } of responses) {
        for (const event of events) position = Math.max(position, event.record.modRevision + 1);
        if (events.length === 0 && !created && !canceled) position = Math.max(position, headerRevision + 1);
      }
    }
    return position;
  }

  #open(startRevision: number, revision: number): [WatchStream, Watch] {
    const stream = this.#hub.openStream(this);
    const { key, end, ...rest } = this.options;
    const watch = stream.create(watching(key, { ...rest, startRevision, ...(end === null ? {} : { end }) }));
    if (!(watch instanceof Watch)) throw new Error(`refused: ${watch}`);
    this.sessions.push({ startRevision, responses: [] });
    this.#note({ headerRevision: revision, created: true });
    return [stream, watch];
  }

  #note(observation: Partial<WatchObservation> & { headerRevision: number }): void {
    this.room -= 1;
    this.sessions.at(-1)!.responses.push({
      created: false,
      canceled: false,
      compactRevision: 0,
      fragment: false,
      events: [],
      ...observation,
    });
  }

  #expectOwn(watch: Watch): void {
    if (watch !== this.#watch) throw new Error('news for a watch of a closed stream');
  }
}

export function observed(record: KeyRecord): ObservedRecord {
  return {
    key: Buffer.from(record.key).toString('latin1'),
    value: Buffer.from(record.value).toString('latin1'),
    createRevision: record.createRevision,
    modRevision: record.modRevision,
    version: record.version,
    lease: record.lease,
  };
}
