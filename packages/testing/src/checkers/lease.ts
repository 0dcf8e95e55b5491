/**
 * Leases as intervals of time: a lease lives at least for its TTL after its last renewal, not much longer, and all
 * its keys go at once.
 *
 * All times are of the history's clock, so the lower bound is sound without any tolerance: a renewal that was answered
 * was made after its call, hence nothing may be seen to expire before that call + TTL. The upper bound is about a
 * healthy cluster: times without a majority and leader changes (each may start the whole TTL again) are added to it.
 */
import { isLeaseEnd, Replay } from './committed.ts';
import type { History, HistoryCall, RecordedCall } from './history.ts';
import { isOk } from './real-time.ts';
import type { Violation } from './watch.ts';
import type { HistoryRevision, WatchHistory } from './watch-record.ts';

export const LEASE_RULES = [
  'leaseNotBefore',
  'leaseNotAfter',
  'renewedAfterEnd',
  'leaseAtomic',
  'leaseKeys',
  'grantedTwice',
] as const;
export type LeaseRule = (typeof LEASE_RULES)[number];

export interface LeaseBounds {
  /** End of the recording. Absent: no upper bound is checked. */
  readonly endNs?: number;
  /** When there was no healthy majority. */
  readonly disturbed?: readonly { readonly fromNs: number; readonly toNs: number }[];
  /** When the leader changed; each may add a TTL and an election. */
  readonly leaderChangesNs?: readonly number[];
  readonly electionTimeoutMs?: number;
  /** What is tolerated beyond all that. */
  readonly slackMs?: number;
}

/** What is usual beyond the TTL: the lessor looks twice a second, and the revocation has to be committed. */
const SLACK_MS = 2_000;
const NS_PER_MS = 1e6;

interface Lease {
  readonly id: bigint;
  readonly grants: HistoryCall[];
  /** Grants and keep-alives that were answered with a time to live. */
  readonly renewals: { readonly call: HistoryCall; readonly ttlNs: number }[];
  readonly revokes: HistoryCall[];
}

interface Expiry {
  readonly revision: number;
  /** When somebody first saw it; null: nobody wrote down when. */
  readonly seenNs: number | null;
}

export function checkLeases(
  history: History,
  committed: WatchHistory,
  bounds: LeaseBounds = {},
): Violation[] {
  const violations: Violation[] = [];
  const report = (rule: LeaseRule, detail: string) => violations.push({ rule, detail });
  const leases = collect(history.calls);
  const { expiries, held } = findExpiries(history, committed, leases, report);
  for (const lease of leases.values()) {
    const name = `lease ${lease.id.toString(16)}`;
    if (lease.grants.filter(isOk).length > 1 && lease.revokes.length === 0 && !expiries.has(lease.id))
      report('grantedTwice', `${name} was granted twice and never ended`);
    checkBounds(lease, expiries.get(lease.id), held.has(lease.id), bounds, report);
    checkRenewals(lease, expiries.get(lease.id), report);
  }
  checkTimeToLive(history.calls, committed, report);
  return violations;
}

function collect(calls: readonly HistoryCall[]): Map<bigint, Lease> {
  const leases = new Map<bigint, Lease>();
  for (const call of calls) {
    if (!('lease' in call.call) || call.call.kind === 'put') continue;
    const id = call.call.lease;
    const lease = leases.get(id) ?? { id, grants: [], renewals: [], revokes: [] };
    leases.set(id, lease);
    if (call.call.kind === 'lease-grant' && call.outcome.kind !== 'failed') lease.grants.push(call);
    if (call.call.kind === 'lease-revoke' && call.outcome.kind !== 'failed') lease.revokes.push(call);
    const answer = isOk(call) ? call.outcome.answer : null;
    if ((answer?.kind === 'lease-grant' || answer?.kind === 'lease-keepalive') && answer.ttlSec > 0)
      lease.renewals.push({ call, ttlNs: answer.ttlSec * 1000 * NS_PER_MS });
  }
  return leases;
}

/** Revisions in which keys of a lease went without anybody's call; and which leases hold keys in the end. */
function findExpiries(
  history: History,
  committed: WatchHistory,
  leases: ReadonlyMap<bigint, Lease>,
  report: (rule: LeaseRule, detail: string) => void,
): { expiries: Map<bigint, Expiry>; held: Set<bigint> } {
  const expiries = new Map<bigint, Expiry>();
  const replay = new Replay(committed);
  const seen = firstSeen(history);
  const unknown = history.calls.filter(({ outcome }) => outcome.kind === 'unknown');
  for (const entry of committed.revisions) {
    const before = replay.at(entry.revision - 1);
    const lease = leases.get(leaseOf(entry, before));
    if (lease === undefined || deletedByCall(history.calls, entry.revision)) continue;
    if (unknown.some(({ call }) => entry.events.some(({ record }) => mayDelete(call, record.key)))) continue;
    if (!isLeaseEnd(entry, before))
      report(
        'leaseAtomic',
        `revision ${entry.revision} took some keys of lease ${lease.id.toString(16)}, not all`,
      );
    else if (lease.revokes.length === 0)
      expiries.set(lease.id, { revision: entry.revision, seenNs: seen.get(entry.revision) ?? null });
  }
  const kept = replay.at(committed.revisions.at(-1)?.revision ?? 1);
  return { expiries, held: new Set([...kept.values()].map((kv) => kv.lease)) };
}

function leaseOf(entry: HistoryRevision, before: ReadonlyMap<string, { readonly lease: bigint }>): bigint {
  const [first] = entry.events;
  return first?.type === 'delete' ? (before.get(first.record.key)?.lease ?? 0n) : 0n;
}

