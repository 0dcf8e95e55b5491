/**
 * A lifetime of a cluster as data: its size, its limits, its weather, what clients do, and what goes wrong when.
 *
 * Swarm testing: a seed first draws which kinds of fault exist at all and how often, and limits so small that everything
 * that is rare in earnest happens all the time. Faults are a list of timed actions, each drawn from a stream of its own, so
 * that a failing lifetime can be shrunk by leaving some out (`shrink.ts`) without moving the others.
 */
import { MVCC_FAILPOINTS } from '@quorate/mvcc';
import { listFailpoints } from '@quorate/server';
import { WAL_FAILPOINTS } from '@quorate/wal';
import type { LinkQuality } from '../sim/network.ts';
import { Random } from '../sim/random.ts';
import { underTheme } from './themes.ts';

export type Fault =
  | { readonly kind: 'crash'; readonly machine: number; readonly power: boolean; readonly downMs: number }
  | { readonly kind: 'crash-all'; readonly power: boolean; readonly downMs: number }
  | {
      readonly kind: 'failpoint';
      readonly machine: number;
      readonly name: string;
      readonly nth: number;
      readonly power: boolean;
      readonly downMs: number;
    }
  /** SIGTERM. */
  | { readonly kind: 'stop'; readonly machine: number; readonly downMs: number }
  | { readonly kind: 'pause'; readonly machine: number; readonly forMs: number }
  | {
      readonly kind: 'partition';
      readonly side: readonly number[];
      readonly oneWay: boolean;
      readonly forMs: number;
    }
  | { readonly kind: 'cut-link'; readonly from: number; readonly to: number; readonly forMs: number }
  | { readonly kind: 'cut-clients'; readonly machine: number; readonly forMs: number }
  | {
      readonly kind: 'slow-disk';
      readonly machine: number;
      readonly latencyMs: number;
      readonly forMs: number;
    }
  | {
      readonly kind: 'disk-error';
      readonly machine: number;
      readonly operation: 'sync' | 'write';
      readonly downMs: number;
    }
  | { readonly kind: 'clock-jump'; readonly machine: number; readonly byMs: number }
  /** Comes back with the log lost, or with everything: must be refused. */
  | {
      readonly kind: 'amnesia';
      readonly machine: number;
      readonly total: boolean;
      readonly downMs: number;
    }
  | { readonly kind: 'move-leader'; readonly to: number }
  | { readonly kind: 'defragment'; readonly machine: number }
  | { readonly kind: 'compact'; readonly behind: number }
  /** The space alarm is raised: puts are refused everywhere until it is cleared. */
  | { readonly kind: 'alarm'; readonly machine: number; readonly forMs: number }
  /** Member changes. A new machine is added as a learner and promoted; `remove` takes one out; `replace` does both. */
  | { readonly kind: 'add' }
  | { readonly kind: 'remove'; readonly machine: number }
  | { readonly kind: 'replace'; readonly machine: number };

export interface TimedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

export interface Mix {
  readonly put: number;
  readonly get: number;
  readonly txn: number;
  readonly delete: number;
  readonly range: number;
  readonly serializable: number;
  readonly old: number;
  readonly grant: number;
  readonly keepalive: number;
  readonly revoke: number;
  readonly timeToLive: number;
}

export interface Plan {
  readonly seed: string;
  readonly members: number;
  readonly durationMs: number;
  readonly electionMs: number;
  readonly snapshotCount: number;
  readonly catchUpEntries: number;
  readonly walSegmentBytes: number;
  /** Young entries that raft keeps in memory; what is older is read from the log, and then comes as a snapshot. */
  readonly tailBytes: number;
  readonly progressIntervalMs: number;
  readonly diskMs: number;
  readonly storeMs: number;
  readonly preVote: boolean;
  /** By machine; those that join later take from the front again. Not above 1: leases are judged by the simulator's clock. */
  readonly clockRates: readonly number[];
  readonly quality: LinkQuality;
  readonly clients: number;
  readonly watchers: number;
  readonly keys: number;
  readonly thinkMs: number;
  /** Some values are filled up to so many bytes. */
  readonly valueBytes: number;
  readonly mix: Mix;
  /** In order of time. */
  readonly faults: readonly TimedFault[];
}

