/**
 * Case 42: a member goes for good and another one takes its place, under load. The new one has the old one's addresses,
 * an empty folder, and an id of its own.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@quorate/proto';
import type { Cluster } from '../cluster/cluster.ts';
import type { ClusterMember } from '../cluster/member.ts';
import { aFollower, type Fault } from './fault.ts';

const CLUSTER = services['etcdserverpb.Cluster'];

export const replaceMember: Fault = {
  name: 'replace-member',
  unable: (cluster) => (cluster.members.length < 3 ? 'too few members to lose one' : null),
  async strike(context) {
    const { cluster } = context;
    // The first stays: with compactions, only the watch of a member that was there from the beginning has seen everything.
    const victim = await aFollower(context, (member) => member !== cluster.members[0]);
    const through = cluster.running().find((member) => member !== victim)!;
    const listed = (await cluster.memberList(through)).find((member) => member.name === victim.name);
    if (listed === undefined) return { fired: false, detail: `${victim.name} is not listed` };
    const removed = await persist(() =>
      cluster.observer(through).call(CLUSTER.MemberRemove, { ID: listed.ID }, 5000),
    );
    if (removed !== null) return { fired: false, detail: `remove: ${removed}` };
    context.memberRemoved(victim);
    // It learns of its removal and ends by itself, or it is told the hard way.
    victim.expectEnd();
    await Promise.race([victim.ended, sleep(1000)]);
    await victim.end('SIGKILL');
    victim.wipe();
    await add(cluster, through, victim, false);
    victim.start({ initial: cluster.initialCluster(cluster.members), state: 'existing' });
    context.memberAdded(victim);
    return { fired: true, detail: victim.name };
  },
};

/** Tells the cluster about a member that is not there yet. */
export async function add(
  cluster: Cluster,
  through: ClusterMember,
  member: ClusterMember,
  isLearner: boolean,
): Promise<void> {
  const error = await persist(() =>
    cluster.observer(through).call(CLUSTER.MemberAdd, { peerURLs: [member.peerUrl], isLearner }, 5000),
  );
  if (error !== null) throw new Error(`member add: ${error}`);
}

/** Until it is done, for 15 s; the last refusal when it never was. An addition that exists already is done. */
export async function persist(
  attempt: () => Promise<{ ok: true } | { ok: false; error: string }>,
): Promise<string | null> {
  const giveUp = performance.now() + 15_000;
  let last = 'not tried';
  while (performance.now() < giveUp) {
    const result = await attempt();
    if (result.ok || /already exist|member not found/i.test(result.error)) return null;
    last = result.error;
    await sleep(100);
  }
  return last;
}
