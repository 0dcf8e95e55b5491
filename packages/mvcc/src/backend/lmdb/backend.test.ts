import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { backendContract } from '../backend.contract.ts';
import { lmdbBackend } from './backend.ts';

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

test('case-01 case-23 pages may be missing at the end of a file as long as they are free', () => {
  const { directory, destroy } = withDirectory();
  const row = (at: number) => Buffer.from(`key ${String(at).padStart(5, '0')}`);
  const writer = lmdbBackend({ directory, mapSizeBytes }).openWriter();
  writer.write((tx) => {
    for (let at = 0; at < 400; at++) tx.put('head', row(at), Buffer.alloc(300, at));
    // Overflow pages, a tree of more than one level, and a table of its own.
    for (let at = 0; at < 20; at++) tx.put('log', row(at), Buffer.alloc(10_000, at));
  });
  // A large value at the end of the file becomes free pages there.
  for (let round = 0; round < 4; round++) writer.write((tx) => tx.put('head', row(0), Buffer.alloc(300, 0)));
  writer.write((tx) => tx.put('log', row(99), Buffer.alloc(400_000, 9)));
  writer.write((tx) => tx.remove('log', row(99)));
  for (let round = 0; round < 4; round++) writer.write((tx) => tx.put('head', row(0), Buffer.alloc(300, 0)));
  writer.close();
  const contents = (folder: string): string[] => {
    const reader = lmdbBackend({ directory: folder, mapSizeBytes }).openReader();
    const rows: string[] = [];
    for (const table of ['head', 'log'] as const) {
      reader.scan(table, { low: new Uint8Array(0), high: null }, (key, value) => {
        rows.push(`${table} ${Buffer.from(key).toString()} ${value.length} ${value[0]} ${value.at(-1)}`);
        return true;
      });
    }
    reader.close();
    return rows;
  };
  const whole = contents(directory);
  expect(whole).toHaveLength(420);
  const file = join(directory, 'store-000001.mdb');
  const pages = statSync(file).size / 4096;
  const outcomes = { opened: 0, refused: 0 };
  for (let kept = pages - 1; kept > pages / 4; kept--) {
    const cut = withDirectory();
    const copy = join(cut.directory, 'store-000001.mdb');
    copyFileSync(file, copy);
    truncateSync(copy, kept * 4096);
    let rows: string[] | null = null;
    try {
      rows = contents(cut.directory);
    } catch (error) {
      expect((error as Error).message).toContain('its meta page speaks of');
    }
    if (rows === null) outcomes.refused++;
    else {
      outcomes.opened++;
      expect(rows).toEqual(whole);
    }
    cut.destroy();
  }
  expect(outcomes.opened).toBeGreaterThan(0);
  expect(outcomes.refused).toBeGreaterThan(10);
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

test('gets share a snapshot for a while, with one timer for all of them, and then see what is newer', () => {
  const { directory, destroy } = withDirectory();
  filled(directory);
  const backend = lmdbBackend({ directory, mapSizeBytes });
  const reader = backend.openReader();
  const writer = backend.openWriter();
  const key = Buffer.from('key 1');
  const read = () => Buffer.from(reader.get('head', key)!).toString('latin1', 0, 5);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const timers = vi.spyOn(globalThis, 'setTimeout');
    read();
    writer.write((tx) => tx.put('head', key, Buffer.from('newer')));
    for (let turn = 0; turn < 20; turn++) {
      expect(read()).not.toBe('newer');
      vi.advanceTimersByTime(2);
    }
    // Ours, and the binding's own for the first.
    expect(timers.mock.calls.length).toBeLessThanOrEqual(2);
    vi.advanceTimersByTime(100);
    expect(read()).toBe('newer');
    timers.mockRestore();
  } finally {
    vi.useRealTimers();
  }
  writer.close();
  reader.close();
  destroy();
});