const KINDS = [
  'crash',
  'crash-all',
  'failpoint',
  'stop',
  'pause',
  'partition',
  'cut-link',
  'cut-clients',
  'slow-disk',
  'disk-error',
  'clock-jump',
  'amnesia',
  'move-leader',
  'defragment',
  'compact',
  'alarm',
  'add',
  'remove',
  'replace',
] as const satisfies readonly Fault['kind'][];

export const FAULT_KINDS: readonly Fault['kind'][] = KINDS;

/** Drawn more often than their share: the hard ones, and those that need another to bite. */
const WEIGHTS: Readonly<Record<Fault['kind'], number>> = {
  crash: 6,
  'crash-all': 2,
  failpoint: 9,
  stop: 2,
  pause: 4,
  partition: 6,
  'cut-link': 3,
  'cut-clients': 1,
  'slow-disk': 2,
  'disk-error': 1,
  'clock-jump': 1,
  amnesia: 1,
  'move-leader': 3,
  defragment: 2,
  compact: 4,
  alarm: 2,
  add: 4,
  remove: 3,
  replace: 4,
};

/** Visited with traffic; the others only while a member starts. */
const FAILPOINTS = listFailpoints();
const INSTALLING = FAILPOINTS.filter((name) => /install|image/i.test(name));

/** Around the moments that promises hang on. */
const CRITICAL = [
  'walBeforeSync',
  'walBeforeSync',
  'walBeforeSync',
  'walAfterSync',
  'raftAfterSave',
  'raftBeforeFollowerSend',
  'beforeAnswer',
  'afterStoreCommit',
  'mvccBeforeLogCommit',
  'mvccAfterLogCommit',
];

export function drawPlan(seed: string): Plan {
  return underTheme(drawWeather(seed), new Random(seed, 'theme'));
}

function drawWeather(seed: string): Plan {
  const random = new Random(seed, 'plan');
  const members = random.pick([1, 3, 3, 3, 3, 3, 5]);
  const durationMs = random.between(6_000, 18_000);
  const noisy = random.chance(0.5);
  const quality: LinkQuality = {
    delayMs: random.pick([1, 2, 5, 15]),
    jitterMs: noisy ? random.pick([2, 20, 100]) : random.pick([0, 2]),
    loss: noisy ? random.pick([0, 0.01, 0.1]) : 0,
    repeat: noisy ? random.pick([0, 0.05]) : 0,
    ordered: random.chance(0.6),
    chunkLoss: random.pick([0, 0, 0.05, 0.3]),
    chunkDamage: random.pick([0, 0, 0.05, 0.2]),
  };
  const snapshotCount = random.pick([5, 10, 20, 50]);
  return {
    seed,
    members,
    durationMs,
    electionMs: random.pick([500, 1000]),
    snapshotCount,
    catchUpEntries: random.pick([0, 1, 5, 20]),
    walSegmentBytes: random.pick([4 * 1024, 4 * 1024, 16 * 1024]),
    progressIntervalMs: random.pick([500, 2_000, 600_000]),
    tailBytes: random.pick([64, 1_024, 8 << 20]),
    diskMs: random.pick([0, 1, 1, 5, 20]),
    storeMs: random.pick([0, 1, 10, 80]),
    preVote: random.chance(0.8),
    clockRates: Array.from({ length: 9 }, () => random.pick([1, 1, 0.995, 0.98])),
    quality,
    clients: random.between(2, 6),
    watchers: random.between(1, 3),
    keys: random.between(3, 8),
    thinkMs: random.pick([15, 30, 80]),
    valueBytes: random.pick([0, 0, 200, 3_000]),
    mix: drawMix(random),
    faults: drawFaults(random, seed, members, durationMs),
  };
}

