/**
 * Case 46: a change through a joint configuration (thesis section 4.3), with nodes crashed at every step of it.
 *
 * Three members 1, 2, 3 become 3, 4, 5: the change is appended by the leader, reaches the followers, commits by both majorities, puts
 * the joint configuration into force, and is left by another entry. A crash every few milliseconds meets each of these moments on
 * the leader and on the others; the invariants of every event (one leader a term, committed entries on the disks of the quorums
 * in force) say whether two quorums ever decided apart, and the healed cluster has to come out of the joint configuration.
 */
import { MUTANTS } from '@quorate/raft/testing';
import { expect, it } from 'vitest';
import { PLAIN_HOST } from './host.ts';
import type { PlannedChange, Schedule, TimedAction } from './schedule.ts';
import { runSchedule } from './simulation.ts';

const NODES = [0, 1, 2, 3, 4];
const CHANGE_MS = 1_000;
const STEPS: PlannedChange['steps'] = [
  { kind: 'add-voter', node: 3 },
  { kind: 'add-voter', node: 4 },
  { kind: 'remove-node', node: 0 },
  { kind: 'remove-node', node: 1 },
];

function schedule(
  transition: PlannedChange['transition'],
  more: readonly TimedAction[],
  seed: string,
): Schedule {
  // Node 3 leads from the start, and stays a member. Entries before, behind and around the change.
  const proposals = NODES.map((node) => ({
    atMs: CHANGE_MS - 10 + 10 * node,
    action: { kind: 'propose', node: 2, bytes: 8 } as const,
  }));
  const actions: TimedAction[] = [
    { atMs: 20, action: { kind: 'campaign', node: 2 } },
    { atMs: CHANGE_MS, action: { kind: 'conf-change', node: 2, change: { transition, steps: STEPS } } },
    ...proposals,
    ...more,
  ];
  return {
    seed,
    members: 3,
    nodes: 5,
    durationMs: 1_600,
    tickMs: 20,
    tickRates: NODES.map(() => 1),
    network: { loss: 0, duplication: 0, slow: 0, slowMs: 0, baseMs: 3 },
    diskLatencyMs: 2,
    host: PLAIN_HOST,
    raft: {
      preVote: true,
      checkQuorum: true,
      readOnly: 'safe',
      maxInflightMessages: 64,
      maxInflightBytes: 1_000_000,
      maxMessageBytes: 100_000,
      maxUncommittedBytes: 1_000_000,
      maxTailBytes: 1_000_000,
      maxApplyingBytes: 1_000_000,
    },
    actions: actions.sort((a, b) => a.atMs - b.atMs),
  };
}

/** Every one, every two, the members of before, and all. */
const SETS = [
  ...NODES.map((node) => [node]),
  ...NODES.flatMap((one) => NODES.filter((other) => other > one).map((other) => [one, other])),
  [0, 1, 2],
  NODES,
];

/** Milliseconds after the change was proposed. */
const MOMENTS = Array.from({ length: 8 }, (_, step) => 5 * step);

function crashing(
  transition: PlannedChange['transition'],
  set: readonly number[],
  afterMs: number,
): Schedule {
  const crashes = set.map((node) => ({
    atMs: CHANGE_MS + afterMs,
    action: { kind: 'crash', node, downMs: 200 } as const,
  }));
  return schedule(transition, crashes, `joint/${set.join('')}/${afterMs}`);
}

it.each(['joint-auto-leave', 'joint-explicit'] as const)(
  'case-46 %s: whoever crashes at whatever step, no two quorums decide apart, and the change is left',
  (transition) => {
    const quiet = runSchedule(schedule(transition, [], 'joint'));
    expect(quiet.violation).toBeNull();
    expect(quiet.counts['joint configurations']).toBeGreaterThanOrEqual(3);
    let inJoint = 0;
    for (const set of SETS) {
      for (const afterMs of MOMENTS) {
        const { violation, counts } = runSchedule(crashing(transition, set, afterMs));
        expect(violation, `${set} at ${afterMs} ms`).toBeNull();
        inJoint += counts['crashes in a joint configuration'] ?? 0;
      }
    }
    // Crashes met the change under way, not only before and after it.
    expect(inJoint).toBeGreaterThan(50);
  },
);

it('case-46 the same crashes catch a core that ignores the outgoing majority when committing', () => {
  const { rules } = MUTANTS.find(({ name }) => name === 'ignores the outgoing majority when committing')!;
  const caught = SETS.some((set) =>
    MOMENTS.some(
      (afterMs) => runSchedule(crashing('joint-explicit', set, afterMs), { rules }).violation !== null,
    ),
  );
  expect(caught).toBe(true);
});
