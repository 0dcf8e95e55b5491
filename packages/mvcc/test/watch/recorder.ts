/**
 * A consumer that writes down what it is given, in words, and is full when the test says so.
 */
import type { EventGroup, KeyRecord, Watch, WatchConsumer, WatchOptions } from '@quorate/mvcc';

export interface Received {
  readonly kind: 'events' | 'progress' | 'compacted';
  readonly id: number | bigint | null;
  readonly revision: number;
  /** `put a@3 = v`, `delete a@4`, with `(was v@2)` when a previous record came along. */
  readonly events: readonly string[];
}

export class Recorder implements WatchConsumer {
  readonly received: Received[] = [];
  readonly groups: EventGroup[] = [];
  full = false;
  /** Becomes full by itself once this many responses wait. */
  capacity = Number.POSITIVE_INFINITY;

  isFull(): boolean {
    return this.full || this.received.length >= this.capacity;
  }

  onEvents(watch: Watch, group: EventGroup, headerRevision: number): void {
    const events = group.events().map((event) => {
      const { record } = event;
      const before = group.previousOf(event);
      const was = before === null ? '' : ` (was ${words(before)})`;
      return `${event.type} ${Buffer.from(record.key)}@${record.modRevision}${
        event.type === 'put' ? ` = ${Buffer.from(record.value)}` : ''
      }${was}`;
    });
    this.received.push({ kind: 'events', id: watch.id, revision: headerRevision, events });
    this.groups.push(group);
  }

  onProgress(watch: Watch | null, revision: number): void {
    this.received.push({ kind: 'progress', id: watch?.id ?? null, revision, events: [] });
  }

  onCompacted(watch: Watch, compactRevision: number): void {
    this.received.push({ kind: 'compacted', id: watch.id, revision: compactRevision, events: [] });
  }

  /** Events of one watch, in order of arrival. */
  eventsOf(id: number): string[] {
    return this.received
      .filter((entry) => entry.kind === 'events' && entry.id === id)
      .flatMap((entry) => entry.events);
  }
}

function words(record: KeyRecord): string {
  return `${Buffer.from(record.value)}@${record.modRevision}`;
}

/** Watch options with defaults; `end: '\0'` is everything from the key on. */
export function watching(
  key: string,
  options: Partial<Omit<WatchOptions, 'key' | 'end'>> & { end?: string } = {},
): WatchOptions {
  const { end, ...rest } = options;
  return {
    id: 0,
    key: Buffer.from(key, 'latin1'),
    end: end === undefined ? null : Buffer.from(end, 'latin1'),
    startRevision: 0,
    withoutPuts: false,
    withoutDeletes: false,
    withPrevious: false,
    progressNotify: false,
    fragment: false,
    ...rest,
  };
}

/** The options of every key with a prefix. */
export function prefix(text: string, options: Partial<Omit<WatchOptions, 'key' | 'end'>> = {}): WatchOptions {
  const end = text.slice(0, -1) + String.fromCharCode(text.charCodeAt(text.length - 1) + 1);
  return watching(text, { ...options, end });
}
