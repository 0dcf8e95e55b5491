/**
 * What must hold of the members themselves: terms and revisions only grow, a term has one leader, equal revisions have
 * equal hashes, and a member's own (serializable) answers never go back.
 */

import { lastRevision, Replay } from './committed.ts';
import type { History, HistoryCall, RecordedKeyValue } from './history.ts';
import { canonical } from './model-call.ts';
import { isOk, knownRevisions, named } from './real-time.ts';
import type { Violation } from './watch.ts';
import type { WatchHistory } from './watch-record.ts';

export const MEMBER_RULES = [
  'termFalls',
  'revisionFalls',
  'appliedFalls',
  'oneLeaderPerTerm',
  'equalHash',
  'serializableFalls',
  'serializableAhead',
  'finalState',
] as const;
export type MemberRule = (typeof MEMBER_RULES)[number];

/** The last keys of one member, all of them, after everything has come to rest. */
export interface FinalDump {
  readonly member: string;
  readonly kvs: readonly RecordedKeyValue[];
}

export function checkMembers(
  history: History,
  committed: WatchHistory,
  dumps: readonly FinalDump[] = [],
): Violation[] {
  const violations: Violation[] = [];
  const report = (rule: MemberRule, detail: string) => violations.push({ rule, detail });
  checkStatuses(history, report);
  checkHashes(history, report);
  checkSerializable(history.calls, committed, report);
  checkDumps(dumps, committed, report);
  return violations;
}

function checkStatuses(history: History, report: (rule: MemberRule, detail: string) => void): void {
  const leaders = new Map<number, string>();
  const disputes = new Set<string>();
  const before = new Map<string, History['statuses'][number]>();
  const furthest = new Map<string, History['statuses'][number]>();
  for (const status of [...history.statuses].sort((a, b) => a.atNs - b.atNs)) {
    const { member, term, leader, revision, appliedIndex, incarnation } = status;
    if (leader !== '') {
      const other = leaders.get(term) ?? leader;
      leaders.set(term, other);
      const dispute = `term ${term}: ${other} and ${leader} (told by ${member})`;
      if (other !== leader && !disputes.has(dispute)) report('oneLeaderPerTerm', dispute);
      if (other !== leader) disputes.add(dispute);
    }
    const last = before.get(member);
    before.set(member, status);
    const most = furthest.get(member) ?? status;
    if (appliedIndex >= most.appliedIndex) furthest.set(member, status);
    if (last === undefined) continue;
    if (term < last.term) report('termFalls', `${member} from ${last.term} to ${term}`);
    const sameLife = incarnation === last.incarnation;
    if (sameLife && appliedIndex < last.appliedIndex)
      report('appliedFalls', `${member} from ${last.appliedIndex} to ${appliedIndex}`);
    // A member that was killed has its log, and hears from a leader how much of it is committed: until then it shows less. Once it
    // has applied as much as ever before, it shows as much.
    const floor = appliedIndex >= most.appliedIndex ? most : sameLife ? last : null;
    if (floor !== null && revision < floor.revision)
      report('revisionFalls', `${member} from ${floor.revision} to ${revision}`);
  }
}

function checkHashes(history: History, report: (rule: MemberRule, detail: string) => void): void {
  const seen = new Map<string, History['hashes'][number]>();
  for (const hash of history.hashes) {
    const place = `revision ${hash.revision} above ${hash.compactRevision}`;
    const other = seen.get(place) ?? hash;
    seen.set(place, other);
    if (other.hash !== hash.hash)
      report('equalHash', `${place}: ${other.hash} on ${other.member}, ${hash.hash} on ${hash.member}`);
  }
}

/** A member alone may be behind, but shows nothing that nobody committed, and never goes back within one life. */
function checkSerializable(
  calls: readonly HistoryCall[],
  committed: WatchHistory,
  report: (rule: MemberRule, detail: string) => void,
): void {
  const reads = calls
    .filter(isOk)
    .filter(({ call }) => call.kind === 'range' && call.serializable === true)
    .sort((a, b) => a.callNs - b.callNs);
  const lastCommitted = lastRevision(committed);
  const lives = new Map<string, HistoryCall[]>();
  for (const read of reads) {
    if (read.revision > lastCommitted)
      report('serializableAhead', `${named(read)} saw revision ${read.revision} of ${lastCommitted}`);
    const life = `${read.member}/${read.incarnation ?? 0}`;
    lives.set(life, [...(lives.get(life) ?? []), read]);
  }
  for (const [life, own] of lives) {
    // As for linearizable calls, but each member is a world of its own.
    const known = knownRevisions(own.map((read) => ({ ...read, call: { kind: 'range', key: '', end: '' } })));
    for (const read of own) {
      const floor = known(read.callNs);
      if (read.revision < floor.revision)
        report('serializableFalls', `${named(read)} on ${life}: ${read.revision} after ${floor.revision}`);
    }
  }
}

/** In the end every member holds what was committed, no more and no less. */
function checkDumps(
  dumps: readonly FinalDump[],
  committed: WatchHistory,
  report: (rule: MemberRule, detail: string) => void,
): void {
  const expected = new Replay(committed).at(lastRevision(committed));
  for (const { member, kvs } of dumps) {
    const actual = new Map(kvs.map((kv) => [kv.key, kv]));
    for (const key of new Set([...expected.keys(), ...actual.keys()])) {
      const [want, got] = [canonical(expected.get(key) ?? null), canonical(actual.get(key) ?? null)];
      if (want === got) continue;
      report('finalState', `${member}, key ${JSON.stringify(key)}: committed ${want}, holds ${got}`);
      break;
    }
  }
}
