import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeDisk } from '@quorate/wal';
import { afterEach, describe, expect, test } from 'vitest';
import { DataFolderError, openDataFolder } from './data-folder.ts';
import type { Logger } from './env.ts';

const base = mkdtempSync(join(tmpdir(), 'quorate-folder-'));
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
  mkdirSync(base);
});

function open(directory: string) {
  const warnings: string[] = [];
  const log: Logger = { log: (level, message) => void (level === 'warn' && warnings.push(message)) };
  const folder = openDataFolder(
    { directory, walDirectory: null },
    nodeDisk,
    (path) => statSync(path).mode,
    log,
  );
  return { folder, warnings };
}

describe('data folder', () => {
  test('case-15 a new one is closed to others', () => {
    const { folder, warnings } = open(join(base, 'new', 'deep'));
    expect(statSync(join(base, 'new', 'deep')).mode & 0o777).toBe(0o700);
    expect(warnings).toEqual([]);
    folder.release();
  });

  test('case-15 a looser one that exists is used with a warning', () => {
    const path = join(base, 'loose');
    mkdirSync(path);
    chmodSync(path, 0o755);
    const { folder, warnings } = open(path);
    expect(warnings).toHaveLength(1);
    folder.release();
  });

  test('case-26 the second user is refused at once, and welcome after the first has left', () => {
    const path = join(base, 'shared');
    const first = open(path).folder;
    expect(() => open(path)).toThrow(DataFolderError);
    expect(() => open(path)).toThrow(/another process uses/);
    first.release();
    open(path).folder.release();
  });

  test('the folder of an etcd server is left alone', () => {
    const path = join(base, 'default.etcd');
    mkdirSync(join(path, 'member', 'snap'), { recursive: true });
    expect(() => open(path)).toThrow(/etcd server/);
  });

  test('a folder that a restore did not finish is refused', () => {
    const path = join(base, 'half');
    mkdirSync(path);
    writeFileSync(join(path, 'restoring'), '');
    expect(() => open(path)).toThrow('did not come to its end: remove the folder and restore again');
  });
});
