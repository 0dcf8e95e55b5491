/** Members that are killed, stopped, and killed again while they start (section 2 A of the catalogue). */
import { setTimeout as sleep } from 'node:timers/promises';
import { aFollower, kill } from '../fault.ts';
import { type Case, faults, must } from './script.ts';

export const CRASHES: readonly Case[] = [
  {
    number: 1,
    inNemesis: true,
    holds: 'members killed one after the other lose nothing',
    script: faults('kill-leader', 'kill-follower', 'kill-leader'),
  },
  {
    number: 6,
    inNemesis: true,
    holds: 'all killed at once: every acknowledged write is there',
    script: faults('kill-all', 'kill-all'),
  },
  {
    number: 7,
    holds: 'a leader told to stop hands over, ends with 0 in 10 s, and a second SIGTERM does no harm',
    async script(world) {
      const { cluster } = world;
      const leader = await cluster.waitForLeader();
      const beganMs = performance.now();
      const ended = leader.end('SIGTERM');
      await sleep(20);
      const code = await Promise.race([leader.end('SIGTERM'), sleep(10_000, 'late')]);
      must(code !== 'late', 'it did not end within 10 s');
      // A second signal may end it at once, by that signal.
      must(code === 0 || code === null, `exit code ${String(code)}`);
      await ended;
      await cluster.waitForLeader(10_000, leader);
      world.recorder.fault('stop', `${leader.name}, ${Math.round(performance.now() - beganMs)} ms`);
      cluster.restart(leader);
      await cluster.healAll();
    },
  },
  {
    number: 10,
    holds: 'a member killed while it starts, ten times over, comes up all the same',
    async script(world) {
      const { cluster, random } = world;
      const victim = await aFollower(world);
      await kill(world, victim);
      for (let time = 0; time < 10; time++) {
        cluster.restart(victim);
        await sleep(random.between(50, 900));
        await kill(world, victim);
      }
      cluster.restart(victim);
      await cluster.healAll();
    },
  },
];
