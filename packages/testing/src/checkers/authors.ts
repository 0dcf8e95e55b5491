/**
 * Who made each revision: one call that says so, or one whose value is in it, or a lease that ended; and where none of these
 * did, a *vague* call: an unanswered delete or txn without a value of its own in the story.
 *
 * A vague call may have happened once at most, and not before it began. So what is left without an author and the vague calls are
 * matched, each with one (augmenting paths: Kuhn 1955, in the form of Berge's lemma): were every revision allowed to point at the
 * same unanswered delete, a server that applies a delete twice would pass.
 *
 * Worked example. Two unanswered deletes of `a`, the second begun after revision 4 was known. Revisions 3 and 5 delete `a`,
 * with a put between them. The first delete could have made either, the second only 5: the matching gives 3 to the first. With
 * the first alone, one of the two revisions is made by nobody.
 */
import { EtcdModel } from '../model/etcd-model.ts';
import { isLeaseEnd, Replay } from './committed.ts';
import type { HistoryCall, RecordedCall } from './history.ts';
import type { Report } from './linearizable.ts';
import { type KeyValues, runOnModel, tookRevision } from './model-call.ts';
import { isOk, knownRevisions, named } from './real-time.ts';
import type { HistoryRevision, WatchHistory } from './watch-record.ts';

/** Each revision was made by one call, or by a lease that ended; each acknowledged write is there. */
export function checkAuthors(
  calls: readonly HistoryCall[],
  committed: WatchHistory,
  placed: ReadonlyMap<HistoryCall, number>,
  report: Report,
): void {
  const byRevision = new Map<number, HistoryCall[]>();
  const claim = (call: HistoryCall, revision: number) =>
    byRevision.set(revision, [...(byRevision.get(revision) ?? []), call]);
  for (const [call, revision] of placed) claim(call, revision);
  for (const call of calls) {
    if (!isOk(call) || !tookRevision(call.call, call.outcome.answer)) continue;
    claim(call, call.revision);
    if (committed.at(call.revision) === undefined)
      report('lostWrite', `${named(call)} was acknowledged as revision ${call.revision}, which is not there`);
  }
  const vague = vagueCalls(calls, placed);
  const orphans = new Map<HistoryRevision, HistoryCall[]>();
  const replay = new Replay(committed);
  for (const entry of committed.revisions) {
    const before = replay.at(entry.revision - 1);
    const authors = byRevision.get(entry.revision) ?? [];
    if (authors.length > 1)
      report('oneAuthor', `revision ${entry.revision}: ${authors.map(named).join(', ')}`);
    const [author] = authors;
    if (author !== undefined) {
      if (!makes(author.call, entry, before))
        report('effects', `${named(author)} does not make revision ${entry.revision} (${describe(entry)})`);
    } else if (!isLeaseEnd(entry, before)) {
      const might = vague.filter(
        ({ after, call }) => entry.revision > after && makes(call.call, entry, before),
      );
      orphans.set(
        entry,
        might.map(({ call }) => call),
      );
    }
  }
  for (const entry of withoutPartner(orphans)) {
    const might = orphans.get(entry)!;
    const but = might.length === 0 ? '' : `: ${might.map(named).join(', ')} made another`;
    report('explained', `nobody made revision ${entry.revision} (${describe(entry)})${but}`);
  }
}

/** Unanswered writes that the story does not place, each with the last revision known when it began. */
function vagueCalls(
  calls: readonly HistoryCall[],
  placed: ReadonlyMap<HistoryCall, number>,
): { readonly call: HistoryCall; readonly after: number }[] {
  const known = knownRevisions(calls);
  return calls
    .filter(
      ({ outcome, call }) => outcome.kind === 'unknown' && (call.kind === 'delete' || call.kind === 'txn'),
    )
    .filter((call) => !placed.has(call))
    .map((call) => ({ call, after: known(call.callNs).revision }));
}

/** Those that are left over when as many as possible have a partner of their own. */
function withoutPartner<One, Other>(wishes: ReadonlyMap<One, readonly Other[]>): One[] {
  const taken = new Map<Other, One>();
  /** Finds a partner for `one`, making those in its way look for another. */
  const settle = (one: One, tried: Set<Other>): boolean => {
    for (const other of wishes.get(one)!) {
      if (tried.has(other)) continue;
      tried.add(other);
      const holder = taken.get(other);
      if (holder !== undefined && !settle(holder, tried)) continue;
      taken.set(other, one);
      return true;
    }
    return false;
  };
  return [...wishes.keys()].filter((one) => !settle(one, new Set()));
}
/** Whether the call, on the keys before, leaves exactly what the revision says. */
function makes(call: RecordedCall, entry: HistoryRevision, before: KeyValues): boolean {
  const model = EtcdModel.at(entry.revision - 1, new Map([[entry.revision - 1, before]]));
  if (call.kind === 'lease-revoke') model.leases.set(call.lease, 1);
  if (!canRun(call, entry.revision - 1) || 'error' in runOnModel(model, call)) return false;
  if (model.revision !== entry.revision) return false;
  const after = new Map(model.keyValues().map((kv) => [kv.key, kv]));
  const told = new Map(before);
  for (const { type, record } of entry.events) {
    if (type === 'delete') told.delete(record.key);
    else told.set(record.key, record);
  }
  if (told.size !== after.size) return false;
  return [...told.values()].every((kv) => sameKeyValue(kv, after.get(kv.key)));
}

/** Reads inside a txn at an old revision need keys that the model was not given. */
function canRun(call: RecordedCall, revision: number): boolean {
  if (call.kind === 'range') return (call.revision ?? 0) === 0 || call.revision === revision;
  return call.kind !== 'txn' || [...call.success, ...call.failure].every((step) => canRun(step, revision));
}

function sameKeyValue(one: KeyValueOf, other: KeyValueOf | undefined): boolean {
  return (
    other !== undefined &&
    one.value === other.value &&
    one.createRevision === other.createRevision &&
    one.modRevision === other.modRevision &&
    one.version === other.version &&
    one.lease === other.lease
  );
}
type KeyValueOf = KeyValues extends ReadonlyMap<string, infer V> ? V : never;

function describe(entry: HistoryRevision): string {
  return entry.events.map(({ type, record }) => `${type} ${record.key}=${record.value}`).join('; ');
}
