/**
 * Runs every scenario of `testdata/`. See `scenario/file.ts` for the format and how to rewrite the transcripts.
 */
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadScenario, SCENARIOS, scenarioPath, transcriptOf } from './scenario/load.ts';
import { World } from './scenario/world.ts';

const rewrite = process.env.RAFT_REWRITE === '1';

describe('scenarios', () => {
  it('are at least eighty, and each says what it shows', () => {
    expect(SCENARIOS.length).toBeGreaterThanOrEqual(80);
    for (const file of SCENARIOS) expect(loadScenario(file).intent.length, file).toBeGreaterThan(30);
  });

  for (const file of SCENARIOS) {
    it(file.replace('.txt', ''), () => {
      const scenario = loadScenario(file);
      const world = new World();
      const transcripts = scenario.steps.map((step) => {
        const transcript = transcriptOf(world, step.commands);
        if (!rewrite) expect(transcript, step.commands.join('; ')).toBe(step.expected);
        return transcript;
      });
      if (rewrite) writeFileSync(scenarioPath(file), scenario.withTranscripts(transcripts));
    });
  }
});
