/**
 * Linearizability by revision: the server stamps an order on everything, so the order needs no search (O(n log n)).
 *
 * Given what was committed (`committed.ts`), a history is linearizable when every answer is what the model answers at
 * its revision, every revision has exactly one author, and the revisions respect real time. A write sees the keys at
 * revision - 1 and makes `revision`; everything else sees the keys at its revision.
 *
 * Worked example. A puts x (answered: revision 5) and is done before B reads x and is told revision 4: each answer
 * is right at its revision, but B began after 5 was known, so `staleRead`. Had A's put ended in a time-out, B might
 * see 4 or 5; whether the put happened is read off what was committed, by its unique value.
 */
import { EtcdModel } from '../model/etcd-model.ts';
import { checkAuthors } from './authors.ts';
import { lastRevision, Replay } from './committed.ts';
import type { HistoryCall, RecordedCall } from './history.ts';
import { difference, putsOf, runOnModel, tookRevision } from './model-call.ts';
import { isOk, isOrdered, knownRevisions, named } from './real-time.ts';
import type { Violation } from './watch.ts';
import type { WatchHistory } from './watch-record.ts';

export const LINEARIZABLE_RULES = [
  'gapless',
  'oneAuthor',
  'explained',
  'lostWrite',
  'effects',
  'answer',
  'beyondCommitted',
  'failedButApplied',
  'appliedTwice',
  'staleRead',
  'lateWrite',
  'unknownTooEarly',
  'refusal',
] as const;
export type LinearizableRule = (typeof LINEARIZABLE_RULES)[number];

/** Told each violation. */
export type Report = (rule: LinearizableRule, detail: string) => void;

/** Every way in which the calls contradict each other or what was committed; empty when there is none. */
export function checkLinearizable(calls: readonly HistoryCall[], committed: WatchHistory): Violation[] {
  const violations: Violation[] = [];
  const report: Report = (rule, detail) => violations.push({ rule, detail });
  checkGapless(committed, report);
  const placed = placeUnknown(calls, committed, report);
  checkAuthors(calls, committed, placed, report);
  checkAnswers(calls, committed, report);
  checkRealTime(calls, placed, report);
  checkRefusals(calls, report);
  return violations;
}

/** Revisions are handed out one by one, from 2. */
function checkGapless(committed: WatchHistory, report: Report): void {
  let last = 1;
  for (const { revision } of committed.revisions) {
    if (revision !== last + 1) report('gapless', `after revision ${last} came ${revision}`);
    last = revision;
  }
}

/** Finds writes without a good answer by their values: where an unknown one took effect; that a failed one did not. */
function placeUnknown(
  calls: readonly HistoryCall[],
  committed: WatchHistory,
  report: Report,
): Map<HistoryCall, number> {
  const authors = new Map<string, HistoryCall>();
  for (const call of calls) for (const put of putsOf(call.call)) authors.set(put.value, call);
  const placed = new Map<HistoryCall, number>();
  for (const { revision, events } of committed.revisions) {
    for (const { type, record } of events) {
      const author = type === 'put' ? authors.get(record.value) : undefined;
      if (author === undefined) continue;
      const before = placed.get(author);
      if (before !== undefined && before !== revision)
        report('appliedTwice', `${named(author)} at revisions ${before} and ${revision}`);
      placed.set(author, revision);
    }
  }
  for (const [call, revision] of placed) {
    if (call.outcome.kind === 'failed')
      report('failedButApplied', `${named(call)} (${call.outcome.error}) at revision ${revision}`);
    if (isOk(call) && !tookRevision(call.call, call.outcome.answer))
      report('failedButApplied', `${named(call)} answered that it wrote nothing, is at revision ${revision}`);
    else if (isOk(call) && call.revision !== revision)
      report('appliedTwice', `${named(call)} answered ${call.revision}, is also at revision ${revision}`);
  }
  return new Map([...placed].filter(([call]) => call.outcome.kind === 'unknown'));
}

/** Every answer is the model's at its revision. Serializable reads too: they may be old, but never wrong. */
function checkAnswers(calls: readonly HistoryCall[], committed: WatchHistory, report: Report): void {
  const [replay, older] = [new Replay(committed), new Replay(committed)];
  const last = lastRevision(committed);
  const answered = calls
    .filter(isOk)
    .filter(({ call }) => ['range', 'put', 'delete', 'txn'].includes(call.kind));
  for (const call of answered.sort((a, b) => a.revision - b.revision)) {
    const writes = tookRevision(call.call, call.outcome.answer);
    if (call.revision > last) {
      if (!writes)
        report('beyondCommitted', `${named(call)} at revision ${call.revision}, the last is ${last}`);
      continue;
    }
    const seen = call.revision - (writes ? 1 : 0);
    const states = new Map([[seen, replay.at(seen)]]);
    for (const old of oldRevisions(call.call)) if (old < seen) states.set(old, older.at(old));
    const verdict = runOnModel(EtcdModel.at(seen, states), call.call);
    const wrong =
      'error' in verdict ? `expected ${verdict.error}` : difference(verdict.answer, call.outcome.answer);
    if (wrong !== null) report('answer', `${named(call)} at revision ${call.revision}: ${wrong}`);
  }
}

function oldRevisions(call: RecordedCall): number[] {
  if (call.kind === 'range') return (call.revision ?? 0) > 0 ? [call.revision!] : [];
  return call.kind === 'txn' ? [...call.success, ...call.failure].flatMap(oldRevisions) : [];
}

/** What began after an answer sees at least its revision; a write a greater one. */
function checkRealTime(
  calls: readonly HistoryCall[],
  placed: ReadonlyMap<HistoryCall, number>,
  report: Report,
): void {
  const known = knownRevisions(calls);
  for (const call of calls) {
    const unknownAt = placed.get(call);
    if (unknownAt !== undefined) {
      const floor = known(call.callNs);
      if (unknownAt <= floor.revision)
        report('unknownTooEarly', `${named(call)} at revision ${unknownAt}, begun after ${floor.by}`);
    }
    if (!isOrdered(call)) continue;
    const floor = known(call.callNs);
    const writes = tookRevision(call.call, call.outcome.answer);
    if (writes && call.revision <= floor.revision)
      report('lateWrite', `${named(call)} made revision ${call.revision} after ${floor.by}`);
    if (!writes && call.revision < floor.revision)
      report('staleRead', `${named(call)} saw revision ${call.revision} after ${floor.by}`);
  }
}

/** Refusals have a cause: "future" a revision that was not known to exist, "compacted" a compaction above it. */
function checkRefusals(calls: readonly HistoryCall[], report: Report): void {
  const known = knownRevisions(calls);
  for (const call of calls) {
    if (call.outcome.kind !== 'failed' || call.call.kind !== 'range') continue;
    const { revision = 0, serializable } = call.call;
    const floor = known(call.callNs);
    if (call.outcome.error.endsWith('is a future revision') && !serializable && revision <= floor.revision)
      report('refusal', `${named(call)}: revision ${revision} is in the future after ${floor.by}`);
    if (!call.outcome.error.endsWith('has been compacted')) continue;
    const cause = calls.some(
      (other) =>
        other.call.kind === 'compact' &&
        other.call.revision > revision &&
        other.outcome.kind !== 'failed' &&
        other.callNs < (call.returnNs ?? Number.POSITIVE_INFINITY),
    );
    if (!cause) report('refusal', `${named(call)}: nobody had compacted revision ${revision}`);
  }
}
