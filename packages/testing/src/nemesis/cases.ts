/**
 * Rows of the fault catalogue as scripts. Each runs in a world of its own (`world.ts`): under load, with watchers, and with
 * the verdict of all checkers at the end; a script only brings its fault and checks what is special about it.
 *
 * To add a case: a row with its number, what must hold, and a script. `must` fails it with a sentence.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@quorate/proto';
import type { RecordedCall } from '../checkers/history.ts';
import type { ClusterOptions } from '../cluster/cluster.ts';
import type { ClusterMember } from '../cluster/member.ts';
import { stablePorts } from '../cluster/ports.ts';
import { troubleDisk } from '../cluster/strace.ts';
import { WallClocks } from '../cluster/wall-clock.ts';
import { findProgram, type ServerKind } from '../process/server-process.ts';
import { aFollower, isStopped, kill } from './fault.ts';
import { FAULTS } from './faults.ts';
import { type FragileDisk, mountFragile, unableToBreak } from './fragile-disk.ts';
import { add, persist } from './membership.ts';
import { losePackets, unableToLose } from './packet-loss.ts';
import { mountTmpfs, type SmallDisk, unableToMount } from './small-disk.ts';
import { type SentCall, sendCall } from './wire-calls.ts';
import type { WorkerKind } from './workload.ts';
import { inWorld, type Verdict, type World, type WorldOptions } from './world.ts';

export interface Case {
  readonly number: number;
  /** Absent: both. */
  readonly only?: 'quorate';
  readonly holds: string;
  /** The nemesis brings the same faults in each of its long tests. */
  readonly inNemesis?: true;
  readonly options?: Partial<ClusterOptions & WorldOptions>;
  /** Why it cannot run here; null: it can. */
  unable?(): string | null;
  script(world: World): Promise<void>;
}

const KV = services['etcdserverpb.KV'];
const MAINTENANCE = services['etcdserverpb.Maintenance'];
const CLUSTER = services['etcdserverpb.Cluster'];

export class CaseFailure extends Error {}

function must(holds: unknown, sentence: string): asserts holds {
  if (!holds) throw new CaseFailure(sentence);
}

/** Brings the named faults, each until it struck, and waits for service after each. */
function faults(...names: readonly string[]): Case['script'] {
  return async (world) => {
    for (const name of names) {
      const fault = FAULTS.find((candidate) => candidate.name === name);
      must(fault !== undefined, `no fault ${name}`);
      let struck = false;
      for (let attempt = 0; attempt < 3 && !struck; attempt++) {
        await sleep(700);
        struck = await world.disturbed(async () => {
          const { fired } = await fault.strike(world);
          await world.cluster.healAll();
          return fired;
        });
      }
      must(struck, `${name} struck in none of three attempts`);
    }
  };
}

/** A call of the script itself, past the proxies; part of the history like any other. */
async function ask(
  world: World,
  member: ClusterMember,
  call: RecordedCall,
  timeoutMs = 3000,
): Promise<SentCall> {
  const open = world.recorder.begin(`script-${++calls}`, call, member.directEndpoint);
  const { incarnation } = member;
  const sent = await sendCall(world.cluster.observer(member), call, timeoutMs);
  if (sent.ok) open.ok(sent.answer, { ...sent.header, incarnation });
  else open.error(sent.error);
  return sent;
}
let calls = 0;

/** Puts a value that nobody else puts. */
function put(world: World, member: ClusterMember, key: string, lease = 0n, padding = ''): Promise<SentCall> {
  const value = `script-${calls}-${world.random.uint32()}${padding}`;
  return ask(world, member, { kind: 'put', key, value, lease }, 5000);
}

async function count(world: World, member: ClusterMember, key: string): Promise<number> {
  let found = -1;
  await until(`${member.name} reads`, 30_000, async () => {
    const read = await ask(world, member, { kind: 'range', key, end: '' });
    if (read.ok && read.answer.kind === 'range') found = read.answer.count;
    return read.ok;
  });
  return found;
}

/** Writes until the others are well past what a leader keeps for the slow (5000 entries in etcd). */
async function runAhead(world: World, through: ClusterMember): Promise<void> {
  const applied = async () => (await world.cluster.status(through, 2000))?.appliedIndex ?? 0;
  const from = await applied();
  await until('the others get far ahead', 90_000, async () => {
    await Promise.all(Array.from({ length: 200 }, () => put(world, through, 'k-ahead')));
    return (await applied()) > from + 6000;
  });
}

