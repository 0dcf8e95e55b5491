/**
 * Random schedules keep every property. `RAFT_FIRST_SEED=n RAFT_SEEDS=m` chooses which. That the checks bite is shown
 * in `../mutants.test.ts`.
 */
import { describe, expect, it } from 'vitest';
import { emptyTally, runSchedule } from './schedule.ts';

const SEEDS = Number(process.env.RAFT_SEEDS ?? 300);
const FIRST = Number(process.env.RAFT_FIRST_SEED ?? 1);

describe('random schedules', () => {
  it(`${SEEDS} of them, from seed ${FIRST}, keep every property`, { timeout: 600_000 }, () => {
    const tally = emptyTally();
    for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
      try {
        runSchedule(seed, 1500, {}, tally);
      } catch (error) {
        throw new Error(`RAFT_FIRST_SEED=${seed} RAFT_SEEDS=1: ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
    // A green run that did nothing would prove nothing.
    if (SEEDS >= 100) {
      for (const [what, count] of Object.entries(tally)) expect(count, what).toBeGreaterThan(SEEDS / 4);
    }
    console.log(`random schedules: ${JSON.stringify(tally)}`);
  });
});
