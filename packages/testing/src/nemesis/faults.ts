/**
 * Every fault of the nemesis. Numbers are rows of the fault catalogue (kills: A, disk: B, network: C, time: D,
 * membership and leadership: E).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@quorate/proto';
import type { Cluster } from '../cluster/cluster.ts';
import type { LinkQuality } from '../cluster/link.ts';
import type { ClusterMember } from '../cluster/member.ts';
import { CLIENT } from '../cluster/mesh.ts';
import { troubleDisk } from '../cluster/strace.ts';
import { findProgram } from '../process/server-process.ts';
import {
  aFollower,
  dwell,
  type Fault,
  type FaultContext,
  heldBytes,
  isStopped,
  kill,
  leaderOrAny,
} from './fault.ts';
import { replaceMember } from './membership.ts';

type Choose = (context: FaultContext) => Promise<ClusterMember>;

/** Case 1. */
function killing(name: string, choose: Choose): Fault {
  return {
    name,
    async strike(context) {
      const victim = await choose(context);
      const fired = await kill(context, victim);
      await dwell(context.random, 0, 2 * context.cluster.electionMs);
      context.cluster.restart(victim);
      return { fired, detail: victim.name };
    },
  };
}

/** Case 6: everybody within a few milliseconds. */
const killAll: Fault = {
  name: 'kill-all',
  async strike(context) {
    const { cluster } = context;
    const fired = await kill(context, ...cluster.members);
    for (const member of cluster.members) cluster.restart(member);
    return { fired, detail: `${cluster.members.length} members` };
  },
};

/** Cases 38 and 40. */
function pausing(name: string, choose: Choose, elections: number): Fault {
  return {
    name,
    async strike(context) {
      const victim = await choose(context);
      victim.pause();
      await sleep(elections * context.cluster.electionMs);
      const fired = isStopped(victim.pid);
      victim.continue();
      return { fired, detail: `${victim.name} for ${elections} election timeouts` };
    },
  };
}

/** Cases 27 to 29, 31 to 33: links cut (or worse) for a while. `draw` sets them and says what it did. */
function network(name: string, draw: (context: FaultContext) => Promise<string>): Fault {
  return {
    name,
    async strike(context) {
      const { cluster, random } = context;
      const before = heldBytes(cluster);
      const detail = await draw(context);
      await dwell(random, cluster.electionMs, 4 * cluster.electionMs);
      const fired = heldBytes(cluster) > before;
      // What a long cut leaves behind is as often a broken connection as a late packet.
      if (random.chance(0.3)) for (const link of cluster.mesh.links()) if (link.quality.held) link.reset();
      cluster.mesh.healAll();
      return { fired, detail };
    },
  };
}

function bothWays(cluster: Cluster, these: readonly string[], those: readonly string[]): void {
  cluster.mesh.cut(these, those);
  cluster.mesh.cut(those, these);
}

/** Case 28: each member sees a majority, no two the same one. */
function majorityRing({ cluster, random }: FaultContext): string {
  const ring = random.shuffle(cluster.members.map((member) => member.name));
  const reach = Math.floor(ring.length / 2);
  const isNear = (a: number, b: number) => {
    const distance = Math.abs(a - b);
    return Math.min(distance, ring.length - distance) <= Math.ceil(reach / 2);
  };
  // Of three, the ring is a chain: the two ends do not see each other.
  const cutOff = (a: number, b: number) => (ring.length === 3 ? a + b === 2 && a !== b : !isNear(a, b));
  for (let a = 0; a < ring.length; a++) {
    for (let b = 0; b < ring.length; b++) {
      if (a !== b && cutOff(a, b)) cluster.mesh.cut([ring[a]!], [ring[b]!]);
    }
  }
  return ring.join(' ');
}

/** Slow links hold nothing, so they are seen by what passed. */
function slowing(name: string, quality: (context: FaultContext) => Partial<LinkQuality>): Fault {
  return {
    name,
    async strike(context) {
      const { cluster, random } = context;
      const victim = random.chance(0.5) ? await leaderOrAny(context) : random.pick(cluster.members);
      const passed = () => cluster.mesh.links().reduce((sum, link) => sum + link.passedBytes, 0);
      const before = passed();
      const worse = quality(context);
      cluster.mesh.cut([victim.name], cluster.others(victim), worse);
      cluster.mesh.cut(cluster.others(victim), [victim.name], worse);
      await dwell(random, 2 * cluster.electionMs, 4 * cluster.electionMs);
      const fired = passed() > before;
      cluster.mesh.healAll();
      return { fired, detail: `${victim.name} ${JSON.stringify(worse)}` };
    },
  };
}

