/** Finds the scenario files, and runs one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseScenario, type ScenarioFile } from './file.ts';
import type { World } from './world.ts';

const ROOT = new URL('../../testdata', import.meta.url).pathname;

/** Paths relative to `testdata/`, sorted. */
export const SCENARIOS: readonly string[] = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.txt'))
  .sort();

export function scenarioPath(file: string): string {
  return join(ROOT, file);
}

export function loadScenario(file: string): ScenarioFile {
  return parseScenario(readFileSync(scenarioPath(file), 'utf8'));
}

/** What the commands of one step print. @throws Error when an `expect` or a property fails */
export function transcriptOf(world: World, commands: readonly string[]): string {
  const lines: string[] = [];
  for (const command of commands) {
    const output = world.run(command);
    if (output !== '') lines.push(output);
  }
  return lines.length === 0 ? 'ok' : lines.join('\n');
}
