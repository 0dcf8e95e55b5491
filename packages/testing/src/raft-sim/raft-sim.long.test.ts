/**
 * Thousands of simulated cluster lifetimes, and proof that they were not empty: what must have happened is asserted.
 */
import { expect, it } from 'vitest';
import { runCampaign } from './campaign.ts';

const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);
const SCHEDULES = Math.ceil(4000 * scale);
// Fixed, so that every run of CI is the same; `SIM_SEED=...` and `pnpm sim` look elsewhere.
const base = process.env.SIM_SEED ?? 'ci';

/** Least number of each for 1,000 schedules. */
const MINIMA: Readonly<Record<string, number>> = {
  'leader changes': 1500,
  'entries applied': 200_000,
  crashes: 1500,
  'crashes that lost unsynced data': 50,
  'disk errors': 100,
  'slow disks': 300,
  'snapshots installed': 200,
  compactions: 1000,
  'configuration changes': 2000,
  'joint configurations': 500,
  'reads answered': 10_000,
  transfers: 200,
  partitions: 500,
  'one-way partitions': 300,
  'links cut': 800,
  pauses: 300,
  'forced campaigns': 200,
  'ambushes: leads': 300,
  'ambushes: voted': 500,
  'ambushes: reshapes': 100,
  'messages lost': 20_000,
  'messages repeated': 20_000,
  'messages delayed': 50_000,
  'messages cut off': 20_000,
  'proposals forwarded': 20_000,
  'proposals dropped': 1000,
};

it(`${SCHEDULES} schedules of 2 to 10 nodes (SIM_SEED=${base})`, { timeout: 1_200_000 }, () => {
  const seeds = (function* () {
    for (let number = 0; number < SCHEDULES; number++) yield `${base}/${number}`;
  })();
  const { failures, counts, runs } = runCampaign({ seeds });
  expect(failures.map(({ report }) => report).join('\n')).toBe('');
  expect(runs).toBe(SCHEDULES);
  const tooRare = Object.entries(MINIMA).filter(
    ([what, least]) => (counts[what] ?? 0) < (least * SCHEDULES) / 1000 / 2,
  );
  expect(tooRare).toEqual([]);
  console.log(`${runs} schedules: ${JSON.stringify(counts)}`);
});
