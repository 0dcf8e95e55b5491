/**
 * Hundreds of simulated lifetimes of whole clusters, and proof that they were not empty: what must have happened is asserted.
 */
import { expect, test } from 'vitest';
import { runCampaign } from './campaign.ts';
import { FAULT_KINDS } from './plan.ts';

const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);
const LIFETIMES = Math.ceil(300 * scale);
// Fixed, so that every run of CI is the same; `SIM_SEED=...` and `pnpm server-sim` look elsewhere.
const base = process.env.SIM_SEED ?? 'ci';

/** Least number of each for 300 lifetimes; about half of what they bring. */
const MINIMA: Readonly<Record<string, number>> = {
  'leader changes': 350,
  'client calls acknowledged': 40_000,
  revisions: 15_000,
  crashes: 300,
  'unsynced writes lost or torn': 8,
  'ended by a disk error': 16,
  'snapshots installed': 80,
  'snapshots broken': 120,
  'chunks damaged': 35,
  'learners added': 35,
  'learners promoted': 35,
  'members removed': 35,
  'leases expired': 2_500,
  'watches resumed': 5_000,
  'watches compacted': 18,
  'messages lost': 2_000,
  'messages repeated': 2_000,
  ...Object.fromEntries(FAULT_KINDS.map((kind) => [`fault ${kind}`, 20])),
};

test(`${LIFETIMES} lifetimes of clusters of 1, 3 and 5 members (SIM_SEED=${base})`, {
  timeout: 1_200_000,
}, async () => {
  const seeds = (function* () {
    for (let number = 0; number < LIFETIMES; number++) yield `${base}/${number}`;
  })();
  const { failures, counts, runs, events, virtualMs } = await runCampaign({ seeds });
  expect(failures.map(({ report }) => report).join('\n')).toBe('');
  expect(runs).toBe(LIFETIMES);
  const tooRare = Object.entries(MINIMA).filter(
    ([what, least]) => (counts[what] ?? 0) < Math.floor((least * LIFETIMES) / 300),
  );
  expect(tooRare.map(([what, least]) => `${what}: ${counts[what] ?? 0} of ${least}`)).toEqual([]);
  console.log(
    `${runs} lifetimes, ${events} events, ${Math.round(virtualMs / 1000)} s: ${JSON.stringify(counts)}`,
  );
});
