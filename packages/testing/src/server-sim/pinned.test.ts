/**
 * Lifetimes that once ended badly, kept as plans: what a seed draws changes with `plan.ts`, a pinned plan does not.
 */
import { expect, test } from 'vitest';
import type { Plan } from './plan.ts';
import { runPlan } from './simulation.ts';

/**
 * A follower is away until the log no longer reaches back to it, and held still while its slow store takes in a snapshot. The
 * leader gave that one up and sent another, which ended the first at the follower; the failure of the first was taken for that
 * of the second, so a third was sent at once, and so on: none was ever installed. Found as `ci/948` at commit 6e635fa.
 */
const SNAPSHOTS_END_EACH_OTHER: Plan = {
  seed: 'pinned/snapshots',
  members: 3,
  durationMs: 8_000,
  electionMs: 500,
  snapshotCount: 10,
  catchUpEntries: 0,
  walSegmentBytes: 16_384,
  tailBytes: 64,
  progressIntervalMs: 2_000,
  diskMs: 1,
  storeMs: 80,
  preVote: true,
  clockRates: [1],
  clients: 3,
  watchers: 1,
  keys: 30,
  thinkMs: 15,
  valueBytes: 3_000,
  quality: { delayMs: 15, jitterMs: 0, loss: 0, repeat: 0, ordered: false, chunkLoss: 0, chunkDamage: 0 },
  mix: {
    put: 6,
    get: 5,
    txn: 4,
    delete: 0,
    range: 2,
    serializable: 0,
    old: 0,
    grant: 0,
    keepalive: 0,
    revoke: 0,
    timeToLive: 0,
  },
  faults: [
    { atMs: 1_000, fault: { kind: 'partition', side: [2], oneWay: false, forMs: 3_000 } },
    { atMs: 4_150, fault: { kind: 'pause', machine: 2, forMs: 1_500 } },
  ],
};

test.each([4_030, 4_100, 4_150, 4_200, 4_250, 4_300])(
  'snapshots to a slow store do not end each other: the follower is held still at %i ms',
  { timeout: 60_000 },
  async (atMs) => {
    const [partition, pause] = SNAPSHOTS_END_EACH_OTHER.faults;
    const plan = { ...SNAPSHOTS_END_EACH_OTHER, faults: [partition!, { ...pause!, atMs }] };
    const { violation, counts } = await runPlan(plan);
    expect(violation).toBeNull();
    expect(counts['snapshots installed'] ?? 0).toBeGreaterThan(0);
  },
);
