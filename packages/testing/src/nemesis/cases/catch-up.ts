/** Members that fall behind and get a snapshot; compaction and defragmentation (section 2 F). */
import { aFollower, isStopped } from '../fault.ts';
import { type Case, faults, runAhead, until } from './script.ts';

export const CATCH_UP: readonly Case[] = [
  {
    number: 40,
    holds: 'a follower paused until it needs a snapshot',
    options: { flags: ['--snapshot-count=50'] },
    async script(world) {
      const { cluster } = world;
      const victim = await aFollower(world);
      victim.pause();
      await until('it is stopped', 2000, () => isStopped(victim.pid));
      const other = cluster.members.find((member) => member !== victim)!;
      await runAhead(world, other);
      victim.continue();
      await until('it catches up', 30_000, async () => {
        const [own, theirs] = [await cluster.status(victim), await cluster.status(other)];
        return own !== null && theirs !== null && own.appliedIndex + 200 >= theirs.appliedIndex;
      });
    },
  },
  {
    number: 48,
    holds: 'watches on a member that catches up by snapshot neither go back nor miss anything',
    options: { flags: ['--snapshot-count=50'] },
    async script(world) {
      const { cluster } = world;
      const victim = await aFollower(world);
      const other = cluster.members.find((member) => member !== victim)!;
      await world.disturbed(async () => {
        cluster.mesh.cut([victim.name], cluster.others(victim));
        cluster.mesh.cut(cluster.others(victim), [victim.name]);
        await runAhead(world, other);
        await cluster.healAll();
      });
    },
  },
  {
    number: 50,
    holds: 'compaction and defragmentation under load, with members falling',
    script: faults('compact', 'defragment', 'kill-follower', 'compact'),
  },
];
