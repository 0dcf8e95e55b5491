/**
 * A schedule: everything that will be done to a simulated cluster, drawn from one seed, as data.
 *
 * Swarm testing: each seed draws which kinds of fault exist at all and how often, the size of the cluster and how
 * small its buffers are. What is done to the cluster is a list of timed actions, so that a failing schedule can be
 * shrunk by leaving actions out; the noise of the network is drawn from rates while the run goes on. Read next:
 * `themes.ts` for schedules that lie in wait instead.
 */
import { Random } from '../sim/random.ts';
import type { Ambush } from './ambush.ts';
import { drawHost, type HostHabits } from './host.ts';
import { underTheme } from './themes.ts';

export type Action =
  | { readonly kind: 'propose'; readonly node: number; readonly bytes: number }
  | { readonly kind: 'read'; readonly node: number }
  | { readonly kind: 'crash'; readonly node: number; readonly downMs: number }
  /** Stops handling events, then handles all of them late (SIGSTOP, a long collection of garbage). */
  | { readonly kind: 'pause'; readonly node: number; readonly forMs: number }
  /** Splits the nodes: `side` against the rest; `oneWay` drops only what leaves `side`. */
  | {
      readonly kind: 'partition';
      readonly side: readonly number[];
      readonly oneWay: boolean;
      readonly forMs: number;
    }
  | { readonly kind: 'cut-link'; readonly from: number; readonly to: number; readonly forMs: number }
  /** The next write to the disk fails: the node must stop. */
  | { readonly kind: 'disk-error'; readonly node: number; readonly downMs: number }
  | { readonly kind: 'slow-disk'; readonly node: number; readonly forMs: number; readonly latencyMs: number }
  | { readonly kind: 'compact'; readonly node: number; readonly keep: number }
  | { readonly kind: 'transfer'; readonly node: number; readonly to: number }
  | { readonly kind: 'campaign'; readonly node: number }
  | { readonly kind: 'forget-leader'; readonly node: number }
  | { readonly kind: 'conf-change'; readonly node: number; readonly change: PlannedChange }
  | Ambush;

/** Steps name nodes by number; ids above the first members are new nodes. */
export interface PlannedChange {
  readonly transition: 'auto' | 'joint-auto-leave' | 'joint-explicit';
  readonly steps: readonly {
    readonly kind: 'add-voter' | 'add-learner' | 'remove-node';
    readonly node: number;
  }[];
}

export interface TimedAction {
  readonly atMs: number;
  readonly action: Action;
}

export interface NetworkNoise {
  readonly loss: number;
  readonly duplication: number;
  /** Part of the messages that take up to `slowMs`, and so are overtaken. */
  readonly slow: number;
  readonly slowMs: number;
  readonly baseMs: number;
}

export interface Schedule {
  readonly seed: string;
  readonly members: number;
  /** Members and nodes that may join, numbered from 0. */
  readonly nodes: number;
  readonly durationMs: number;
  readonly tickMs: number;
  /** Tick length of each node relative to `tickMs`. */
  readonly tickRates: readonly number[];
  readonly network: NetworkNoise;
  readonly diskLatencyMs: number;
  readonly host: HostHabits;
  readonly raft: {
    readonly preVote: boolean;
    readonly checkQuorum: boolean;
    readonly readOnly: 'safe' | 'lease';
    readonly maxInflightMessages: number;
    readonly maxInflightBytes: number;
    readonly maxMessageBytes: number;
    readonly maxUncommittedBytes: number;
    readonly maxTailBytes: number;
    readonly maxApplyingBytes: number;
  };
  /** In order of time. */
  readonly actions: readonly TimedAction[];
}

/** Draws the schedule of `seed`. */
export function drawSchedule(seed: string): Schedule {
  const weather = drawWeather(seed);
  return underTheme({ ...weather, actions: withForgetting(weather) });
}

/** Hosts that know their leader to be gone, or believe so. From a stream of its own, like all about hosts. */
function withForgetting({ seed, nodes, durationMs, actions }: Schedule): readonly TimedAction[] {
  const random = new Random(seed, 'forgetting');
  if (!random.chance(0.2)) return actions;
  const forgetting = Array.from({ length: random.between(1, 20) }, () => ({
    atMs: random.int(durationMs),
    action: { kind: 'forget-leader', node: random.int(nodes) } as const,
  }));
  return [...actions, ...forgetting].sort((a, b) => a.atMs - b.atMs);
}

