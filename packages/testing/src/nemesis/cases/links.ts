/** Links that lose, delay, break and lead elsewhere (section 2 C). */
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@quorate/proto';
import { stablePorts } from '../../cluster/ports.ts';
import { aFollower, kill } from '../fault.ts';
import { persist } from '../membership.ts';
import { losePackets, unableToLose } from '../packet-loss.ts';
import { type Case, faults, must, until } from './script.ts';

const CLUSTER = services['etcdserverpb.Cluster'];

export const LINKS: readonly Case[] = [
  {
    number: 30,
    holds: 'packets lost between members, one of twenty and one of four',
    unable: unableToLose,
    async script(world) {
      const { cluster } = world;
      const ports = cluster.members.map(({ place }) => place.ownPeerPort);
      for (const percent of [5, 25]) {
        await world.disturbed(async () => {
          const loss = losePackets(ports, percent);
          try {
            await sleep(4000);
            must(loss.lost() > 0, 'no packet was lost');
          } finally {
            loss.end();
          }
          await cluster.healAll();
        });
      }
    },
  },
  { number: 31, holds: 'delays and jitter between members', script: faults('slow-links') },
  {
    number: 32,
    holds: 'black holes, resets and narrow links between members',
    script: faults('partition-follower', 'narrow-links'),
  },
  {
    number: 35,
    holds: 'a member that moves to another peer URL under load is found there',
    async script(world) {
      const { cluster } = world;
      const victim = await aFollower(world);
      const through = cluster.members.find((member) => member !== victim)!;
      const [port] = (await stablePorts(1)) as [number];
      const moved = `http://127.0.0.1:${port}`;
      await cluster.mesh.proxy(victim.name, port, victim.place.ownPeerPort, 'members');
      const { ID } = (await cluster.memberList(through)).find(({ name }) => name === victim.name)!;
      await world.disturbed(async () => {
        const refusal = await persist(() =>
          cluster.observer(through).call(CLUSTER.MemberUpdate, { ID, peerURLs: [moved] }, 5000),
        );
        must(refusal === null, `the URL is not changed: ${refusal}`);
        for (const member of cluster.members) {
          await until(`${member.name} lists it`, 15_000, async () =>
            (await cluster.memberList(member)).some(({ peerURLs }) => peerURLs.includes(moved)),
          );
        }
        // Nobody is at the old address any more, and whoever was connected there is not.
        cluster.mesh.unlisten(victim.place.peerPort);
        for (const other of cluster.others(victim)) cluster.mesh.link(other, victim.name).reset();
        const before = cluster.mesh.callsTo(port);
        await kill(world, victim);
        cluster.restart(victim);
        await cluster.healAll();
        await until('it is called at its new address', 15_000, () => cluster.mesh.callsTo(port) > before);
      });
    },
  },
];
