/**
 * What the watch hub needs from the world, and what it gives to its users.
 *
 * The hub turns the store's history into streams: every watch sees all changes of its key range from its start
 * revision on, in order, each once. It holds no sockets and no clock of its own. Read on in `hub.ts`.
 */
import type { Store } from '../types.ts';
import type { EventGroup } from './event-group.ts';
import type { Watch } from './watch.ts';

/** The part of a store that watches read. */
export type WatchSource = Pick<Store, 'revision' | 'compactRevision' | 'readEvents' | 'getAt'>;

/** Time, scheduling and chance; the server's `Env` is one. */
export interface WatchRuntime {
  /** Monotonic milliseconds, with fractions. */
  monotonicMs(): number;
  /** Runs `callback` once, not before `delayMs` from now. */
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
  /** Runs `callback` soon, after the events that are waiting now have been handled. */
  afterPoll(callback: () => void): void;
  /** Uniform integer in `[0, bound)`. */
  randomInt(bound: number): number;
}

/**
 * The receiving end of a stream of watches. The hub calls it from its own turns, never from inside
 * `WatchStream.create`, so a caller can announce a watch before its first event.
 */
export interface WatchConsumer {
  /**
   * Whether it wants no more events for now. Asked before each `onEvents`. Once it said true it must call
   * `WatchStream.resume` when it has room again: until then watches that have news wait, parked, in the log.
   */
  isFull(): boolean;
  /**
   * Changes for one watch, whole revisions in order: all of one revision while the watch keeps up, several
   * revisions at once while it catches up.
   * @param group shared by every watch that gets the same events; valid during this call
   * @param headerRevision the revision of the changes when the watch keeps up, else the store's when they were read
   */
  onEvents(watch: Watch, group: EventGroup, headerRevision: number): void;
  /**
   * Everything up to and including `revision` was handed over.
   * @param watch the watch that this is true for; null: every watch of the stream, as asked for by `requestProgress`
   */
  onProgress(watch: Watch | null, revision: number): void;
  /** History that the watch still needed was compacted: the watch has ended. */
  onCompacted(watch: Watch, compactRevision: number): void;
}

export interface WatchOptions {
  /** Wanted id, free on its stream; 0 takes the next free one (counting from 0). */
  readonly id: WatchId;
  readonly key: Uint8Array;
  /** Null: the one key. One zero byte: every key from `key` on. Otherwise `[key, end)`. */
  readonly end: Uint8Array | null;
  /** First revision wanted; 0: the next change; beyond the present: nothing before it is sent. */
  readonly startRevision: number;
  readonly withoutPuts: boolean;
  readonly withoutDeletes: boolean;
  /** Events carry the record as it was before their revision. */
  readonly withPrevious: boolean;
  /** Tell the consumer now and then how far an idle watch is. */
  readonly progressNotify: boolean;
  /** For the consumer alone: responses may be cut into fragments. */
  readonly fragment: boolean;
}

/** Ids are signed 64-bit numbers of the client's choice: a `number` when that holds them exactly, else a `bigint`. */
export type WatchId = number | bigint;

/** Why a watch is not created. */
export type WatchRefusal = 'EMPTY_RANGE' | 'DUPLICATE_ID' | 'COMPACTED';

export interface WatchHubOptions {
  /** Mean time between progress reports of idle watches; up to a tenth is added by chance, so that streams spread. */
  readonly progressIntervalMs?: number;
  /** Time that live delivery, and then catching up, may each take of one turn. */
  readonly sliceMs?: number;
  /** Event bytes that one catch-up read asks for: about the size of a catch-up response. */
  readonly sliceBytes?: number;
}

export const WATCH_DEFAULTS = {
  progressIntervalMs: 600_000,
  /** Short against a heartbeat, long against the cost of a turn. */
  sliceMs: 2,
  /** Well below the 4 MB that many gRPC clients accept by default, previous values included. */
  sliceBytes: 512 * 1024,
} as const satisfies Required<WatchHubOptions>;

export interface WatchStats {
  readonly streams: number;
  readonly watches: number;
  /** Watches that are behind: parked or catching up. */
  readonly slowWatches: number;
  /** Events handed to consumers since the start. */
  readonly eventsDelivered: number;
}
