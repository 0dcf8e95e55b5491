/** Every kind of case runs against our server, with counts so small that the figures mean nothing. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import type { Run } from './figures.ts';

const CASES = [
  'put, 64 clients',
  'mixed 90 % get, 10 % put, 256 clients',
  'list of 100k keys in pages of 500, fixed revision',
  'put, 64 clients, beside lists of 100k keys',
  'txn: compare and put, 256 clients',
  'lease keep-alive, 64 clients, 1,000 leases',
  'watch: 100 on a prefix, 200 puts/s',
  'put of 64 kB, 64 clients',
  'put, 64 clients, 1M keys, beside compactions',
  'put, 64 clients, beside the compaction of 1M revisions',
  'put, 64 clients, 1M keys, beside snapshots',
  'put, 64 clients, 1M keys, beside defragmentation',
  'put, 64 clients at all of three members',
  'at rest, empty',
  'restart, 100k keys',
];

it('pnpm bench --quick runs every kind of case', { timeout: 400_000 }, async () => {
  const out = mkdtempSync(join(tmpdir(), 'bench-test-'));
  try {
    const escaped = CASES.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    await promisify(execFile)(
      process.execPath,
      [
        '--conditions=@quorate/source',
        fileURLToPath(new URL('./run.ts', import.meta.url)),
        '--quick',
        '--servers=quorate',
        `--only=^(${escaped.join('|')})$`,
        `--out=${out}`,
      ],
      { env: { ...process.env, QUORATE_FROM_SOURCE: '1' } },
    );
    const { runs } = JSON.parse(readFileSync(join(out, 'unpinned.json'), 'utf8')) as { runs: Run[] };
    expect(runs.map(({ name }) => name).sort()).toEqual([...CASES].sort());
    for (const { figures, failure } of runs) {
      expect(failure).toBeUndefined();
      expect(figures.failed ?? 0).toBe(0);
      if (figures.perSec !== undefined) expect(figures.perSec).toBeGreaterThan(0);
    }
    const table = readFileSync(join(out, 'unpinned.md'), 'utf8');
    for (const name of CASES) expect(table).toContain(name);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});
