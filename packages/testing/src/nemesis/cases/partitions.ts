/** Links that are cut: between members, in one direction, one by one, and to the clients (section 2 C). */
import { setTimeout as sleep } from 'node:timers/promises';
import { aFollower } from '../fault.ts';
import { type Case, faults, must, until } from './script.ts';

export const PARTITIONS: readonly Case[] = [
  {
    number: 27,
    inNemesis: true,
    holds: 'a leader cut off acknowledges nothing and answers nothing new',
    script: faults('partition-leader', 'partition-minority-with-leader'),
  },
  {
    number: 28,
    inNemesis: true,
    holds: 'each sees a majority, no two the same',
    options: { size: 5 },
    script: faults('majority-ring'),
  },
  {
    number: 29,
    holds: 'a leader that hears nobody steps down within two election timeouts',
    async script(world) {
      const { cluster } = world;
      const leader = await cluster.waitForLeader();
      await world.disturbed(async () => {
        cluster.mesh.cut(cluster.others(leader), [leader.name]);
        const beganMs = performance.now();
        const next = await cluster.waitForLeader(15_000, leader);
        world.recorder.fault(
          'deaf',
          `${leader.name} to ${next.name}, ${Math.round(performance.now() - beganMs)} ms`,
        );
        // What it believes of itself, asked past the proxies.
        await until('it steps down', 4 * cluster.electionMs, async () => {
          const own = await cluster.status(leader);
          return own !== null && own.leader !== own.member;
        });
        cluster.mesh.healAll();
        await cluster.healAll();
      });
      await faults('leader-mute')(world);
    },
  },
  {
    number: 33,
    holds: 'clients cut off from one member; a watch that requires a leader ends where there is none',
    async script(world) {
      const { cluster } = world;
      await faults('clients-cut')(world);
      const victim = await aFollower(world);
      let ended = '';
      const watch = cluster
        .observer(victim)
        .watch({ key: Buffer.from('k1') }, { onResponse() {}, onEnd: (error) => (ended = error) }, true);
      await sleep(500);
      must(ended === '', `the watch ended while there was a leader: ${ended}`);
      await world.disturbed(async () => {
        cluster.mesh.cut([victim.name], cluster.others(victim));
        cluster.mesh.cut(cluster.others(victim), [victim.name]);
        await until('the watch ends', 30_000, () => ended !== '');
        must(ended === 'etcdserver: no leader', `the watch ended with: ${ended}`);
        await cluster.healAll();
      });
      watch.cancel();
    },
  },
  {
    number: 34,
    holds: 'links cut one by one and healed in another order',
    async script(world) {
      const { cluster, random } = world;
      const names = cluster.members.map((member) => member.name);
      const pairs = names.flatMap((from) =>
        names.filter((to) => to !== from).map((to) => [from, to] as const),
      );
      await world.disturbed(async () => {
        for (const [from, to] of random.shuffle(pairs)) {
          cluster.mesh.cut([from], [to]);
          await sleep(random.between(50, 400));
        }
        for (const [from, to] of random.shuffle(pairs)) {
          cluster.mesh.link(from, to).set({});
          await sleep(random.between(50, 400));
        }
        await cluster.healAll();
      });
    },
  },
];
