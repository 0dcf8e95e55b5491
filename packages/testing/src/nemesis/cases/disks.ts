/** Disks that fail, fill up, turn read-only and are slow; the quota (section 2 B). */
import { services } from '@quorate/proto';
import type { ClusterMember } from '../../cluster/member.ts';
import { troubleDisk } from '../../cluster/strace.ts';
import { aFollower } from '../fault.ts';
import { type FragileDisk, mountFragile, unableToBreak } from '../fragile-disk.ts';
import { mountTmpfs, type SmallDisk, unableToMount } from '../small-disk.ts';
import { ask, type Case, faults, must, needsStrace, put, until } from './script.ts';

const KV = services['etcdserverpb.KV'];
const MAINTENANCE = services['etcdserverpb.Maintenance'];

/** One small disk a member, made when the cluster asks for its folder. */
function smallDisks(megabytes: number): {
  disks: Map<string, SmallDisk>;
  folderOf: (name: string) => string;
} {
  const disks = new Map<string, SmallDisk>();
  const folderOf = (name: string) => {
    const disk = disks.get(name) ?? mountTmpfs(name, megabytes);
    disks.set(name, disk);
    return `${disk.folder}/${name}`;
  };
  return { disks, folderOf };
}

/** The same with disks that can turn read-only. */
function fragileDisks(): { disks: Map<string, FragileDisk>; folderOf: (name: string) => string } {
  const disks = new Map<string, FragileDisk>();
  const folderOf = (name: string) => {
    const disk = disks.get(name) ?? mountFragile(name, 200);
    disks.set(name, disk);
    return `${disk.folder}/${name}`;
  };
  return { disks, folderOf };
}

const full = smallDisks(200);
const fragile = fragileDisks();

export function unmountDisks(): void {
  for (const disk of full.disks.values()) disk.unmount();
  full.disks.clear();
  for (const disk of fragile.disks.values()) disk.unmount();
  fragile.disks.clear();
}

export const DISKS: readonly Case[] = [
  {
    number: 16,
    holds: 'a sync of the log that fails ends the member; the others go on, and it comes back',
    unable: needsStrace,
    async script(world) {
      const { cluster } = world;
      const victim = await aFollower(world);
      victim.expectEnd();
      const trouble = await troubleDisk(victim.pid, ['fdatasync', 'fsync'], 'error=EIO:when=3+');
      await until('the member ends', 15_000, () => !victim.isRunning);
      must((trouble?.fired() ?? 0) > 0, 'no sync was made to fail');
      await trouble?.end();
      const other = cluster.running()[0]!;
      await until('the others take a write', 15_000, async () => (await put(world, other, 'k-alive')).ok);
      cluster.restart(victim);
      await cluster.healAll();
    },
  },
  {
    number: 18,
    holds: 'a full disk: reads go on elsewhere, nothing acknowledged is lost, and with space it comes back',
    unable: unableToMount,
    options: { folderOf: full.folderOf },
    async script(world) {
      const { cluster } = world;
      const victim = await aFollower(world);
      const disk = full.disks.get(victim.name);
      must(disk !== undefined, 'the member has no disk of its own');
      victim.expectEnd();
      must(disk.fill() > 0, 'nothing was taken');
      const through = cluster.members.find((member) => member !== victim)!;
      for (let number = 0; number < 60; number++) {
        // Patience is for a busy machine; a write that needs the full disk would never be taken.
        const take = async () =>
          (await put(world, through, `big/${number % 10}`, 0n, 'x'.repeat(500_000))).ok;
        await until('a majority with free disks takes a write', 30_000, take);
      }
      await until('the others read', 15_000, async () => (await cluster.read(through, 3000)).ok);
      disk.free();
      if (victim.isRunning) await victim.end('SIGKILL');
      cluster.restart(victim);
      await cluster.healAll();
    },
  },
  {
    number: 19,
    holds: 'at the quota all members refuse puts, and still delete and read; disarmed, they write again',
    options: { flags: ['--quota-backend-bytes=16000000'], load: ['register'], pinned: false },
    async script(world) {
      const { cluster } = world;
      const [first] = cluster.members as [ClusterMember];
      const names = Array.from({ length: 200 }, (_, number) => `big/${number}`);
      let refusal = '';
      for (const name of names) {
        const sent = await put(world, first, name, 0n, 'x'.repeat(200_000));
        if (!sent.ok) refusal = sent.error;
        if (refusal !== '') break;
      }
      must(refusal === 'etcdserver: mvcc: database space exceeded', `refused with: ${refusal}`);
      for (const member of cluster.members) {
        await until(`${member.name} refuses`, 5000, async () => {
          const sent = await put(world, member, 'big/more');
          return !sent.ok && sent.error === refusal;
        });
        must((await cluster.read(member, 3000)).ok, `${member.name} does not read`);
      }
      const deleted = await ask(world, first, { kind: 'delete', key: 'big/', end: 'big0' }, 20_000);
      must(deleted.ok, 'deletes are refused');
      const { revision } = deleted.header;
      // Compaction passes no watcher that keeps the story.
      await until('the watchers have seen the deletes', 30_000, () => world.storySeen() >= revision);
      const asked = { kind: 'compact', revision } as const;
      const open = world.recorder.begin('operator', asked, first.directEndpoint);
      const compacted = await cluster.observer(first).call(KV.Compact, { revision, physical: true }, 20_000);
      must(compacted.ok, 'compaction is refused');
      open.ok({ kind: 'compact' }, { member: '', revision: 0, term: 0 });
      // Every member has to be done with the removal before its defragmentation helps.
      await until('puts again', 30_000, async () => {
        for (const member of cluster.members)
          await cluster.observer(member).call(MAINTENANCE.Defragment, {}, 30_000);
        // Alarms are the members' own: each is disarmed by the name of its member.
        const listed = await cluster.observer(first).call(MAINTENANCE.Alarm, { action: 0 }, 5000);
        for (const { memberID, alarm } of listed.ok ? listed.response.alarms : [])
          await cluster.observer(first).call(MAINTENANCE.Alarm, { action: 2, memberID, alarm }, 5000);
        return (await put(world, first, 'k-again')).ok;
      });
    },
  },
  {
    number: 20,
    holds: 'a file system that turns read-only ends the member; the others go on, and it comes back',
    unable: unableToBreak,
    options: { folderOf: fragile.folderOf },
    async script(world) {
      const { cluster } = world;
      const victim = await aFollower(world);
      const disk = fragile.disks.get(victim.name);
      must(disk !== undefined, 'the member has no disk of its own');
      victim.expectEnd();
      disk.turnReadOnly();
      const through = cluster.members.find((member) => member !== victim)!;
      await until('the member ends', 30_000, async () => {
        await put(world, through, 'k-on');
        return !victim.isRunning;
      });
      await until('the others take a write', 15_000, async () => (await put(world, through, 'k-alive')).ok);
      disk.repair();
      cluster.restart(victim);
      await cluster.healAll();
    },
  },
  {
    number: 21,
    holds: 'slow disks slow things down, and nothing else',
    unable: needsStrace,
    script: faults('slow-disk-leader', 'slow-disk-follower'),
  },
];