async function until(
  what: string,
  timeoutMs: number,
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  const giveUp = performance.now() + timeoutMs;
  while (performance.now() < giveUp) {
    if (await holds()) return;
    await sleep(30);
  }
  throw new CaseFailure(`${what}: not within ${timeoutMs} ms`);
}

const needsStrace = () => (findProgram('strace') === null ? 'strace is not installed' : null);

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
const clocks = new WallClocks();

/** How far the wall clock of a member is off, as its HTTP answers say; null: it answers none. */
async function clockErrorSec(member: ClusterMember): Promise<number | null> {
  const response = await fetch(`http://${member.directEndpoint}/version`).catch(() => null);
  const date = response?.headers.get('date') ?? null;
  return date === null ? null : (Date.parse(date) - Date.now()) / 1000;
}

export function cleanUp(): void {
  clocks.remove();
  for (const disk of full.disks.values()) disk.unmount();
  full.disks.clear();
  for (const disk of fragile.disks.values()) disk.unmount();
  fragile.disks.clear();
}

export const CASES: readonly Case[] = [
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
    number: 52,
    holds: 'a lease outlives the death of its leader, and still ends',
    options: { load: ['lease', 'lease', 'lock', 'register'] },
    async script(world) {
      const { cluster } = world;
      for (let time = 0; time < 2; time++) {
        const through = await aFollower(world);
        const ID = BigInt(777_000 + time);
        must((await ask(world, through, { kind: 'lease-grant', lease: ID, ttlSec: 3 })).ok, 'no lease');
        const grantedMs = performance.now();
        must((await put(world, through, `lasting/${time}`, ID)).ok, 'no key');
        const leader = await cluster.waitForLeader();
        await sleep(Math.max(0, 2300 - (performance.now() - grantedMs)));
        await world.disturbed(async () => {
          await kill(world, leader);
          cluster.restart(leader);
          await cluster.healAll();
        });
        await until('the key goes', 15_000, async () => {
          return (await count(world, through, `lasting/${time}`)) === 0;
        });
        must(performance.now() - grantedMs >= 3000, 'the key went before its time');
      }
    },
  },
  {
    number: 53,
    holds: 'a leader stuck in its disk revokes nothing once it is deposed',
    unable: needsStrace,
    options: { load: ['register'] },
    async script(world) {
      const { cluster } = world;
      const leader = await cluster.waitForLeader();
      const [through] = cluster.members.filter((member) => member !== leader) as [ClusterMember];
      const ID = 888_000n;
      must((await ask(world, through, { kind: 'lease-grant', lease: ID, ttlSec: 8 })).ok, 'no lease');
      must((await put(world, through, 'lasting/53', ID)).ok, 'no key');
      await world.disturbed(async () => {
        const trouble = await troubleDisk(leader.pid, ['fdatasync', 'fsync'], 'delay_enter=12000000');
        cluster.mesh.cut([leader.name], cluster.others(leader));
        cluster.mesh.cut(cluster.others(leader), [leader.name]);
        await cluster.waitForLeader(15_000, leader);
        const untilMs = performance.now() + 12_000;
        let [renewedMs, longestMs, refusal] = [performance.now(), 0, ''];
        while (performance.now() < untilMs) {
          const alive = await ask(world, through, { kind: 'lease-keepalive', lease: ID });
          longestMs = Math.max(longestMs, performance.now() - renewedMs);
          if (alive.ok && alive.answer.kind === 'lease-keepalive' && alive.answer.ttlSec > 0) {
            renewedMs = performance.now();
          } else refusal = alive.ok ? 'it is gone' : alive.error;
          await sleep(300);
        }
        must(
          longestMs < 7000,
          `nothing was shown: the lease was not renewed for ${Math.round(longestMs)} ms: ${refusal}`,
        );
        cluster.mesh.healAll();
        await trouble?.end();
        await cluster.healAll();
        await sleep(1000);
        must(
          (await count(world, through, 'lasting/53')) === 1,
          'the old leader revoked a lease that was kept alive',
        );
        await ask(world, through, { kind: 'lease-revoke', lease: ID });
      });
    },
  },
  {
    number: 54,
    holds: 'a keep-alive of a lease that is gone says so in the stream',
    async script({ cluster }) {
      for (const member of cluster.members) {
        await until(`${member.name} answers`, 30_000, async () => {
          const gone = await cluster.observer(member).keepAlive(123_456_789n, 10_000);
          must(!gone.ok || gone.response.ttlSec <= 0, `${member.name} says ${JSON.stringify(gone)}`);
          return gone.ok;
        });
      }
    },
  },
  {
    number: 57,
    holds: 'a holder that slept through the end of its lease writes nothing under its fence',
    options: { load: ['register'] },
    async script(world) {
      const { cluster } = world;
      const [first, second] = cluster.members as [ClusterMember, ClusterMember];
      const take = async (member: ClusterMember, lease: bigint): Promise<number | null> => {
        must((await ask(world, member, { kind: 'lease-grant', lease, ttlSec: 2 })).ok, 'no lease');
        const sent = await ask(world, member, {
          kind: 'txn',
          compare: [{ key: 'lock', target: 'create', result: 'equal', operand: 0 }],
          success: [{ kind: 'put', key: 'lock', value: `holder-${lease}`, lease }],
          failure: [],
        });
        return sent.ok && sent.answer.kind === 'txn' && sent.answer.succeeded ? sent.header.revision : null;
      };
      const write = (member: ClusterMember, fence: number) =>
        ask(world, member, {
          kind: 'txn',
          compare: [{ key: 'lock', target: 'create', result: 'equal', operand: fence }],
          success: [{ kind: 'put', key: 'fenced/57', value: `${fence} ${world.random.uint32()}` }],
          failure: [],
        });
      const fence = await take(first, 57_001n);
      must(fence !== null, 'a free lock is not taken');
      must((await take(second, 57_002n)) === null, 'a lock that is held is taken');
      // The holder sleeps; its lease runs out, and another one comes.
      let taken: number | null = null;
      let lease = 57_003n;
      await until('the lock is free', 20_000, async () => {
        taken = await take(second, lease++);
        return taken !== null;
      });
      const late = await write(first, fence);
      must(late.ok && late.answer.kind === 'txn' && !late.answer.succeeded, 'the sleeper wrote');
      // The control: what trusts the lock alone loses a write by the same sleep.
      const bare = (member: ClusterMember, value: string) =>
        ask(world, member, { kind: 'put', key: 'unfenced/57', value, lease: 0n }, 10_000);
      must((await bare(second, 'of the holder')).ok, 'the holder does not write');
      must(
        (await bare(first, 'of the sleeper')).ok,
        'without a fence nothing keeps the sleeper from writing',
      );
      const read = await ask(world, second, { kind: 'range', key: 'unfenced/57', end: '' }, 10_000);
      must(
        read.ok && read.answer.kind === 'range' && read.answer.kvs[0]?.value === 'of the sleeper',
        'the control lost no write: it shows nothing',
      );
    },
  },
  {
    number: 50,
    holds: 'compaction and defragmentation under load, with members falling',
    script: faults('compact', 'defragment', 'kill-follower', 'compact'),
  },
];