function drawWeather(seed: string): Schedule {
  const random = new Random(seed, 'schedule');
  const members = random.between(3, 7);
  const nodes = members + random.int(4);
  const durationMs = random.between(3000, 7000);
  const lease = random.chance(0.25);
  const skewed = random.chance(0.4);
  const noisy = random.chance(0.7);
  const network: NetworkNoise = {
    loss: noisy && random.chance(0.6) ? random.pick([0.01, 0.05, 0.2]) : 0,
    duplication: noisy && random.chance(0.5) ? random.pick([0.01, 0.1]) : 0,
    slow: noisy && random.chance(0.6) ? random.pick([0.02, 0.1, 0.3]) : 0,
    slowMs: random.pick([50, 200, 1000]),
    baseMs: random.pick([1, 3, 10]),
  };
  const small = random.chance(0.5);
  return {
    seed,
    members,
    nodes,
    durationMs,
    tickMs: 20,
    // A lease trusts clocks to a few percent; without leases any rate must be safe.
    tickRates: Array.from({ length: nodes }, () =>
      !skewed ? 1 : lease ? 1 + (random.int(100) - 50) / 1000 : random.pick([0.5, 0.9, 1, 1.1, 2]),
    ),
    network,
    diskLatencyMs: random.pick([0, 1, 5, 20]),
    host: drawHost(seed, nodes),
    raft: {
      preVote: random.chance(0.75),
      checkQuorum: lease || random.chance(0.75),
      readOnly: lease ? 'lease' : 'safe',
      maxInflightMessages: small ? random.between(1, 4) : 64,
      maxInflightBytes: small ? random.pick([64, 1024]) : 1_000_000,
      maxMessageBytes: small ? random.pick([16, 100]) : 100_000,
      maxUncommittedBytes: small && random.chance(0.3) ? 2000 : 1_000_000,
      maxTailBytes: small ? random.pick([64, 500]) : 1_000_000,
      maxApplyingBytes: small ? random.pick([32, 500]) : 1_000_000,
    },
    actions: drawActions(random, { members, nodes, durationMs, lease }),
  };
}

function drawActions(
  random: Random,
  world: { members: number; nodes: number; durationMs: number; lease: boolean },
): TimedAction[] {
  const { members, nodes, durationMs, lease } = world;
  const actions: TimedAction[] = [];
  const add = (action: Action) => actions.push({ atMs: random.int(durationMs), action });
  const anyNode = () => random.int(random.chance(0.8) ? members : nodes);
  const many = (probability: number, most: number, make: () => Action) => {
    if (!random.chance(probability)) return;
    for (let left = random.between(1, most); left > 0; left--) add(make());
  };

  for (let left = random.between(50, 250); left > 0; left--) {
    add({ kind: 'propose', node: anyNode(), bytes: random.pick([4, 8, 40, 200]) });
  }
  for (let left = random.between(10, 60); left > 0; left--) add({ kind: 'read', node: anyNode() });
  many(0.7, 8, () => ({ kind: 'crash', node: anyNode(), downMs: random.pick([1, 50, 400, 1500]) }));
  many(0.2, 2, () => ({ kind: 'disk-error', node: anyNode(), downMs: random.pick([50, 800]) }));
  many(0.3, 4, () => ({
    kind: 'slow-disk',
    node: anyNode(),
    forMs: random.pick([200, 1500]),
    latencyMs: random.pick([50, 300, 1000]),
  }));
  // A pause hides time from a node, and so ends what a lease may trust; hosts measure it (reliability case 38).
  if (!lease) many(0.4, 4, () => ({ kind: 'pause', node: anyNode(), forMs: random.pick([100, 400, 1500]) }));
  many(0.6, 6, () => ({
    kind: 'partition',
    side: random
      .shuffle(Array.from({ length: nodes }, (_, node) => node))
      .slice(0, random.between(1, nodes - 1)),
    oneWay: random.chance(0.4),
    forMs: random.pick([100, 500, 1500]),
  }));
  many(0.4, 8, () => ({ kind: 'cut-link', from: anyNode(), to: anyNode(), forMs: random.pick([200, 1000]) }));
  many(0.6, 10, () => ({ kind: 'compact', node: anyNode(), keep: random.pick([0, 2, 10]) }));
  many(0.3, 6, () => ({ kind: 'transfer', node: anyNode(), to: random.int(nodes) }));
  many(0.2, 4, () => ({ kind: 'campaign', node: anyNode() }));
  many(0.55, 8, () => ({ kind: 'conf-change', node: anyNode(), change: drawChange(random, nodes) }));
  return actions.sort((a, b) => a.atMs - b.atMs);
}

function drawChange(random: Random, nodes: number): PlannedChange {
  const step = () => ({
    kind: random.weighted({ 'add-voter': 3, 'add-learner': 2, 'remove-node': 3 }),
    node: random.int(nodes),
  });
  return {
    transition: random.weighted({ auto: 4, 'joint-auto-leave': 2, 'joint-explicit': 1 }),
    steps: Array.from(
      { length: random.weighted({ one: 3, two: 2, three: 1 }) === 'one' ? 1 : random.between(2, 3) },
      step,
    ),
  };
}

/** One line for each action, so that a shrunk schedule can be read. */
export function describeSchedule(schedule: Schedule): string {
  const { actions, raft, network, ...rest } = schedule;
  const lines = [
    `schedule ${JSON.stringify({ ...rest, network })}`,
    `raft ${JSON.stringify(raft)}`,
    ...actions.map(({ atMs, action }) => `  ${String(atMs).padStart(6)} ms  ${JSON.stringify(action)}`),
  ];
  return lines.join('\n');
}
