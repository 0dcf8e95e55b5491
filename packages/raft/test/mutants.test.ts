/**
 * The tests bite: each deliberately broken core fails scenarios, by an `expect` or by a property, not merely by a
 * transcript that reads differently. Those that random schedules find fast have to fail there, too.
 */
import { MUTANTS, type Mutant } from '@quorate/raft/testing';
import { describe, expect, it } from 'vitest';
import { runSchedule } from './random/schedule.ts';
import { loadScenario, SCENARIOS, transcriptOf } from './scenario/load.ts';
import { World } from './scenario/world.ts';

function failingScenarios(mutant: Mutant): string[] {
  return SCENARIOS.filter((file) => {
    const world = new World(mutant.rules);
    try {
      for (const step of loadScenario(file).steps) transcriptOf(world, step.commands);
      return false;
    } catch {
      return true;
    }
  });
}

/** Caught within this many seeds, with a margin. */
const QUICK_SEEDS = 200;
const QUICK: ReadonlySet<string> = new Set([
  'votes twice in a term',
  'skips the log check in votes',
  'accepts appends without the matching check',
  'a late append undoes newer entries',
  'follower commits beyond what it shares with the leader',
  'ignores the outgoing majority when committing',
  'ignores the outgoing majority when electing',
  'acknowledges before persisting',
  'leader counts its own log before it is durable',
  'serves reads before committing in its term',
]);

describe('mutants', () => {
  it('are at least twelve', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(12);
  });

  it('differ from the sound core, which fails nothing', () => {
    expect(failingScenarios({ name: 'none', breaks: 'nothing', rules: {} })).toEqual([]);
  });

  for (const mutant of MUTANTS) {
    it(`fails a scenario: ${mutant.name}`, () => {
      expect(failingScenarios(mutant), mutant.breaks).not.toEqual([]);
    });

    if (!QUICK.has(mutant.name)) continue;
    it(`fails a random schedule: ${mutant.name}`, { timeout: 60_000 }, () => {
      let caught = '';
      for (let seed = 1; seed <= QUICK_SEEDS && caught === ''; seed += 1) {
        try {
          runSchedule(seed, 1500, mutant.rules);
        } catch (error) {
          caught = (error as Error).message;
        }
      }
      // "No agreement" would say that it is slow, not that it is wrong.
      expect(caught, mutant.breaks).not.toMatch(/^$|^no agreement/);
    });
  }
});
