/**
 * The simulator itself: a seed replays to the last event, sound members live through some lifetimes, a failure is made small.
 */
import { describe, expect, test } from 'vitest';
import { hashStory } from './hash-kv.ts';
import { SERVER_MUTANTS } from './mutants.ts';
import { drawPlan, FAULT_KINDS, type Plan } from './plan.ts';
import { shrinkPlan } from './shrink.ts';
import { runPlan } from './simulation.ts';

const base = process.env.SIM_SEED ?? 'ci';

const short = (plan: Plan): Plan => ({ ...plan, durationMs: Math.min(plan.durationMs, 6_000) });

describe(`lifetimes of clusters (SIM_SEED=${base})`, { timeout: 120_000 }, () => {
  test.each([0, 1, 2, 3])(
    'a seed is a function: lifetime %i twice is equal to the last event',
    async (number) => {
      const plan = short(drawPlan(`${base}/${number}`));
      const [one, other] = [await runPlan(plan), await runPlan(plan)];
      expect(one.violation).toBeNull();
      expect(other).toEqual(one);
    },
  );

  test('other seeds are other lifetimes', async () => {
    const hashes = new Set<number>();
    for (let number = 4; number < 6; number++) {
      hashes.add((await runPlan(short(drawPlan(`${base}/${number}`)))).hash);
    }
    expect(hashes.size).toBe(2);
  });

  test('every kind of fault is drawn within a hundred seeds', () => {
    const drawn = new Set<string>();
    for (let number = 0; number < 100; number++) {
      for (const { fault } of drawPlan(`${base}/${number}`).faults) drawn.add(fault.kind);
    }
    expect([...drawn].sort()).toEqual([...FAULT_KINDS].sort());
  });
});

test('a failure is made small: the same invariant breaks with fewer faults', {
  timeout: 120_000,
}, async () => {
  const { caughtBy } = SERVER_MUTANTS.find(({ name }) => name === 'deletes without taking a revision')!;
  if (!('server' in caughtBy)) throw new Error('that mutant is one of the server');
  const mutations = caughtBy.server;
  const plan = short(drawPlan('shrink/0'));
  const { violation } = await runPlan(plan, { mutations });
  // Which of the two is noticed first depends on the moment of the first delete.
  expect(['oneAuthor', 'effects']).toContain(violation?.invariant);
  const same = async (candidate: Plan): Promise<boolean> =>
    (await runPlan(candidate, { mutations })).violation?.invariant === violation?.invariant;
  const small = await shrinkPlan(plan, same, 12);
  expect(small.faults.length).toBeLessThan(plan.faults.length);
  expect(await same(small)).toBe(true);
});

test('the hash of an empty story is that of its name alone', () => {
  // CRC-32C of "key".
  expect(hashStory([], 1, -1)).toBe(hashStory([], 5, -1));
  expect(hashStory([], 1, -1)).not.toBe(0);
});
