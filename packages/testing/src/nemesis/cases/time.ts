/** Clocks that jump, processes and event loops that stand still (section 2 D). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterMember } from '../../cluster/member.ts';
import { WallClocks } from '../../cluster/wall-clock.ts';
import { type Case, faults, until } from './script.ts';

const clocks = new WallClocks();

/** How far the wall clock of a member is off, as its HTTP answers say; null: it answers none. */
async function clockErrorSec(member: ClusterMember): Promise<number | null> {
  const response = await fetch(`http://${member.directEndpoint}/version`).catch(() => null);
  const date = response?.headers.get('date') ?? null;
  return date === null ? null : (Date.parse(date) - Date.now()) / 1000;
}

export function removeClocks(): void {
  clocks.remove();
}

export const TIME: readonly Case[] = [
  {
    number: 36,
    only: 'quorate',
    holds: 'wall clocks that jump an hour ahead and two back change nothing: leases, elections, reads',
    unable: WallClocks.unable,
    options: { load: ['lease', 'lease', 'lock', 'register'], envOf: (name) => clocks.env(name) },
    async script(world) {
      const { cluster } = world;
      const leader = await cluster.waitForLeader();
      const groups = [[leader], cluster.members.filter((member) => member !== leader), cluster.members];
      for (const group of groups) {
        for (const seconds of [3600, -7200, 0]) {
          for (const member of group) clocks.jump(member.name, seconds);
          for (const member of group) {
            await until(`the clock of ${member.name} is ${seconds} s off`, 20_000, async () => {
              const error = await clockErrorSec(member);
              return error !== null && Math.abs(error - seconds) < 60;
            });
          }
          await sleep(1000);
        }
      }
    },
  },
  {
    number: 38,
    inNemesis: true,
    holds: 'a paused leader gives no stale answer',
    script: faults('pause-leader-1x', 'pause-leader-3x', 'pause-leader-10x'),
  },
  {
    number: 39,
    only: 'quorate',
    holds: 'event loops that stand still for 2.5 s under load: no stale answer, no lease lost',
    options: {
      load: ['register', 'bank', 'lease', 'lock'],
      envOf: (name) => ({
        NODE_ENV: 'test',
        // Members send, so that they stall, at different times; the leader sends the most and is the first.
        FP: [400, 900, 1400]
          .map((visit) => `raftBeforeLeaderSend:sleep=2500:${visit + Number(name.slice(1))}`)
          .join(','),
      }),
    },
    async script(world) {
      const { cluster } = world;
      let stalls = 0;
      await world.disturbed(async () => {
        await until('members stand still twice', 60_000, async () => {
          const beganMs = performance.now();
          const answers = await Promise.all(cluster.members.map((member) => cluster.status(member, 5000)));
          if (answers.every((answer) => answer !== null) && performance.now() - beganMs > 1000) stalls++;
          return stalls >= 2;
        });
        await cluster.healAll();
      });
    },
  },
];
