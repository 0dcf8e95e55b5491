/**
 * Themes: schedules bent towards one kind of trouble, by `ambush.ts` and by what is done to the cluster.
 *
 * Most schedules are plain weather, as `schedule.ts` draws it. Some mistakes need three coincidences in a row and
 * survive thousands of those; each theme arranges the coincidences of one family:
 *
 *     'duels'           two nodes campaign at once, voters crash right after they voted
 *     'short-reigns'    leaders are parted from most of the others as soon as they won (thesis figure 3.7)
 *     'divided-change'  the news that a configuration is committed reaches only its new members
 *     'leases'          leaders are replaced as early as may be, do not hear of it, and are asked for reads all the time
 *     'late-machines'   snapshots overtake state machines that still have changes of members to apply
 *
 * A theme has draws of its own: the weather of a seed is the same with and without.
 */
import { Random } from '../sim/random.ts';
import { PLAIN_HOST } from './host.ts';
import type { Action, PlannedChange, Schedule, TimedAction } from './schedule.ts';

/** The schedule of a seed under the theme drawn for it. */
export function underTheme(weather: Schedule): Schedule {
  const random = new Random(weather.seed, 'theme');
  switch (random.weighted({ weather: 7, duels: 1, 'short-reigns': 1, 'divided-change': 1 })) {
    case 'weather':
      if (weather.raft.readOnly === 'lease') return random.chance(0.5) ? leases(weather, random) : weather;
      return random.chance(0.1) ? lateMachines(weather, random) : weather;
    case 'duels':
      return duels(weather, random);
    case 'short-reigns':
      return shortReigns(weather, random);
    case 'divided-change':
      return dividedChange(weather, random);
  }
}

/**
 * One voter decides between two candidates of one term, and forgets in between what it does not persist.
 *
 *     1 --vote?--> 2        grants, its answer leaves
 *                  2        crashes, starts again
 *     3 --vote?--> 2        the same term
 */
function duels(weather: Schedule, random: Random): Schedule {
  const { durationMs } = weather;
  const members = random.pick([3, 3, 4]);
  const actions: TimedAction[] = [
    at(0, { kind: 'ambush', on: 'voted', strike: 'crash', chance: 0.7, withinMs: 2, forMs: 1, allies: 0 }),
  ];
  for (let atMs = 300; atMs < durationMs; atMs += random.between(150, 500)) {
    const [one, other] = random.shuffle(numbers(members));
    actions.push(at(atMs, { kind: 'campaign', node: one as number }));
    actions.push(at(atMs + random.int(8), { kind: 'campaign', node: other as number }));
  }
  return {
    ...weather,
    ...cluster(members, members),
    diskLatencyMs: random.pick([0, 1, 5]),
    network: { ...weather.network, loss: 0, slow: 0, baseMs: random.pick([3, 10]) },
    raft: { ...weather.raft, preVote: false, checkQuorum: false, readOnly: 'safe' },
    actions: merged(requestsOf(weather, members), actions),
  };
}

/** Logs that fork again and again: each reign leaves a few entries with a few nodes. */
function shortReigns(weather: Schedule, random: Random): Schedule {
  const members = random.pick([3, 5, 5]);
  const allies = (members - 1) / 2;
  const forMs = random.pick([300, 600]);
  return {
    ...weather,
    ...cluster(members, members),
    durationMs: 8000,
    diskLatencyMs: random.pick([0, 1, 5]),
    network: { ...weather.network, loss: 0, slow: 0, baseMs: random.pick([3, 10]) },
    host: PLAIN_HOST,
    raft: {
      ...weather.raft,
      preVote: random.chance(0.3),
      checkQuorum: random.chance(0.5),
      readOnly: 'safe',
      // Entries travel one by one, so that a reign ends between an old entry and the leader's own.
      maxInflightMessages: 1,
      maxMessageBytes: 1,
    },
    actions: merged(
      requestsOf(weather, members).filter(() => random.chance(0.5)),
      [
        at(0, { kind: 'ambush', on: 'leads', strike: 'part', chance: 0.7, withinMs: 0, forMs, allies }),
        at(0, {
          kind: 'ambush',
          on: 'leads',
          strike: 'crash',
          chance: 0.7,
          withinMs: 150,
          forMs: 100,
          allies,
        }),
      ],
    ),
  };
}

