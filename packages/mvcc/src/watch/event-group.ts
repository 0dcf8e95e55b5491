/**
 * The events that one response carries, shared by all watches that want the same ones.
 *
 * While a round walks over events, each watch that matches moves one step down a tree: from the group it has to that
 * group's child for the event. Watches that matched the same events stand at the same node, whatever their ranges
 * and filters are, and nobody compares lists.
 *
 *   events a, b, c; watch 1 wants all, watches 2 and 3 want a and c:
 *
 *        root ── a ── b ── c   <- watch 1
 *                 └── c        <- watches 2 and 3: one group, encoded once
 */
import { CompactedError, type KeyRecord, type StoreEvent } from '../types.ts';
import type { WatchSource } from './types.ts';

/** Records before each event's revision, read at most once a round. */
export class PreviousRecords {
  readonly #source: WatchSource;
  readonly #known = new Map<StoreEvent, KeyRecord | null>();

  constructor(source: WatchSource) {
    this.#source = source;
  }

  /**
   * The key's record as it was before the event's revision. Null for a creation, and when that revision is compacted
   * (sem-120). A key changed twice in one revision has the same previous record in both events: the one before all of
   * that revision.
   */
  of(event: StoreEvent): KeyRecord | null {
    const known = this.#known.get(event);
    if (known !== undefined) return known;
    const previous = this.#read(event);
    this.#known.set(event, previous);
    return previous;
  }

  #read(event: StoreEvent): KeyRecord | null {
    const { record } = event;
    if (event.type === 'put' && record.createRevision === record.modRevision) return null;
    if (record.modRevision - 1 < this.#source.compactRevision) return null;
    try {
      const previous = this.#source.getAt(record.key, record.modRevision - 1);
      // A store may fetch a record's bytes on first use, which must be in the turn of the read.
      return previous === null || previous.encoded.length === 0 ? null : previous;
    } catch (error) {
      if (error instanceof CompactedError) return null;
      throw error;
    }
  }
}

export class EventGroup {
  readonly #parent: EventGroup | null;
  readonly #event: StoreEvent | null;
  readonly #previous: PreviousRecords | null;
  /** Most groups have one child: the first is kept without a map. */
  #firstEvent: StoreEvent | null = null;
  #firstChild: EventGroup | null = null;
  #children: Map<StoreEvent, EventGroup> | null = null;
  #memo: object | null = null;
  /** Number of events. */
  readonly size: number;
  /** Revision of the first event. */
  readonly firstRevision: number;

  private constructor(
    parent: EventGroup | null,
    event: StoreEvent | null,
    previous: PreviousRecords | null,
    firstRevision: number,
  ) {
    this.#parent = parent;
    this.#event = event;
    this.#previous = previous;
    this.size = parent === null ? 0 : parent.size + 1;
    this.firstRevision = firstRevision;
  }

  /** @param previous where previous records come from; null when the watches of this tree do not want them */
  static root(previous: PreviousRecords | null): EventGroup {
    return new EventGroup(null, null, previous, 0);
  }

  /** This group and one more event. */
  with(event: StoreEvent): EventGroup {
    if (this.#firstEvent === event) return this.#firstChild!;
    let child = this.#children?.get(event);
    if (child !== undefined) return child;
    const firstRevision = this.size === 0 ? event.record.modRevision : this.firstRevision;
    child = new EventGroup(this, event, this.#previous, firstRevision);
    if (this.#firstEvent === null) {
      this.#firstEvent = event;
      this.#firstChild = child;
    } else {
      this.#children ??= new Map();
      this.#children.set(event, child);
    }
    return child;
  }

  /** The events, in order of revision and sub revision. */
  events(): StoreEvent[] {
    const events = new Array<StoreEvent>(this.size);
    let group: EventGroup = this;
    for (let index = this.size - 1; index >= 0; index--) {
      events[index] = group.#event!;
      group = group.#parent!;
    }
    return events;
  }

  /** The record before `event`'s revision, when the watch asked for it and there is one. */
  previousOf(event: StoreEvent): KeyRecord | null {
    return this.#previous === null ? null : this.#previous.of(event);
  }

  /**
   * What the consumers make of this group (its encoding), made by the first of them and shared by the others. All
   * consumers of one hub must pass the same function.
   */
  memo<T extends object>(make: (group: EventGroup) => T): T {
    this.#memo ??= make(this);
    return this.#memo as T;
  }
}
