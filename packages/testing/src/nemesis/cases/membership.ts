/** Leadership that moves; members removed, replaced, added as learners (section 2 E). */
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@quorate/proto';
import type { ClusterMember } from '../../cluster/member.ts';
import { kill } from '../fault.ts';
import { add, persist } from '../membership.ts';
import { type Case, faults, must, put, until } from './script.ts';

const KV = services['etcdserverpb.KV'];
const CLUSTER = services['etcdserverpb.Cluster'];

export const MEMBERSHIP: readonly Case[] = [
  {
    number: 41,
    inNemesis: true,
    holds: 'leadership moved about',
    script: faults('move-leader', 'move-leader', 'move-leader'),
  },
  {
    number: 42,
    inNemesis: true,
    holds: 'members replaced under load',
    script: faults('replace-member', 'replace-member'),
  },
  {
    number: 43,
    holds: 'the leader removed; a dead member removed; what would lose the quorum refused',
    async script(world) {
      const { cluster } = world;
      const leader = await cluster.waitForLeader();
      const [through, third] = cluster.members.filter((member) => member !== leader) as [
        ClusterMember,
        ClusterMember,
      ];
      const idOf = async (member: ClusterMember) =>
        (await cluster.memberList(through)).find(({ name }) => name === member.name)!.ID;
      await world.disturbed(async () => {
        const ID = await idOf(leader);
        // A young cluster refuses until its members have been connected for a while.
        const refusal = await persist(() =>
          cluster.observer(through).call(CLUSTER.MemberRemove, { ID }, 5000),
        );
        must(refusal === null, `the leader is not removed: ${refusal}`);
        world.memberRemoved(leader);
        leader.expectEnd();
        await until('the removed leader ends', 15_000, () => !leader.isRunning);
        await cluster.waitForLeader(15_000, leader);
        leader.wipe();
        await add(cluster, through, leader, false);
        leader.start({ initial: cluster.initialCluster(cluster.members), state: 'existing' });
        world.memberAdded(leader);
        await cluster.healAll();
        // One of three is dead: a fourth, not started, would leave two of four.
        await kill(world, third);
        await sleep(6000); // long enough for its silence to count
        const refused = await cluster
          .observer(through)
          .call(CLUSTER.MemberAdd, { peerURLs: ['http://127.0.0.1:1'] }, 5000);
        must(!refused.ok, 'an addition that may lose the quorum is accepted');
        must((await put(world, through, 'k-alive')).ok, 'no write after the refusal');
        cluster.restart(third);
        await cluster.healAll();
      });
    },
  },
  {
    number: 44,
    holds:
      'a learner catches up, serves only its own answers, is promoted, and stays a voter after a restart',
    async script(world) {
      const { cluster } = world;
      const through = await cluster.waitForLeader();
      const learner = await cluster.prepare('m9');
      await add(cluster, through, learner, true);
      learner.start({ initial: cluster.initialCluster(cluster.members), state: 'existing' });
      await until(
        'the learner says that it is one',
        60_000,
        async () => (await cluster.status(learner))?.isLearner === true,
      );
      const read = { key: Buffer.from('k1') };
      const strict = await cluster.observer(learner).call(KV.Range, read, 3000);
      must(
        !strict.ok && strict.error === 'etcdserver: rpc not supported for learner',
        'a learner answers linearizable reads',
      );
      must(
        (await cluster.observer(learner).call(KV.Range, { ...read, serializable: true }, 3000)).ok,
        'a learner answers no serializable read',
      );
      const { ID } = (await cluster.memberList(through)).find((member) => member.isLearner)!;
      await until(
        'it is promoted',
        30_000,
        async () => (await cluster.observer(through).call(CLUSTER.MemberPromote, { ID }, 3000)).ok,
      );
      world.memberAdded(learner);
      await cluster.waitUntilServing([learner]);
      await kill(world, learner);
      cluster.restart(learner);
      await cluster.healAll();
      await until('it says that it is a voter', 30_000, async () => {
        const status = await cluster.status(learner);
        must(status?.isLearner !== true, 'after a restart it is a learner again');
        return status !== null;
      });
    },
  },
  {
    number: 45,
    holds: 'after changes and restarts all members list the same members',
    async script(world) {
      const { cluster } = world;
      await faults('replace-member', 'kill-all')(world);
      const lists = await Promise.all(
        cluster.members.map(async (member) =>
          (await cluster.memberList(member))
            .map(({ ID, name, peerURLs }) => `${ID} ${name} ${peerURLs}`)
            .sort()
            .join('; '),
        ),
      );
      must(new Set(lists).size === 1, `different lists: ${lists.join(' | ')}`);
      must(
        (await cluster.memberList(cluster.members[0]!)).length === cluster.members.length,
        'a removed member is listed',
      );
    },
  },
];
