/**
 * Words to write histories by hand: short enough that a bad one can be read at a glance. For the tests of the checkers.
 *
 * Times are milliseconds. `put('c1', [0, 5], 'a', 'x', 2)`: client c1 put a=x from 0 to 5 and was answered revision 2.
 */
import type { Evidence } from './check-history.ts';
import type {
  HistoryCall,
  HistoryHash,
  HistoryStatus,
  HistoryWatch,
  RangeCall,
  RecordedAnswer,
  RecordedCall,
  RecordedKeyValue,
  TxnCall,
} from './history.ts';
import type { HistoryRevision, ObservedEvent, ObservedRecord } from './watch-record.ts';

export type Span = readonly [callMs: number, returnMs: number];

const NS_PER_MS = 1e6;

export function kv(
  key: string,
  value: string,
  create: number,
  mod = create,
  version = 1,
  lease = 0n,
): RecordedKeyValue {
  return { key, value, createRevision: create, modRevision: mod, version, lease };
}

export function ok(
  client: string,
  [callMs, returnMs]: Span,
  call: RecordedCall,
  answer: RecordedAnswer,
  revision: number,
  more: Partial<HistoryCall> = {},
): HistoryCall {
  return {
    client,
    call,
    callNs: callMs * NS_PER_MS,
    returnNs: returnMs * NS_PER_MS,
    outcome: { kind: 'ok', answer },
    endpoint: 'm1',
    member: 'm1',
    revision,
    term: 2,
    ...more,
  };
}

export function put(
  client: string,
  span: Span,
  key: string,
  value: string,
  revision: number,
  lease = 0n,
): HistoryCall {
  return ok(client, span, { kind: 'put', key, value, lease }, { kind: 'put', previous: null }, revision);
}

export function get(
  client: string,
  span: Span,
  key: string,
  found: RecordedKeyValue | null,
  revision: number,
  more: Partial<RangeCall> = {},
): HistoryCall {
  const kvs = found === null ? [] : [found];
  const answer = { kind: 'range', kvs, count: kvs.length, more: false } as const;
  return ok(client, span, { kind: 'range', key, end: '', ...more }, answer, revision);
}

export function remove(
  client: string,
  span: Span,
  key: string,
  deleted: number,
  revision: number,
): HistoryCall {
  return ok(
    client,
    span,
    { kind: 'delete', key, end: '' },
    { kind: 'delete', deleted, previous: [] },
    revision,
  );
}

/** Puts `value` when the key was last changed at `mod`; nothing otherwise. */
export function swap(key: string, mod: number, value: string): TxnCall {
  return {
    kind: 'txn',
    compare: [{ key, target: 'mod', result: 'equal', operand: mod }],
    success: [{ kind: 'put', key, value }],
    failure: [],
  };
}

export function swapped(
  client: string,
  span: Span,
  txn: TxnCall,
  succeeded: boolean,
  revision: number,
): HistoryCall {
  const responses: RecordedAnswer[] = succeeded
    ? txn.success.map(() => ({ kind: 'put', previous: null }))
    : [];
  return ok(client, span, txn, { kind: 'txn', succeeded, responses }, revision);
}

export function unknown(client: string, callMs: number, call: RecordedCall): HistoryCall {
  const outcome = { kind: 'unknown', error: 'time-out' } as const;
  const noAnswer = { returnNs: null, outcome, member: '', revision: 0, term: 0 };
  return { ...ok(client, [callMs, 0], call, { kind: 'compact' }, 0), ...noAnswer };
}

export function failed(client: string, span: Span, call: RecordedCall, error: string): HistoryCall {
  return ok(client, span, call, { kind: 'compact' }, 0, { outcome: { kind: 'failed', error } });
}

export function grant(client: string, span: Span, lease: bigint, ttlSec: number): HistoryCall {
  return ok(client, span, { kind: 'lease-grant', lease, ttlSec }, { kind: 'lease-grant', lease, ttlSec }, 1);
}

export function keepAlive(client: string, span: Span, lease: bigint, ttlSec: number): HistoryCall {
  return ok(client, span, { kind: 'lease-keepalive', lease }, { kind: 'lease-keepalive', ttlSec }, 1);
}

/** One revision: what it put (`kv(...)`) and what it deleted (`gone(...)`). */
export function revision(
  number: number,
  ...changes: (ObservedRecord & { deleted?: true })[]
): HistoryRevision {
  return {
    revision: number,
    events: changes.map(({ deleted, ...record }) => ({ type: deleted ? 'delete' : 'put', record })),
  };
}

export function gone(key: string, mod: number): ObservedRecord & { deleted: true } {
  return { ...kv(key, '', 0, mod, 0), deleted: true };
}

/** A watch of everything from revision 1, one response a revision. `seenMs`: when revisions arrived. */
export function drained(
  committed: readonly HistoryRevision[],
  member = 'm1',
  seenMs: Readonly<Record<number, number>> = {},
): HistoryWatch {
  const empty = { created: false, canceled: false, compactRevision: 0, fragment: false, events: [] };
  const last = committed.at(-1)?.revision ?? 1;
  const responses = committed.map(({ revision, events }) => ({
    ...empty,
    headerRevision: revision,
    events: events.map((event): ObservedEvent => ({ ...event, previous: null })),
    ...(seenMs[revision] === undefined ? {} : { atNs: seenMs[revision] * NS_PER_MS }),
  }));
  const created = { ...empty, created: true, headerRevision: last };
  return {
    member,
    endpoint: member,
    record: {
      key: '\0',
      end: '\0',
      withoutPuts: false,
      withoutDeletes: false,
      withPrevious: false,
      sessions: [{ startRevision: 1, responses: [created, ...responses] }],
    },
  };
}

export function status(atMs: number, member: string, more: Partial<HistoryStatus>): HistoryStatus {
  const quiet = { incarnation: 0, leader: '', term: 2, revision: 1, appliedIndex: 1 };
  return { atNs: atMs * NS_PER_MS, member, ...quiet, ...more };
}

export function hash(member: string, at: number, value: number, compactRevision = -1): HistoryHash {
  return { atNs: 0, member, revision: at, compactRevision, hash: value };
}

export function evidence(
  calls: readonly HistoryCall[],
  committed: readonly HistoryRevision[],
  more: Partial<Omit<Evidence, 'history'>> & {
    readonly statuses?: readonly HistoryStatus[];
    readonly hashes?: readonly HistoryHash[];
    readonly watches?: readonly HistoryWatch[];
  } = {},
): Evidence {
  const { statuses = [], hashes = [], watches = [], ...rest } = more;
  return {
    history: { calls, statuses, hashes, watches, faults: [] },
    drained: [drained(committed)],
    ...rest,
  };
}
