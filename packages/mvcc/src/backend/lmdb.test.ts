import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { backendContract } from './backend.contract.ts';
import { lmdbBackend } from './lmdb.ts';

const mapSizeBytes = 2 ** 30;

function withDirectory(): { directory: string; destroy: () => void } {
  const directory = mkdtempSync(join(tmpdir(), 'mvcc-lmdb-'));
  return { directory, destroy: () => rmSync(directory, { recursive: true, force: true }) };
}

backendContract('lmdb', () => {
  const { directory, destroy } = withDirectory();
  const open = () => lmdbBackend({ directory, mapSizeBytes });
  return { backend: open(), reopen: open, destroy };
});

function filled(directory: string): void {
  const writer = lmdbBackend({ directory, mapSizeBytes }).openWriter();
  writer.write((tx) => {
    for (let i = 0; i < 2_000; i++) tx.put('head', Buffer.from(`key ${i}`), new Uint8Array(500));
  });
  writer.close();
}

test('case-23 a file shorter than its meta page says is refused, not mapped (it would kill the process)', () => {
  const { directory, destroy } = withDirectory();
  filled(directory);
  const file = join(directory, 'store-000001.mdb');
  truncateSync(file, statSync(file).size >> 1);
  expect(() => lmdbBackend({ directory, mapSizeBytes }).openReader()).toThrow(/its meta page speaks of/);
  destroy();
});

test('case-23 a file with both meta pages gone is refused with its name', () => {
  const { directory, destroy } = withDirectory();
  filled(directory);
  const file = join(directory, 'store-000001.mdb');
  writeFileSync(file, new Uint8Array(8192), { flag: 'r+' });
  expect(() => lmdbBackend({ directory, mapSizeBytes }).openReader()).toThrow(
    /store-000001\.mdb: no valid meta page/,
  );
  destroy();
});

test('case-04 what a crash leaves beside the newest generation is removed at the next start', () => {
  const { directory, destroy } = withDirectory();
  filled(directory);
  writeFileSync(join(directory, 'store-000002.tmp'), 'half a copy');
  writeFileSync(join(directory, 'store-000002.tmp-lock'), '');
  lmdbBackend({ directory, mapSizeBytes });
  expect(readdirSync(directory).filter((name) => name.includes('tmp'))).toEqual([]);
  destroy();
});

test('sizes: pages freed by removals are not in use, and the file keeps them', () => {
  const { directory, destroy } = withDirectory();
  filled(directory);
  const backend = lmdbBackend({ directory, mapSizeBytes });
  const reader = backend.openReader();
  const before = reader.stats();
  expect(before.fileBytes).toBe(statSync(join(directory, 'store-000001.mdb')).size);
  expect(before.usedBytes).toBeGreaterThan(1_000_000);
  const writer = backend.openWriter();
  writer.write((tx) => {
    for (let i = 0; i < 2_000; i++) tx.remove('head', Buffer.from(`key ${i}`));
  });
  reader.refresh();
  const after = reader.stats();
  expect(after.usedBytes).toBeLessThan(200_000);
  expect(after.fileBytes).toBeGreaterThanOrEqual(before.fileBytes);
  writer.close();
  reader.close();
  destroy();
});
