/**
 * One watch, and where it stands.
 *
 *              start in the past                 caught up with the live cursor
 *   created ───────────────────────▶ catching-up ──────────────────────────────▶ live ◀── created, start now or later
 *                                      │    ▲                                      │
 *                     consumer is full │    │ consumer has room again              │ consumer is full
 *                                      ▼    │                                      │
 *                                      parked ◀────────────────────────────────────┘
 *   Any of them ──▶ closed (cancelled, compacted, or the stream has ended).
 *
 * Position: a watch has been given everything that it wants below `next`. While it sits in a home (live set or
 * walk) `next` may lag behind the home's cursor, which then counts for it: the position is max(next, cursor). It is
 * written back when the watch leaves, and so no watch that matched nothing costs anything.
 */
import type { EventGroup } from './event-group.ts';
import type { WatchEntry } from './matcher.ts';
import type { WatchStream } from './stream.ts';
import type { WatchId, WatchOptions } from './types.ts';

export type WatchState = 'live' | 'catching-up' | 'parked' | 'closed';

/** What holds watches and feeds them: the live set, or a catch-up walk. */
export interface WatchHome {
  /** Every member has been given, or has in a running round, all that it wants below this. */
  readonly cursor: number;
  remove(watch: Watch): void;
}

export class Watch {
  readonly id: WatchId;
  readonly stream: WatchStream;
  /** Key or range start as latin1 text; see `interval-tree.ts`. */
  readonly low: string;
  readonly high: string | null;
  readonly single: boolean;
  readonly withoutPuts: boolean;
  readonly withoutDeletes: boolean;
  readonly withPrevious: boolean;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
  /** First revision wanted, 0 for the next change: no progress is reported before the store has reached it (sem-124). */
  readonly startRevision: number;

  state: WatchState = 'parked';
  /** First revision that may still have to be given; see the header. */
  next: number;
  home: WatchHome | null = null;
  /** Place in the home's matcher. */
  entry: WatchEntry | null = null;
  slot = 0;
  /** What the running round has found for this watch so far; null: nothing. */
  group: EventGroup | null = null;
  /** Had events since the last progress tick. */
  busy = false;

  constructor(stream: WatchStream, id: WatchId, options: WatchOptions, next: number) {
    this.id = id;
    this.stream = stream;
    this.low = text(options.key);
    const end = options.end;
    this.single = end === null;
    this.high = end === null || (end.length === 1 && end[0] === 0) ? null : text(end);
    this.withoutPuts = options.withoutPuts;
    this.withoutDeletes = options.withoutDeletes;
    this.withPrevious = options.withPrevious;
    this.progressNotify = options.progressNotify;
    this.fragment = options.fragment;
    this.startRevision = options.startRevision;
    this.next = next;
  }
}

/** Bytes as latin1 text, one character a byte: a map key that compares like the bytes. */
export function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
