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
  'leader changes': 400,
  'client calls acknowledged': 30_000,
  revisions: 12_000,
  crashes: 400,
  'unsynced writes lost or torn': 4,
  'ended by a disk error': 20,
  'snapshots installed': 30,
  'snapshots broken': 20,
  'chunks damaged': 5,
  'learners added': 15,
  'learners promoted': 10,
  'members removed': 15,
  'leases expired': 700,
  'watches resumed': 5_000,
  'watches compacted': 20,
  'messages lost': 2_000,
  'messages repeated': 1_000,
  ...Object.fromEntries(FAULT_KINDS.map((kind) => [`fault ${kind}`, 3])),
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
