/**
 * The verdict at the end of a lifetime: what clients wrote down, and what the members hold.
 *
 * The checkers are those of `../checkers/`. The members' own words come through their API: a dump of all keys, HashKV (also
 * computed here from the dump's story, by code that is not the server's), leases, members and alarms.
 */
import { checkHistory } from '../checkers/check-history.ts';
import type { HistoryWatch } from '../checkers/history.ts';
import { hashStory } from './hash-kv.ts';
import type { Simulation } from './simulation.ts';

export interface JudgeOptions {
  /** What the stores showed until now, from the beginning. */
  readonly story: () => HistoryWatch;
  /** Lets time pass until that holds and all members agree. */
  readonly pass: (until: () => boolean) => Promise<void>;
}

export async function judge(simulation: Simulation, { story, pass }: JudgeOptions): Promise<void> {
  const { recorder, invariants } = simulation;
  const members = simulation.members();
  const revision = members[0]!.store.revision;
  let waiting = members.length;
  const hashes: { member: string; hash: number; compactRevision: number }[] = [];
  for (const member of members) {
    member.store.hashKv(revision, (error, result) => {
      waiting--;
      if (error !== null) throw invariants.broken('hashes', `${error.stack}`);
      hashes.push({ member: member.memberId.toString(16), ...result! });
    });
  }
  await pass(() => waiting === 0);
  const events = [...invariants.revisions.values()]
    .sort((a, b) => a.revision - b.revision)
    .flatMap((batch) => batch.events);
  for (const { member, hash, compactRevision } of hashes) {
    const expected = hashStory(events, revision, compactRevision);
    if (hash !== expected) {
      throw invariants.broken(
        'hash of the story',
        `${member} says ${hash} at ${revision}, it is ${expected}`,
      );
    }
    recorder.hashes.push({ atNs: recorder.nowNs(), member, revision, compactRevision, hash });
  }
  const dumps = members.map((member) => ({
    member: member.memberId.toString(16),
    kvs: member.store
      .rangeSync({ key: Uint8Array.of(0), end: Uint8Array.of(0), revision: 0, limit: 0 })
      .records.map((record) => ({
        key: Buffer.from(record.key).toString('latin1'),
        value: Buffer.from(record.value).toString('latin1'),
        createRevision: record.createRevision,
        modRevision: record.modRevision,
        version: record.version,
        lease: record.lease,
      })),
  }));
  sameEverywhere(simulation, 'leases', (member) =>
    member.lessor
      .list()
      .map(
        (id) => `${id}: ${member.lessor.view(id)?.grantedTtlSec} s, ${member.store.leaseKeyCount(id)} keys`,
      )
      .sort(),
  );
  sameEverywhere(simulation, 'members', (member) =>
    member
      .members()
      .map(({ id, name, isLearner, peerUrls }) => `${id} ${name} ${isLearner} ${peerUrls}`)
      .sort(),
  );
  sameEverywhere(simulation, 'alarms', (member) =>
    member
      .alarms()
      .map(({ memberId, alarm }) => `${memberId} ${alarm}`)
      .sort(),
  );
  const violations = checkHistory({
    history: recorder.history(),
    drained: [story()],
    dumps,
    compactRevision: Math.max(...members.map(({ store }) => store.compactRevision)),
  });
  const [first] = violations;
  if (first !== undefined) {
    throw invariants.broken(
      first.rule,
      `${first.detail}${violations.length > 1 ? ` (and ${violations.length - 1} more)` : ''}`,
    );
  }
}

function sameEverywhere(
  simulation: Simulation,
  what: string,
  of: (member: ReturnType<Simulation['members']>[number]) => readonly string[],
): void {
  const [first, ...others] = simulation.members();
  const expected = of(first!).join('\n');
  for (const other of others) {
    const found = of(other).join('\n');
    if (found === expected) continue;
    throw simulation.invariants.broken(
      `equal ${what}`,
      `${first!.memberId.toString(16)} has\n${expected}\n${other.memberId.toString(16)} has\n${found}`,
    );
  }
}
