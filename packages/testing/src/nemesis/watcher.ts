/**
 * A watcher that never gives up: it records what one member tells it, and after every lost connection opens its watch
 * again right after the last event (or progress) it had.
 */
import type { WatchResponse } from '@quorate/proto';
import type { HistoryWatch } from '../checkers/history.ts';
import type {
  ObservedEvent,
  ObservedRecord,
  WatchObservation,
  WatchRecord,
} from '../checkers/watch-record.ts';
import { bytes, recordOf, text } from '../checkers/wire-messages.ts';
import { Connection } from '../cluster/connection.ts';

export interface WatcherOptions {
  readonly key: string;
  /** Empty: one key. */
  readonly end: string;
  /** 0: from the next change. */
  readonly startRevision: number;
  readonly withPrevious?: boolean;
  readonly withoutDeletes?: boolean;
  readonly withoutPuts?: boolean;
  /** Absent: times are not written down. */
  readonly nowNs?: () => number;
  /** Asks for progress twice a second, and resumes after what it was told. */
  readonly askProgress?: boolean;
}

const RETRY_MS = 50;
const PROGRESS_MS = 500;

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #connection: Connection;
  readonly #sessions: { startRevision: number; responses: WatchObservation[] }[] = [];
  readonly member: string;
  #stream: ReturnType<Connection['watch']> | null = null;
  #retry: NodeJS.Timeout | null = null;
  readonly #progress: NodeJS.Timeout | null;
  #closed = false;
  /** All up to here has arrived: the last event or progress. */
  reached: number;
  /** How often it had to open its watch again. */
  resumes = 0;
  /** Set when the server ended the watch for good. */
  ended: string | null = null;

  constructor(member: string, endpoint: string, options: WatcherOptions) {
    this.member = member;
    this.#options = options;
    this.#connection = new Connection(endpoint);
    this.reached = Math.max(0, options.startRevision - 1);
    this.#open();
    // Progress tells that nothing was missed while nothing came.
    const ask = () => this.#stream?.askProgress();
    this.#progress = (options.askProgress ?? true) ? setInterval(ask, PROGRESS_MS) : null;
  }

  #open(): void {
    const {
      key,
      end,
      startRevision,
      withPrevious = false,
      withoutDeletes,
      withoutPuts,
      nowNs,
    } = this.#options;
    const from = this.#sessions.length === 0 || this.reached === 0 ? startRevision : this.reached + 1;
    const session = { startRevision: from, responses: [] as WatchObservation[] };
    this.#sessions.push(session);
    const filters = [...(withoutPuts ? [0] : []), ...(withoutDeletes ? [1] : [])];
    const request = {
      key: bytes(key),
      rangeEnd: bytes(end),
      startRevision: from,
      prevKv: withPrevious,
      filters,
    };
    this.#stream = this.#connection.watch(request, {
      onResponse: (response) => {
        session.responses.push(observation(response, nowNs));
        this.#advance(response, from);
        if (response.canceled) {
          this.ended = response.cancelReason || `compacted at ${response.compactRevision}`;
          this.#closed = true;
        }
      },
      onEnd: () => {
        this.#stream = null;
        // A session that was never answered says nothing; it would only look like one without `created`.
        if (session.responses.length === 0) this.#sessions.splice(this.#sessions.indexOf(session), 1);
        if (this.#closed) return;
        this.#retry = setTimeout(() => {
          this.resumes++;
          this.#open();
        }, RETRY_MS);
      },
    });
  }

  #advance(response: WatchResponse, from: number): void {
    const last = response.events.at(-1)?.kv?.modRevision;
    if (last !== undefined) this.reached = Math.max(this.reached, Number(last));
    else if (response.created && from === 0) this.reached = Number(response.header?.revision ?? 0n);
    else if (!response.created && !response.canceled)
      this.reached = Math.max(this.reached, Number(response.header?.revision ?? 0n));
  }

  recording(completeUpTo?: number): HistoryWatch {
    const { key, end, withPrevious = false, withoutDeletes = false, withoutPuts = false } = this.#options;
    const record: WatchRecord = {
      key,
      end: end === '' ? null : end,
      withoutPuts,
      withoutDeletes,
      withPrevious,
      sessions: this.#sessions,
      ...(completeUpTo === undefined ? {} : { completeUpTo }),
    };
    return { member: this.member, endpoint: this.#connection.endpoint, record };
  }

  close(): void {
    this.#closed = true;
    if (this.#progress !== null) clearInterval(this.#progress);
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#stream?.cancel();
    this.#connection.close();
  }
}

function observation(response: WatchResponse, nowNs: (() => number) | undefined): WatchObservation {
  return {
    headerRevision: Number(response.header?.revision ?? 0n),
    created: response.created,
    canceled: response.canceled,
    compactRevision: Number(response.compactRevision),
    fragment: response.fragment,
    events: response.events.map((event): ObservedEvent => {
      const kv = event.kv;
      if (kv === undefined) throw new Error('an event without a key');
      return {
        type: event.type === 0 ? 'put' : 'delete',
        record: event.type === 0 ? recordOf(kv) : deletedRecord(text(kv.key), Number(kv.modRevision)),
        previous: event.prevKv === undefined ? null : recordOf(event.prevKv),
      };
    }),
    ...(nowNs === undefined ? {} : { atNs: nowNs() }),
  };
}

function deletedRecord(key: string, modRevision: number): ObservedRecord {
  return { key, value: '', createRevision: 0, modRevision, version: 0, lease: 0n };
}