/**
 * The old voters but for the leader do not hear that the change is committed, and decide by the old configuration;
 * the new ones, or the one that stays, decide by the new one. The rules of chapter 4 keep that harmless.
 */
function dividedChange(weather: Schedule, random: Random): Schedule {
  const members = random.pick([2, 3, 3]);
  const nodes = random.between(5, 6);
  const forMs = random.pick([1500, 2500]);
  const joint = random.chance(0.5);
  const actions: TimedAction[] = [
    at(0, { kind: 'ambush', on: 'reshapes', strike: 'divide', chance: 0.8, withinMs: 0, forMs, allies: 0 }),
    at(0, {
      kind: 'ambush',
      on: 'reshapes',
      strike: 'crash',
      chance: 0.5,
      withinMs: 600,
      forMs: 1,
      allies: 0,
    }),
  ];
  const keep = random.int(members);
  const joining = numbers(nodes).slice(members);
  for (let tries = random.between(2, 5); tries > 0; tries--) {
    const atMs = random.between(500, 3500);
    const changes: PlannedChange[] = joint
      ? [replaceAllBut(keep, members, joining.slice(0, random.int(joining.length + 1)), random)]
      : joining.map((node) => ({ transition: 'auto', steps: [{ kind: 'add-voter', node }] }));
    for (const change of changes) {
      actions.push(at(atMs, { kind: 'conf-change', node: random.int(members), change }));
    }
    // Entries behind the change: whoever leads has the longer log when it leaves.
    for (let left = random.int(6); left > 0; left--) {
      actions.push(at(atMs + random.int(40), { kind: 'propose', node: random.int(members), bytes: 8 }));
    }
  }
  return {
    ...weather,
    ...cluster(members, nodes),
    durationMs: 8000,
    diskLatencyMs: random.pick([0, 1, 5]),
    network: { ...weather.network, loss: 0, slow: 0 },
    raft: { ...weather.raft, readOnly: 'safe' },
    actions: merged(requestsOf(weather, nodes), actions),
  };
}

function replaceAllBut(
  keep: number,
  members: number,
  joining: readonly number[],
  random: Random,
): PlannedChange {
  return {
    transition: random.pick(['joint-auto-leave', 'joint-explicit']),
    steps: [
      ...joining.map((node) => ({ kind: 'add-voter' as const, node })),
      ...numbers(members)
        .filter((node) => node !== keep)
        .map((node) => ({ kind: 'remove-node' as const, node })),
    ],
  };
}

/**
 * A lease says that nobody else can have been elected yet. Voters that were cut off, restarted, told to take over or brought in
 * shortly before are those that might elect somebody all the same.
 */
function leases(weather: Schedule, random: Random): Schedule {
  const members = random.pick([3, 3, 5]);
  const nodes = members + 1;
  const durationMs = 6000;
  const actions: TimedAction[] = [
    at(0, {
      kind: 'ambush',
      on: 'leads',
      strike: 'eclipse',
      chance: 0.9,
      withinMs: 0,
      forMs: 200,
      allies: 0,
    }),
  ];
  for (let atMs = 200; atMs < durationMs; atMs += random.between(2, 8)) {
    actions.push(at(atMs, { kind: 'read', node: random.int(members) }));
  }
  for (let atMs = 300; atMs < durationMs; atMs += random.between(100, 400)) {
    const [one, other, third] = random.shuffle(numbers(members)) as [number, number, number];
    const apart = (from: number, to: number, forMs: number) => [
      at(atMs, { kind: 'cut-link', from, to, forMs }),
      at(atMs, { kind: 'cut-link', from: to, to: from, forMs }),
    ];
    const alone = (afterMs: number, forMs: number) =>
      at(atMs + afterMs, { kind: 'partition', side: [one], oneWay: false, forMs });
    switch (random.weighted({ crossed: 3, forgotten: 3, link: 1, restart: 1, transfer: 2, change: 1 })) {
      case 'crossed': {
        // Two lose patience and ask each other; then the leader is heard again, and their questions are still on their way.
        const late = random.between(200, 230);
        actions.push(alone(0, late + random.between(2, 25)));
        actions.push(at(atMs + late, { kind: 'campaign', node: other }));
        actions.push(at(atMs + late + random.int(8), { kind: 'campaign', node: third }));
        break;
      }
      case 'forgotten': {
        // One has lost patience; another, which has just answered the leader, starts anew and remembers nothing of it.
        const late = random.between(200, 400);
        actions.push(...apart(one, other, late + 200), alone(late, 200));
        actions.push(at(atMs + late, { kind: 'crash', node: third, downMs: 1 }));
        actions.push(at(atMs + late + random.between(2, 20), { kind: 'campaign', node: other }));
        break;
      }
      case 'link':
        actions.push(...apart(one, other, random.between(150, 400)));
        break;
      case 'restart':
        actions.push(at(atMs, { kind: 'crash', node: one, downMs: 1 }));
        break;
      case 'transfer':
        // The leader does not hear what becomes of it.
        actions.push(at(atMs, { kind: 'cut-link', from: other, to: one, forMs: 200 }));
        for (const node of numbers(members)) actions.push(at(atMs, { kind: 'transfer', node, to: other }));
        break;
      case 'change': {
        const kind = random.weighted({ 'add-voter': 2, 'remove-node': 1 });
        const change: PlannedChange = { transition: 'auto', steps: [{ kind, node: members }] };
        actions.push(at(atMs, { kind: 'conf-change', node: one, change }));
      }
    }
  }
  return {
    ...weather,
    ...cluster(members, nodes),
    durationMs,
    diskLatencyMs: random.pick([0, 1, 5]),
    network: {
      ...weather.network,
      loss: 0,
      slow: random.pick([0.1, 0.4]),
      slowMs: random.pick([50, 150]),
      baseMs: random.pick([1, 3]),
    },
    raft: { ...weather.raft, checkQuorum: true, readOnly: 'lease' },
    // A log that grows all the time would refuse those candidates.
    actions: merged(
      requestsOf(weather, members).filter(() => random.chance(0.15)),
      actions,
    ),
  };
}

