/**
 * Rows of the fault catalogue that need a moment or a clock that only the simulator has: whole members, scripted instead of drawn.
 *
 * Each lifetime ends like any other: healed, judged by all checkers, with members, alarms, leases and hashes compared (`healing.ts`,
 * `judge.ts`). A row also demands that its fault was seen.
 */
import { expect, test } from 'vitest';
import type { Fault, Plan, TimedFault } from './plan.ts';
import { type RunResult, runPlan } from './simulation.ts';

const QUIET: Plan = {
  seed: 'catalogue',
  members: 3,
  durationMs: 5_000,
  electionMs: 500,
  snapshotCount: 10,
  catchUpEntries: 5,
  walSegmentBytes: 16_384,
  tailBytes: 1_024,
  progressIntervalMs: 2_000,
  diskMs: 1,
  storeMs: 1,
  preVote: true,
  clockRates: [1],
  clients: 0,
  watchers: 1,
  keys: 5,
  thinkMs: 30,
  valueBytes: 0,
  quality: { delayMs: 2, jitterMs: 1, loss: 0, repeat: 0, ordered: true, chunkLoss: 0, chunkDamage: 0 },
  mix: {
    put: 6,
    get: 5,
    txn: 4,
    delete: 2,
    range: 2,
    serializable: 1,
    old: 1,
    grant: 0,
    keepalive: 0,
    revoke: 0,
    timeToLive: 0,
  },
  faults: [],
};

const LEASES = { grant: 3, keepalive: 3, revoke: 1, timeToLive: 1 };

async function live(plan: Plan): Promise<RunResult> {
  const result = await runPlan(plan);
  expect(result.violation).toBeNull();
  return result;
}

/** Entries that change more than keys. Nobody writes beside them, so that the next entry to be applied is theirs. */
const CHANGES: readonly Fault[] = [
  { kind: 'alarm', machine: 1, forMs: 600 },
  { kind: 'add' },
  { kind: 'remove', machine: 1 },
  { kind: 'replace', machine: 1 },
];
/** Members have been connected for long enough for changes of them to be taken. */
const STRUCK_MS = 6_000;
const POINTS = [
  'raftAfterSave',
  'beforeApplyEntry',
  'beforeStoreCommit',
  'afterStoreCommit',
  'mvccBeforeLogCommit',
  'mvccAfterLogCommit',
];

test.each(CHANGES)(
  'case-08 members killed while $kind is applied hold the same afterwards: members, alarms, hash',
  { timeout: 120_000 },
  async (change) => {
    const struck = new Set<string>();
    let changed = 0;
    for (const name of POINTS) {
      for (const machines of [[0], [2], [0, 1, 2]]) {
        const faults: TimedFault[] = [
          ...machines.map((machine) => ({
            atMs: STRUCK_MS,
            fault: { kind: 'failpoint', machine, name, nth: 1, power: true, downMs: 200 } as const,
          })),
          { atMs: STRUCK_MS + 1, fault: change },
        ];
        const seed = `case-08/${name}/${machines}`;
        const { counts } = await live({ ...QUIET, seed, durationMs: 11_000, faults });
        changed += counts[`fault ${change.kind}`] ?? 0;
        if (counts[`failpoint ${name}`] !== undefined) struck.add(name);
      }
    }
    // What changes members is raft's before it is the applier's, and passes the applier's points only with what follows it.
    const passed = change.kind === 'alarm' ? POINTS : POINTS.filter((name) => !/Apply|Store/.test(name));
    expect([...struck]).toEqual(expect.arrayContaining(passed));
    expect(changed).toBeGreaterThan(POINTS.length);
  },
);

test('case-37 wall clocks that jump every 100 ms, and clocks a percent slow: leases keep their time', async () => {
  const jumps = Array.from({ length: 60 }, (_, time): TimedFault => {
    const byMs = [3_600_000, -7_200_000, 3_600_000][time % 3]!;
    return { atMs: 1_000 + 100 * time, fault: { kind: 'clock-jump', machine: time % 2, byMs } };
  });
  const { counts } = await live({
    ...QUIET,
    seed: 'case-37/strobe',
    durationMs: 8_000,
    clockRates: [1, 0.99, 0.995],
    clients: 5,
    mix: { ...QUIET.mix, ...LEASES },
    faults: jumps,
  });
  expect(counts['fault clock-jump']).toBe(60);
  expect(counts['leases expired']).toBeGreaterThan(0);
});

test.each([0.5, 10])(
  'case-37 one member whose time passes %d times as fast: all promises but those of leases, and nobody waits for ever',
  async (rate) => {
    for (let slow = 0; slow < 3; slow++) {
      const clockRates = [0, 1, 2].map((machine) => (machine === slow ? rate : 1));
      const crash = { kind: 'crash', machine: (slow + 1) % 3, power: true, downMs: 500 } as const;
      const { counts } = await live({
        ...QUIET,
        seed: `case-37/${rate}/${slow}`,
        clockRates,
        clients: 4,
        faults: [{ atMs: 2_500, fault: crash }],
      });
      expect(counts['client calls acknowledged']).toBeGreaterThan(100);
    }
  },
);
