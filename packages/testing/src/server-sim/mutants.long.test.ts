/**
 * Every member that was broken on purpose is caught, and the sound one lives through the same lifetime.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { runCampaign as runRaftCampaign } from '../raft-sim/campaign.ts';
import { SERVER_MUTANTS } from './mutants.ts';
import { drawPlan } from './plan.ts';
import { runPlan } from './simulation.ts';

const base = process.env.SIM_SEED ?? 'mutants';
/** The slowest is caught by about the 20th; raft's slowest by the 1,169th. */
const LIFETIMES = 120;
const SCHEDULES = 2_000;

const killed: string[] = [];

describe(`mutants of the server (SIM_SEED=${base})`, () => {
  test.each(SERVER_MUTANTS)('$name: $breaks', { timeout: 300_000 }, async ({ name, caughtBy, weather }) => {
    if ('raft' in caughtBy) {
      const seeds = (function* () {
        for (let number = 0; number < SCHEDULES; number++) yield `mutants/${number}`;
      })();
      const { failures, runs } = runRaftCampaign({ seeds, rules: caughtBy.raft });
      expect(failures).toHaveLength(1);
      killed.push(`${name}: by the Raft simulator, schedule ${runs}`);
      return;
    }
    for (let number = 0; number < LIFETIMES; number++) {
      const drawn = drawPlan(`${base}/${number}`);
      const plan = weather?.(drawn) ?? drawn;
      const { violation } = await runPlan(plan, { mutations: caughtBy.server });
      if (violation === null) continue;
      expect((await runPlan(plan)).violation).toBeNull();
      killed.push(`${name}: by "${violation.invariant}", lifetime ${number}`);
      return;
    }
    expect.fail(`lives through ${LIFETIMES} lifetimes`);
  });

  afterAll(() => {
    console.log(`${killed.join('\n')}\n${killed.length}/${SERVER_MUTANTS.length} mutants caught`);
  });

  test('there are 22 of them', () => {
    expect(SERVER_MUTANTS).toHaveLength(22);
  });
});
