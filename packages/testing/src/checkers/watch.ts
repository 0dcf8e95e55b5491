/**
 * The promises of watches as functions over a recording: each says which promise was broken and where.
 *
 * They stand outside the server and know only the wire's words. The names follow the guarantees that etcd publishes
 * for watches (ordered, unique, reliable, atomic, resumable, bookmarkable) and add those of the single fields. That
 * each of them bites is shown by `watch.test.ts`, one bad recording per rule.
 */
import {
  type ObservedEvent,
  type ObservedRecord,
  type WatchHistory,
  type WatchObservation,
  type WatchRecord,
  type WatchSession,
  wants,
} from './watch-record.ts';

export interface Violation {
  readonly rule: string;
  readonly detail: string;
}

type Rule = (watch: WatchRecord, history: WatchHistory) => string | null;

/** Every broken promise of one watcher's recording; empty when all hold. */
export function checkWatch(watch: WatchRecord, history: WatchHistory): Violation[] {
  const violations: Violation[] = [];
  for (const [rule, check] of Object.entries(WATCH_RULES)) {
    const detail = check(watch, history);
    if (detail !== null) violations.push({ rule, detail });
  }
  return violations;
}

/** Events arrive in order of revision (sem-114). */
function ordered(watch: WatchRecord): string | null {
  let last = 0;
  for (const event of allEvents(watch)) {
    if (event.record.modRevision < last) return `${describe(event)} after revision ${last}`;
    last = event.record.modRevision;
  }
  return null;
}

/** No event twice, over all sessions (sem-114). One key may change twice in one revision: then as often as it did. */
function unique(watch: WatchRecord, history: WatchHistory): string | null {
  const seen = new Map<string, number>();
  for (const event of allEvents(watch)) {
    const { key, value, createRevision, modRevision, version, lease } = event.record;
    const name = [modRevision, event.type, key, createRevision, version, lease, value].join('/');
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    const happened = history
      .at(event.record.modRevision)
      ?.events.filter((candidate) => same(candidate, event));
    if (count > Math.max(1, happened?.length ?? 0)) return `${describe(event)} came ${count} times`;
  }
  return null;
}

/** A revision is never spread over two responses, fragments of one response put together (sem-115, sem-118). */
function atomic(watch: WatchRecord): string | null {
  for (const session of watch.sessions) {
    let last = 0;
    for (const response of joinFragments(session)) {
      const first = response.events[0];
      if (first === undefined) continue;
      if (first.record.modRevision === last) return `revision ${last} came in two responses`;
      last = response.events.at(-1)!.record.modRevision;
    }
  }
  return null;
}

/** Between the start and the last news nothing that the watch wants is missing and nothing is added (sem-108, sem-114). */
function reliable(watch: WatchRecord, history: WatchHistory): string | null {
  const from = firstRevision(watch);
  if (from === null) return null;
  const last = allEvents(watch).reduce((greatest, event) => Math.max(greatest, event.record.modRevision), 0);
  const missing = firstDifference([...history.wantedBy(watch, from, last)], allEvents(watch));
  return missing;
}

/** The first event of a session is the first that there is at its start revision or after it (sem-108). */
function resumable(watch: WatchRecord, history: WatchHistory): string | null {
  for (const session of watch.sessions) {
    const from = sessionStart(session);
    const first = session.responses.flatMap((response) => response.events)[0];
    if (from === null || first === undefined) continue;
    const [expected] = history.wantedBy(watch, from, Number.POSITIVE_INFINITY);
    if (expected === undefined || !same(expected, first)) {
      return `started at ${from} with ${describe(first)}, there was ${expected ? describe(expected) : 'nothing'}`;
    }
  }
  return null;
}

/** Progress at R: all up to R has come, nothing up to R comes later, and R never falls (sem-123, sem-125). */
function bookmarkable(watch: WatchRecord, history: WatchHistory): string | null {
  for (const session of watch.sessions) {
    const from = sessionStart(session);
    if (from === null) continue;
    const seen: ObservedEvent[] = [];
    let promised = 0;
    for (const response of session.responses) {
      for (const event of response.events) {
        if (event.record.modRevision <= promised) return `${describe(event)} after progress at ${promised}`;
        seen.push(event);
      }
      if (!isProgress(response)) continue;
      const { headerRevision } = response;
      if (headerRevision < promised) return `progress fell from ${promised} to ${headerRevision}`;
      promised = headerRevision;
      const due = [...history.wantedBy(watch, from, promised)];
      if (due.length > seen.length) return `progress at ${promised} before ${describe(due[seen.length]!)}`;
    }
  }
  return null;
}

/** Each event is one that happened, field by field. */
function faithful(watch: WatchRecord, history: WatchHistory): string | null {
  for (const event of allEvents(watch)) {
    const happened = history.at(event.record.modRevision)?.events ?? [];
    if (!happened.some((candidate) => same(candidate, event))) return `${describe(event)} never happened`;
  }
  return null;
}

/** A put with create revision = mod revision is a creation, and only such a one (sem-121). */
function creation(watch: WatchRecord, history: WatchHistory): string | null {
  for (const event of allEvents(watch)) {
    if (event.type !== 'put') continue;
    const { key, createRevision, modRevision } = event.record;
    const existed = history.recordAt(key, modRevision - 1) !== null;
    const goneBetween = (history.at(modRevision)?.events ?? []).some(
      (other) => other.type === 'delete' && other.record.key === key,
    );
    if (createRevision === modRevision && existed && !goneBetween) return `${describe(event)} is no creation`;
    if (createRevision !== modRevision && !existed) return `${describe(event)} is a creation`;
  }
  return null;
}