/** Case 21. */
function slowDisk(name: string, choose: Choose): Fault {
  return {
    name,
    unable: () => (findProgram('strace') === null ? 'strace is not installed' : null),
    async strike(context) {
      const victim = await choose(context);
      const delayMs = context.random.pick([50, 200, 1000]);
      const trouble = await troubleDisk(victim.pid, ['fdatasync', 'fsync'], `delay_enter=${delayMs * 1000}`);
      await dwell(context.random, 2000, 4000);
      const fired = (trouble?.fired() ?? 0) > 0;
      await trouble?.end();
      return { fired, detail: `${victim.name}, each sync ${delayMs} ms late` };
    },
  };
}

/** Case 41. */
const moveLeader: Fault = {
  name: 'move-leader',
  unable: (cluster) => (cluster.members.length < 2 ? 'there is nobody to move to' : null),
  async strike(context) {
    const { cluster } = context;
    const leader = await leaderOrAny(context);
    const target = await aFollower(context);
    const status = await cluster.status(target);
    if (status === null) return { fired: false, detail: `${target.name} says nothing` };
    const method = services['etcdserverpb.Maintenance'].MoveLeader;
    const result = await cluster
      .observer(leader)
      .call(method, { targetID: BigInt(`0x${status.member}`) }, 5000);
    return {
      fired: result.ok,
      detail: `${leader.name} to ${target.name}${result.ok ? '' : `: ${result.error}`}`,
    };
  },
};

/** Case 50, in part: compaction and defragmentation under load. */
const compact: Fault = {
  name: 'compact',
  async strike({ cluster, random, recorder, storySeen }) {
    const revision = storySeen() - 20;
    if (revision < 2) return { fired: false, detail: 'too little history' };
    const member = random.pick(cluster.running());
    const open = recorder.begin('nemesis', { kind: 'compact', revision }, member.endpoint);
    const physical = random.chance(0.5);
    const method = services['etcdserverpb.KV'].Compact;
    const result = await cluster.observer(member).call(method, { revision, physical }, 5000);
    if (result.ok) open.ok({ kind: 'compact' }, { member: member.name, revision: 0, term: 0 });
    else open.error(result.error);
    return { fired: result.ok, detail: `at ${revision}${result.ok ? '' : `: ${result.error}`}` };
  },
};

const defragment: Fault = {
  name: 'defragment',
  async strike({ cluster, random }) {
    const member = random.pick(cluster.running());
    const result = await cluster
      .observer(member)
      .call(services['etcdserverpb.Maintenance'].Defragment, {}, 20_000);
    return { fired: result.ok, detail: `${member.name}${result.ok ? '' : `: ${result.error}`}` };
  },
};

export const FAULTS: readonly Fault[] = [
  killing('kill-leader', leaderOrAny),
  killing('kill-follower', aFollower),
  killAll,
  pausing('pause-leader-1x', leaderOrAny, 1),
  pausing('pause-leader-3x', leaderOrAny, 3),
  pausing('pause-leader-10x', leaderOrAny, 10),
  pausing('pause-follower-3x', aFollower, 3),
  network('partition-leader', async (context) => {
    const leader = await leaderOrAny(context);
    bothWays(context.cluster, [leader.name], context.cluster.others(leader));
    return leader.name;
  }),
  network('partition-minority-with-leader', async (context) => {
    // The largest minority there is. Clients still reach it; it must neither acknowledge nor answer from old news.
    const { cluster } = context;
    const leader = await leaderOrAny(context);
    const companions = Math.floor((cluster.members.length - 1) / 2) - 1;
    const minority = cluster.members.filter((member) => member !== leader).slice(0, companions);
    const side = [leader, ...minority].map((member) => member.name);
    bothWays(
      cluster,
      side,
      cluster.members.map((member) => member.name).filter((name) => !side.includes(name)),
    );
    return side.join(' ');
  }),
  network('partition-follower', async (context) => {
    const follower = await aFollower(context);
    bothWays(context.cluster, [follower.name], context.cluster.others(follower));
    return follower.name;
  }),
  network('leader-deaf', async (context) => {
    const leader = await leaderOrAny(context);
    context.cluster.mesh.cut(context.cluster.others(leader), [leader.name]);
    return `${leader.name} hears nobody`;
  }),
  network('leader-mute', async (context) => {
    const leader = await leaderOrAny(context);
    context.cluster.mesh.cut([leader.name], context.cluster.others(leader));
    return `nobody hears ${leader.name}`;
  }),
  network('majority-ring', async (context) => majorityRing(context)),
  network('clients-cut', async (context) => {
    const member = context.random.pick(context.cluster.members);
    bothWays(context.cluster, [CLIENT], [member.name]);
    return member.name;
  }),
  slowing('slow-links', ({ random }) => ({ delayMs: random.pick([25, 75, 300]), jitterMs: 50 })),
  slowing('narrow-links', () => ({ bytesPerSec: 4000 })),
  slowDisk('slow-disk-leader', leaderOrAny),
  slowDisk('slow-disk-follower', aFollower),
  moveLeader,
  compact,
  defragment,
  replaceMember,
];