function drawMix(random: Random): Mix {
  const some = (weight: number) => (random.chance(0.75) ? weight : 0);
  return {
    put: 6,
    get: 5,
    txn: some(4),
    delete: some(2),
    range: some(2),
    serializable: some(1),
    old: some(1),
    grant: some(2),
    keepalive: some(2),
    revoke: some(0.5),
    timeToLive: some(0.5),
  };
}

function drawFaults(random: Random, seed: string, members: number, durationMs: number): TimedFault[] {
  const kinds = KINDS.filter(() => random.chance(0.5)).filter(
    (kind) => members > 1 || !NEEDS_OTHERS.has(kind),
  );
  if (kinds.length === 0) kinds.push('crash');
  const weights = Object.fromEntries(kinds.map((kind) => [kind, WEIGHTS[kind]]));
  const count = random.between(4, 32);
  const faults: TimedFault[] = [];
  for (let number = 0; number < count; number++) {
    const own = new Random(seed, `fault ${number}`);
    const kind = own.weighted(weights) as Fault['kind'];
    faults.push({ atMs: own.between(500, durationMs), fault: drawFault(own, kind, members) });
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

const NEEDS_OTHERS: ReadonlySet<Fault['kind']> = new Set(['partition', 'cut-link', 'move-leader', 'remove']);

function drawFault(random: Random, kind: Fault['kind'], members: number): Fault {
  const machine = random.int(members);
  const power = random.chance(0.6);
  const downMs = random.pick([10, 200, 1_000, 3_000]);
  const forMs = random.pick([100, 600, 2_000, 4_000]);
  switch (kind) {
    case 'crash':
      return { kind, machine, power, downMs };
    case 'stop':
      return { kind, machine, downMs };
    case 'amnesia':
      return { kind, machine, total: power, downMs };
    case 'crash-all':
      return { kind, power, downMs };
    case 'failpoint': {
      const names = random.pick([FAILPOINTS, MVCC_FAILPOINTS, WAL_FAILPOINTS, INSTALLING, CRITICAL]);
      return {
        kind,
        machine,
        name: random.pick<string>(names),
        nth: random.pick([1, 1, 2, 3, 8]),
        power,
        downMs,
      };
    }
    case 'pause':
      return { kind, machine, forMs: random.pick([50, 600, 2_000, 5_000]) };
    case 'partition': {
      const all = random.shuffle(Array.from({ length: members }, (_, number) => number));
      const side = all.slice(0, random.between(1, Math.max(1, members - 1)));
      return { kind, side, oneWay: random.chance(0.3), forMs };
    }
    case 'cut-link': {
      const to = (machine + random.between(1, Math.max(1, members - 1))) % members;
      return { kind, from: machine, to, forMs };
    }
    case 'cut-clients':
      return { kind, machine, forMs };
    case 'slow-disk':
      return { kind, machine, latencyMs: random.pick([100, 500, 2_000]), forMs };
    case 'disk-error':
      return { kind, machine, operation: random.pick(['sync', 'write'] as const), downMs };
    case 'clock-jump':
      return { kind, machine, byMs: random.pick([3_600_000, -7_200_000]) };
    case 'move-leader':
      return { kind, to: machine };
    case 'defragment':
      return { kind, machine };
    case 'alarm':
      return { kind, machine, forMs };
    case 'compact':
      return { kind, behind: random.pick([0, 1, 5, 30]) };
    case 'add':
      return { kind };
    case 'remove':
    case 'replace':
      return { kind, machine };
  }
}

export function describePlan(plan: Plan): string {
  const { faults, mix, quality, ...rest } = plan;
  const show = (value: unknown) => JSON.stringify(value);
  return [
    show(rest),
    `links ${show(quality)}`,
    `mix ${show(mix)}`,
    ...faults.map(({ atMs, fault }) => `  ${String(atMs).padStart(6)} ms  ${show(fault)}`),
  ].join('\n');
}