/** The previous record is that of revision - 1, only when asked for; it may be missing when compacted (sem-120). */
function previous(watch: WatchRecord, history: WatchHistory): string | null {
  for (const event of allEvents(watch)) {
    const { key, createRevision, modRevision } = event.record;
    const isCreation = event.type === 'put' && createRevision === modRevision;
    const expected = watch.withPrevious && !isCreation ? history.recordAt(key, modRevision - 1) : null;
    if (event.previous === null) {
      if (expected !== null && modRevision - 1 >= history.compactRevision)
        return `${describe(event)} lacks it`;
    } else if (expected === null || !sameRecord(expected, event.previous)) {
      return `${describe(event)} has a wrong one of revision ${event.previous.modRevision}`;
    }
  }
  return null;
}

/** Nothing outside the range, nothing of a kind that is filtered out (sem-119). */
function filtered(watch: WatchRecord): string | null {
  for (const event of allEvents(watch)) if (!wants(watch, event)) return `${describe(event)} is not wanted`;
  return null;
}

/** One created message a session, before anything else (sem-107). */
function createdOnce(watch: WatchRecord): string | null {
  for (const { responses } of watch.sessions) {
    if (responses.length > 0 && !responses[0]!.created) return 'something came before created';
    const count = responses.filter((response) => response.created).length;
    if (count > 1) return `created ${count} times`;
  }
  return null;
}

/** After the end comes nothing (sem-113). */
function silentAfterCancel(watch: WatchRecord): string | null {
  for (const { responses } of watch.sessions) {
    const end = responses.findIndex((response) => response.canceled);
    if (end >= 0 && end !== responses.length - 1)
      return `${responses.length - 1 - end} responses after the end`;
  }
  return null;
}

/** An end by compaction names a compact revision that the watch had not reached (sem-111, sem-112). */
function compactedCancel(watch: WatchRecord): string | null {
  for (const session of watch.sessions) {
    const from = sessionStart(session);
    let next = from ?? 0;
    for (const response of session.responses) {
      for (const event of response.events) next = Math.max(next, event.record.modRevision + 1);
      if (response.compactRevision === 0) continue;
      if (!response.canceled) return 'a compact revision without an end';
      if (response.compactRevision <= next)
        return `ended for ${response.compactRevision}, but was at ${next}`;
    }
  }
  return null;
}

/** Everything up to the claimed revision arrived in the end. */
function complete(watch: WatchRecord, history: WatchHistory): string | null {
  const from = firstRevision(watch);
  if (watch.completeUpTo === undefined || from === null) return null;
  return firstDifference([...history.wantedBy(watch, from, watch.completeUpTo)], allEvents(watch));
}

/** Every rule by its name. */
export const WATCH_RULES: Readonly<Record<string, Rule>> = {
  ordered,
  unique,
  atomic,
  reliable,
  resumable,
  bookmarkable,
  faithful,
  creation,
  previous,
  filtered,
  createdOnce,
  silentAfterCancel,
  compactedCancel,
  complete,
};

function allEvents(watch: WatchRecord): ObservedEvent[] {
  return watch.sessions.flatMap((session) => session.responses.flatMap((response) => response.events));
}

function firstRevision(watch: WatchRecord): number | null {
  const [first] = watch.sessions;
  return first === undefined ? null : sessionStart(first);
}

/** First revision that the session is about; null when it was never created. */
function sessionStart(session: WatchSession): number | null {
  const created = session.responses.find((response) => response.created);
  if (created === undefined) return null;
  return session.startRevision > 0 ? session.startRevision : created.headerRevision + 1;
}

function isProgress(response: WatchObservation): boolean {
  return response.events.length === 0 && !response.created && !response.canceled && !response.fragment;
}

function joinFragments(session: WatchSession): { events: readonly ObservedEvent[] }[] {
  const joined: { events: ObservedEvent[] }[] = [];
  let open: ObservedEvent[] = [];
  for (const response of session.responses) {
    open.push(...response.events);
    if (response.fragment) continue;
    joined.push({ events: open });
    open = [];
  }
  if (open.length > 0) joined.push({ events: open });
  return joined;
}

/** Where what came differs from what should have; null when nowhere. */
function firstDifference(
  expected: readonly Omit<ObservedEvent, 'previous'>[],
  came: readonly ObservedEvent[],
): string | null {
  for (let index = 0; index < Math.max(expected.length, came.length); index++) {
    const due = expected[index];
    const event = came[index];
    if (due === undefined) return `${describe(event!)} is too much`;
    if (event === undefined || !same(due, event)) {
      return `instead of ${describe(due)} came ${event === undefined ? 'nothing' : describe(event)}`;
    }
  }
  return null;
}

function same(one: Omit<ObservedEvent, 'previous'>, other: Omit<ObservedEvent, 'previous'>): boolean {
  return one.type === other.type && sameRecord(one.record, other.record);
}

function sameRecord(one: ObservedRecord, other: ObservedRecord): boolean {
  return (
    one.key === other.key &&
    one.value === other.value &&
    one.createRevision === other.createRevision &&
    one.modRevision === other.modRevision &&
    one.version === other.version &&
    one.lease === other.lease
  );
}

function describe(event: Omit<ObservedEvent, 'previous'>): string {
  return `${event.type} ${JSON.stringify(event.record.key)} at ${event.record.modRevision}`;
}
