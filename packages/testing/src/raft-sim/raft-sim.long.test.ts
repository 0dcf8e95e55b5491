/**
 * Thousands of simulated cluster lifetimes, and proof that they were not empty: what must have happened is asserted.
 */
import { expect, it } from 'vitest';
import { runCampaign } from './campaign.ts';
import { drawSchedule } from './schedule.ts';

const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);
const SCHEDULES = Math.ceil(4000 * scale);
// Fixed, so that every run of CI is the same; `SIM_SEED=...` and `pnpm sim` look elsewhere.
const base = process.env.SIM_SEED ?? 'ci';

/**
 * Least number of each for 1,000 schedules, about half of what the fixed seeds give. Every kind of fault is here: one
 * that no longer fires would leave the run green and empty.
 */
const MINIMA: Readonly<Record<string, number>> = {
  // What a cluster lives for.
  'leader changes': 2000,
  'entries applied': 300_000,
  'reads answered': 9000,
  'clusters with leases': 110,
  'snapshots installed': 200,
  compactions: 800,
  'configuration changes': 2500,
  'joint configurations': 1400,
  'leaders elected in a joint configuration': 80,
  transfers: 150,
  'proposals forwarded': 35_000,
  'proposals dropped': 15_000,
  // Nodes that die, and their disks.
  crashes: 2500,
  restarts: 2500,
  'crashes that lost unsynced data': 100,
  'crashes in a joint configuration': 150,
  'torn last writes': 120,
  'disk errors': 80,
  'slow disks': 240,
  // What hosts are like.
  'applied late': 25_000,
  'restarts with a state machine on disk': 800,
  'reads of storage put off': 5000,
  'losses reported': 25_000,
  'leaders forgotten': 500,
  'changes overtaken by a snapshot': 80,
  // Time.
  'skewed clocks': 800,
  pauses: 220,
  // The network.
  partitions: 400,
  'one-way partitions': 300,
  'links cut': 600,
  'messages cut off': 60_000,
  'messages lost': 35_000,
  'messages repeated': 30_000,
  'messages delayed': 70_000,
  'messages overtaken': 200_000,
  // Trouble that waits for its moment, and the end.
  'forced campaigns': 1500,
  'ambushes: leads': 500,
  'ambushes: voted': 1100,
  'ambushes: reshapes': 200,
  'cores healed without the others': 180,
};

it(`${SCHEDULES} schedules, of 3 to 7 nodes for the most part (SIM_SEED=${base})`, {
  timeout: 1_200_000,
}, () => {
  const seeds = Array.from({ length: SCHEDULES }, (_, number) => `${base}/${number}`);
  const sizes = seeds.map((seed) => drawSchedule(seed).nodes);
  expect(sizes.filter((nodes) => nodes >= 3 && nodes <= 7).length).toBeGreaterThanOrEqual(SCHEDULES / 2);
  const { failures, counts, runs } = runCampaign({ seeds });
  expect(failures.map(({ report }) => report).join('\n')).toBe('');
  expect(runs).toBe(SCHEDULES);
  const tooRare = Object.entries(MINIMA).filter(
    ([what, least]) => (counts[what] ?? 0) < (least * SCHEDULES) / 1000,
  );
  expect(tooRare).toEqual([]);
  console.log(`${runs} schedules: ${JSON.stringify(counts)}`);
});
