import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeDisk } from '@quorate/wal';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockShared } from './shared-lock.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-shared-lock-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('readers share a file, and keep a server out of it', () => {
  const path = join(folder, 'db');
  writeFileSync(path, '');
  const readers = [lockShared(path), lockShared(path)];
  expect(() => nodeDisk.lock(path)).toThrow('LOCKED');
  for (const reader of readers) reader.release();
  const server = nodeDisk.lock(path);
  expect(() => lockShared(path)).toThrow(`an etcd server uses ${path}: stop it first`);
  server.release();
  lockShared(path).release();
});

test('a file that cannot be written can be locked', () => {
  // Nobody, not even root, may open a program for writing while it runs.
  expect(() => openSync(process.execPath, 'r+')).toThrow();
  lockShared(process.execPath).release();
});

test('what is not there is not made', () => {
  expect(() => lockShared(join(folder, 'none'))).toThrow('ENOENT');
});
