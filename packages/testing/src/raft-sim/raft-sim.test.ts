/**
 * The simulator itself: it replays, it bites, and a sound core passes a first batch of schedules.
 * The full number runs in `raft-sim.long.test.ts` and by `pnpm sim`.
 */
import { MUTANTS } from '@quorate/raft/testing';
import { describe, expect, it } from 'vitest';
import { runCampaign } from './campaign.ts';
import { drawSchedule } from './schedule.ts';
import { shrinkSchedule } from './shrink.ts';
import { runSchedule } from './simulation.ts';

// Fixed, so that every run of CI is the same; `SIM_SEED=...` and `pnpm sim` look elsewhere.
const base = process.env.SIM_SEED ?? 'ci';

function* seeds(from: string, count: number): Generator<string> {
  for (let number = 0; number < count; number++) yield `${from}/${number}`;
}

describe('simulated clusters', () => {
  it(`sound cores pass (SIM_SEED=${base})`, () => {
    const { failures } = runCampaign({ seeds: seeds(base, 300) });
    expect(failures.map(({ report }) => report).join('\n')).toBe('');
  });

  it('the same seed gives the same run, to the last event', () => {
    for (const seed of seeds('determinism', 100)) {
      const first = runSchedule(drawSchedule(seed));
      const second = runSchedule(drawSchedule(seed));
      expect(second).toEqual(first);
      expect(first.events).toBeGreaterThan(100);
    }
  });

  it('another seed gives another run', () => {
    const traces = [...seeds('variety', 50)].map((seed) => runSchedule(drawSchedule(seed)).traceHash);
    expect(new Set(traces).size).toBe(50);
  });
});

describe('every deliberately broken core is caught', () => {
  it('they are at least 12 kinds', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(12);
  });

  it.each(MUTANTS)('$name: $breaks', { timeout: 300_000 }, ({ name, rules }) => {
    // Fixed seeds: what catches a mutant once catches it always. The slowest to be caught needs 1,169 of them.
    const { failures, runs } = runCampaign({ seeds: seeds('mutants', 2000), rules });
    expect(failures.length, `${name} survived ${runs} schedules`).toBe(1);
    const seed = failures[0]?.seed ?? '';
    // The same schedule passes with sound rules, so it is the mutation that was caught.
    expect(runSchedule(drawSchedule(seed)).violation).toBeNull();
  });
});

describe('a disk that takes a torn write for a whole one', () => {
  it('is caught, and the same schedule passes with a disk that does not', () => {
    const torn = { trustsTornWrites: true };
    const caught = [...seeds('mutants', 200)].filter(
      (seed) => runSchedule(drawSchedule(seed), torn).violation !== null,
    );
    expect(caught.length).toBeGreaterThan(0);
    for (const seed of caught) expect(runSchedule(drawSchedule(seed)).violation).toBeNull();
  });
});

describe('shrinking', () => {
  it('keeps the violation and drops what it does not need', () => {
    const broken = MUTANTS.find(({ name }) => name === 'skips the log check in votes');
    if (broken === undefined) throw new Error('no such mutant');
    const options = { rules: broken.rules };
    const seed = [...seeds('mutants', 200)].find(
      (each) => runSchedule(drawSchedule(each), options).violation !== null,
    );
    const schedule = drawSchedule(seed ?? '');
    const invariant = runSchedule(schedule, options).violation?.invariant;
    const small = shrinkSchedule(
      schedule,
      (each) => runSchedule(each, options).violation?.invariant === invariant,
    );
    expect(runSchedule(small, options).violation?.invariant).toBe(invariant);
    expect(small.actions.length).toBeLessThan(schedule.actions.length / 4);
  });

  it('a failure names its seed and prints the schedule that is left, one line for each action', () => {
    const { rules } = MUTANTS.find(({ name }) => name === 'skips the log check in votes')!;
    const { failures } = runCampaign({ seeds: seeds('mutants', 200), rules });
    const { seed, report } = failures[0]!;
    expect(report).toContain(`seed ${seed}: `);
    const [, from, to] = /shrunk from (\d+) to (\d+) actions: \S/.exec(report) ?? [];
    expect(Number(to)).toBeLessThan(Number(from));
    expect(report.match(/^ +\d+ ms {2}\{"kind":/gm)).toHaveLength(Number(to));
    expect(report).toContain('last events:');
  });
});
