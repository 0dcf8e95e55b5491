/** Both trials run, with counts so small that the figures mean nothing. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** Other tests may have most of both cores. */
const TIMEOUT_MS = 400_000;

/** @returns the cells of the table that a script prints, without its two lines of head */
async function table(script: string, flags: readonly string[]): Promise<string[][]> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const args = ['--conditions=@quorate/source', path, '--quick', '--repeats=1', ...flags];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const lines = stdout.trim().split('\n');
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1),
  );
}

it('the transport in a thread answers the KV service, also through a ring that is often full', {
  timeout: TIMEOUT_MS,
}, async () => {
  const flags = ['--service=kv', '--clients=256', '--threads=message', `--ring-bytes=${64 * 1024}`];
  const rows = await table('./run.ts', flags);
  expect(rows.map(([name]) => name)).toEqual(['get, 256 clients', 'put, 256 clients']);
  for (const row of rows) {
    expect(Number(row[2]?.replaceAll(',', ''))).toBeGreaterThan(0);
    expect(row.at(-1)).toBe('0');
  }
});

it('reads in a thread answer', { timeout: TIMEOUT_MS }, async () => {
  const rows = await table('./reads.ts', []);
  expect(rows).toHaveLength(5);
  for (const row of rows) expect(Number(row[3]?.replaceAll(',', ''))).toBeGreaterThan(0);
});