const LOAD: readonly WorkerKind[] = ['register', 'bank', 'set'];

/** Why the case cannot be run here; null: it can. */
export function unableToRun({ only, unable }: Case, kind: ServerKind): string | null {
  return only === undefined || only === kind ? (unable?.() ?? null) : `of ${only} alone`;
}

/** The case in a world of its own. @throws CaseFailure when the script finds a promise broken */
export function caseVerdict(
  { number, options = {}, script }: Case,
  kind: ServerKind,
  seed: string,
): Promise<Verdict> {
  return inWorld({ kind, size: 3, seed: `${seed}/${number}`, load: LOAD, ...options }, async (world) => {
    // Something has to be going on when the fault comes.
    const answered = () => world.recorder.calls.filter(({ outcome }) => outcome.kind === 'ok').length;
    await until('the load has begun', 90_000, () => answered() > 100);
    await script(world);
  });
}

/** The same in one line: `ok, ...`, `skipped: ...`, or what was broken. */
export async function runCase(row: Case, kind: ServerKind, seed: string): Promise<string> {
  const reason = unableToRun(row, kind);
  if (reason !== null) return `skipped: ${reason}`;
  try {
    const { history, violations, leaderChanges } = await caseVerdict(row, kind, seed);
    if (violations.length > 0)
      return violations
        .map(({ rule, detail }) => `${rule}: ${detail}`)
        .join('; ')
        .slice(0, 2000);
    return `ok, ${history.calls.length} calls, ${leaderChanges} leader changes`;
  } catch (error) {
    return (error as Error).message.slice(0, 2000);
  }
}