function deletedByCall(calls: readonly HistoryCall[], revision: number): boolean {
  return calls.some(
    (call) =>
      isOk(call) && call.revision === revision && (call.call.kind === 'delete' || call.call.kind === 'txn'),
  );
}

function mayDelete(call: RecordedCall, key: string): boolean {
  if (call.kind === 'txn') return [...call.success, ...call.failure].some((step) => mayDelete(step, key));
  if (call.kind !== 'delete') return false;
  if (call.end === '') return call.key === key;
  return key >= call.key && (call.end === '\0' || key < call.end);
}

/** When each revision first arrived at a watcher that notes times. */
function firstSeen(history: History): Map<number, number> {
  const seen = new Map<number, number>();
  for (const { record } of history.watches) {
    for (const { responses } of record.sessions) {
      for (const { events, atNs } of responses) {
        if (atNs === undefined) continue;
        for (const { record: changed } of events)
          seen.set(changed.modRevision, Math.min(atNs, seen.get(changed.modRevision) ?? atNs));
      }
    }
  }
  return seen;
}

function checkBounds(
  lease: Lease,
  expiry: Expiry | undefined,
  held: boolean,
  bounds: LeaseBounds,
  report: (rule: LeaseRule, detail: string) => void,
): void {
  const name = `lease ${lease.id.toString(16)}`;
  const seenNs = expiry?.seenNs ?? null;
  if (seenNs !== null) {
    for (const { call, ttlNs } of lease.renewals) {
      if (call.callNs > seenNs || seenNs >= call.callNs + ttlNs) continue;
      const early = Math.round((call.callNs + ttlNs - seenNs) / NS_PER_MS);
      report(
        'leaseNotBefore',
        `${name} was seen to expire (revision ${expiry!.revision}) ${early} ms before its time`,
      );
      break;
    }
  }
  if (bounds.endNs === undefined || lease.revokes.length > 0 || lease.renewals.length === 0) return;
  // An open keep-alive may have renewed it at any later time.
  if (lease.renewals.length === 0 || (expiry === undefined && !held)) return;
  const goneNs = seenNs ?? (held ? bounds.endNs : null);
  if (goneNs === null) return;
  const lastNs = Math.max(...lease.renewals.map(({ call }) => call.returnNs!));
  const ttlNs = Math.max(...lease.renewals.map((renewal) => renewal.ttlNs));
  const deadlineNs =
    lastNs + ttlNs + allowance(lastNs, goneNs, ttlNs, bounds) + (bounds.slackMs ?? SLACK_MS) * NS_PER_MS;
  if (goneNs > deadlineNs)
    report(
      'leaseNotAfter',
      `${name} lived ${Math.round((goneNs - deadlineNs) / NS_PER_MS)} ms past its time`,
    );
}

function allowance(fromNs: number, toNs: number, ttlNs: number, bounds: LeaseBounds): number {
  const overlaps = (bounds.disturbed ?? []).map((time) =>
    Math.max(0, Math.min(time.toNs, toNs) - Math.max(time.fromNs, fromNs)),
  );
  const changes = (bounds.leaderChangesNs ?? []).filter((at) => at >= fromNs && at <= toNs).length;
  const election = (bounds.electionTimeoutMs ?? 1000) * NS_PER_MS;
  return overlaps.reduce((sum, overlap) => sum + overlap, 0) + changes * (ttlNs + 2 * election);
}

/** Nothing is renewed after its end was known: a revocation answered, or an expiry seen. */
function checkRenewals(
  lease: Lease,
  expiry: Expiry | undefined,
  report: (rule: LeaseRule, detail: string) => void,
): void {
  const ends = lease.revokes.filter(isOk).map((call) => call.returnNs!);
  if (expiry?.seenNs != null) ends.push(expiry.seenNs);
  const endNs = Math.min(...ends, Number.POSITIVE_INFINITY);
  for (const { call } of lease.renewals) {
    if (call.call.kind !== 'lease-keepalive' || call.callNs <= endNs) continue;
    report('renewedAfterEnd', `${call.client} renewed lease ${lease.id.toString(16)} after it had ended`);
  }
}

/** Time-to-live lists the keys that the lease held at some revision. */
function checkTimeToLive(
  calls: readonly HistoryCall[],
  committed: WatchHistory,
  report: (rule: LeaseRule, detail: string) => void,
): void {
  const asked = calls.filter(
    (call) =>
      isOk(call) && call.outcome.answer.kind === 'lease-time-to-live' && call.outcome.answer.ttlSec >= 0,
  );
  if (asked.length === 0) return;
  const held = new Map<bigint, Set<string>>();
  const replay = new Replay(committed);
  const wanted = new Set(asked.map((call) => ('lease' in call.call ? call.call.lease : 0n)));
  for (const id of wanted) held.set(id!, new Set(['']));
  for (const { revision } of committed.revisions) {
    const byLease = new Map<bigint, string[]>();
    for (const kv of replay.at(revision).values())
      if (wanted.has(kv.lease)) byLease.set(kv.lease, [...(byLease.get(kv.lease) ?? []), kv.key]);
    for (const [id, keys] of byLease) held.get(id)!.add(keys.sort().join('\0'));
  }
  for (const call of asked) {
    if (!isOk(call) || call.outcome.answer.kind !== 'lease-time-to-live' || !('lease' in call.call)) continue;
    const keys = [...call.outcome.answer.keys].sort();
    if (!held.get(call.call.lease!)!.has(keys.join('\0')))
      report(
        'leaseKeys',
        `lease ${call.call.lease!.toString(16)} never held exactly ${JSON.stringify(keys)}`,
      );
  }
}
