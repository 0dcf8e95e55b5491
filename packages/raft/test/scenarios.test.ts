/**
 * Runs every scenario of `testdata/`. See `scenario/file.ts` for the format and how to rewrite the transcripts.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseScenario } from './scenario/file.ts';
import { World } from './scenario/world.ts';

const root = new URL('../testdata', import.meta.url).pathname;
const rewrite = process.env.RAFT_REWRITE === '1';

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.txt'))
  .sort();

function transcriptOf(world: World, commands: readonly string[]): string {
  const lines: string[] = [];
  for (const command of commands) {
    const output = world.run(command);
    if (output !== '') lines.push(output);
  }
  return lines.length === 0 ? 'ok' : lines.join('\n');
}

describe('scenarios', () => {
  it('are at least eighty, and each says what it shows', () => {
    expect(files.length).toBeGreaterThanOrEqual(80);
    for (const file of files) {
      expect(parseScenario(readFileSync(join(root, file), 'utf8')).intent.length, file).toBeGreaterThan(30);
    }
  });

  for (const file of files) {
    it(file.replace('.txt', ''), () => {
      const scenario = parseScenario(readFileSync(join(root, file), 'utf8'));
      const world = new World();
      const transcripts = scenario.steps.map((step) => {
        const transcript = transcriptOf(world, step.commands);
        if (!rewrite) expect(transcript, step.commands.join('; ')).toBe(step.expected);
        return transcript;
      });
      if (rewrite) writeFileSync(join(root, file), scenario.withTranscripts(transcripts));
    });
  }
});