/**
 * One node is told of changes, is cut off before it has applied them, and comes back to a log that is gone: a snapshot brings it
 * a configuration from beyond what its state machine is still busy with.
 */
function lateMachines(weather: Schedule, random: Random): Schedule {
  const members = random.pick([4, 5]);
  const nodes = members + 1;
  const late = random.int(members);
  const others = numbers(members).filter((node) => node !== late);
  const actions: TimedAction[] = [];
  for (let atMs = 400; atMs < weather.durationMs; atMs += random.between(400, 900)) {
    const node = random.pick(others.concat(members));
    const leaves = random.pick(['add-learner', 'remove-node'] as const);
    const change = (kind: PlannedChange['steps'][number]['kind'], afterMs: number) =>
      at(atMs + afterMs, {
        kind: 'conf-change',
        node: random.pick(others),
        change: { transition: random.pick(['auto', 'joint-auto-leave']), steps: [{ kind, node }] },
      });
    actions.push(change(leaves, 0));
    const gone = random.between(20, 80);
    actions.push(at(atMs + gone, { kind: 'partition', side: [late], oneWay: false, forMs: 150 }));
    actions.push(change('add-voter', gone + random.int(60)));
    for (const other of others)
      actions.push(at(atMs + gone + 140, { kind: 'compact', node: other, keep: 0 }));
  }
  const applyMs = numbers(nodes).map((node) => (node === late ? 2000 : 0));
  return {
    ...weather,
    ...cluster(members, nodes),
    diskLatencyMs: random.pick([0, 1, 5]),
    network: { ...weather.network, loss: 0, slow: 0, baseMs: random.pick([1, 3]) },
    host: { ...weather.host, applyMs, unreadable: 0, tellsOfLoss: true },
    raft: { ...weather.raft, maxTailBytes: 1 },
    actions: merged(requestsOf(weather, members), actions),
  };
}

function at(atMs: number, action: Action): TimedAction {
  return { atMs, action };
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

function cluster(members: number, nodes: number): Pick<Schedule, 'members' | 'nodes' | 'tickRates'> {
  return { members, nodes, tickRates: new Array<number>(nodes).fill(1) };
}

/** What clients ask in this weather, of the first `nodes` nodes. */
function requestsOf(weather: Schedule, nodes: number): TimedAction[] {
  return weather.actions.flatMap(({ atMs, action }) =>
    action.kind === 'propose' || action.kind === 'read'
      ? [{ atMs, action: { ...action, node: action.node % nodes } }]
      : [],
  );
}

function merged(...lists: TimedAction[][]): TimedAction[] {
  return lists.flat().sort((a, b) => a.atMs - b.atMs);
}
