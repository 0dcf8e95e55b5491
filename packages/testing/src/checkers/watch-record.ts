/**
 * What a test writes down about watches: the history that happened, and what one watcher saw of it.
 *
 * Keys and values are text (latin1 for bytes), revisions are numbers. One watcher may have had several sessions: after
 * a lost connection a client opens its watch again where it left off.
 */

/** A record as events carry it; absent fields of a delete are 0 and empty. */
export interface ObservedRecord {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export interface ObservedEvent {
  readonly type: 'put' | 'delete';
  readonly record: ObservedRecord;
  readonly previous: ObservedRecord | null;
}

/** One response message. `watchId` is left to the caller: a session holds one watch's responses. */
export interface WatchObservation {
  readonly headerRevision: number;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly fragment: boolean;
  readonly events: readonly ObservedEvent[];
  /** When it arrived, nanoseconds of the recording's clock; absent where nobody asks. */
  readonly atNs?: number;
}

export interface WatchSession {
  /** As requested; 0 for the next change. */
  readonly startRevision: number;
  readonly responses: readonly WatchObservation[];
}

export interface WatchRecord {
  readonly key: string;
  /** Null: the single key; `\0`: everything from `key` on; else `[key, end)`. */
  readonly end: string | null;
  readonly withoutPuts: boolean;
  readonly withoutDeletes: boolean;
  readonly withPrevious: boolean;
  readonly sessions: readonly WatchSession[];
  /** Everything up to here must have arrived by the end of the recording; absent: no such claim. */
  readonly completeUpTo?: number;
}

/** All changes of one revision, in order of sub revision. */
export interface HistoryRevision {
  readonly revision: number;
  readonly events: readonly Omit<ObservedEvent, 'previous'>[];
}

/** What truly happened, from revision 2 on. */
export class WatchHistory {
  readonly revisions: readonly HistoryRevision[];
  /** Reads below it may fail; -1: none. */
  readonly compactRevision: number;
  readonly #byRevision = new Map<number, HistoryRevision>();
  readonly #byKey = new Map<string, ObservedRecord[]>();

  constructor(revisions: readonly HistoryRevision[], compactRevision = -1) {
    this.revisions = revisions;
    this.compactRevision = compactRevision;
    for (const entry of revisions) {
      this.#byRevision.set(entry.revision, entry);
      for (const { type, record } of entry.events) {
        const versions = this.#byKey.get(record.key) ?? [];
        this.#byKey.set(record.key, versions);
        versions.push(type === 'delete' ? { ...record, version: 0 } : record);
      }
    }
  }

  at(revision: number): HistoryRevision | undefined {
    return this.#byRevision.get(revision);
  }

  /** The record of `key` as it was after `revision`; null when it did not exist. */
  recordAt(key: string, revision: number): ObservedRecord | null {
    const record = (this.#byKey.get(key) ?? []).findLast((version) => version.modRevision <= revision);
    return record === undefined || record.version === 0 ? null : record;
  }

  /** Events of revisions in `[from, to]` that the watch wants, in order. */
  *wantedBy(watch: WatchRecord, from: number, to: number): Generator<Omit<ObservedEvent, 'previous'>> {
    for (const { revision, events } of this.revisions) {
      if (revision < from || revision > to) continue;
      for (const event of events) if (wants(watch, event)) yield event;
    }
  }
}

export function wants(watch: WatchRecord, event: Omit<ObservedEvent, 'previous'>): boolean {
  if (event.type === 'put' ? watch.withoutPuts : watch.withoutDeletes) return false;
  const { key } = event.record;
  if (watch.end === null) return key === watch.key;
  return key >= watch.key && (watch.end === '\0' || key < watch.end);
}
