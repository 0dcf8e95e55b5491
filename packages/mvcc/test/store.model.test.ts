/**
 * The whole store against a plain model: random entries, reads now and in the past, compactions, flushes at random
 * points, defragmentations and crashes, with limits so small that every mechanism is at work.
 *
 * A failure prints its seed and its shortest list of commands; `MVCC_SEED` and `MVCC_RUNS` repeat or extend a run.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arbitraryCommands } from './model/commands.ts';
import { Harness } from './model/harness.ts';

const seed = Number(process.env.MVCC_SEED ?? 20261121);
const numRuns = Number(process.env.MVCC_RUNS ?? 150);

for (const longKeys of [false, true]) {
  const name = longKeys ? 'some keys over 1,900 bytes' : 'short keys';
  test(`sem-019..076: the store answers as the model does (${name}, seed ${seed}, ${numRuns} runs)`, {
    timeout: 600_000,
  }, () => {
    let images = 0;
    fc.assert(
      fc.property(fc.commands(arbitraryCommands(longKeys), { maxCommands: 120, size: '+2' }), (commands) => {
        const harness = new Harness();
        fc.modelRun(() => ({ model: {}, real: harness }), commands);
        harness.settle();
        images = Math.max(images, harness.mostImages);
        expect(harness.reads.filter((read) => !read.done)).toEqual([]);
      }),
      { seed, numRuns, endOnFailure: false },
    );
    expect(images).toBeGreaterThan(1);
  });
}
