import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DISK_CONTRACT } from '../disk.contract.ts';
import { nodeDisk } from './disk.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quorate-disk-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the real disk keeps the disk contract', () => {
  for (const one of DISK_CONTRACT) it(one.name, () => one.run(nodeDisk, directory));
});

describe('the real disk', () => {
  it('case-15 makes folders for the owner alone (0700) and files too (0600)', () => {
    nodeDisk.makeDirectory(join(directory, 'a/b'));
    const file = nodeDisk.open(join(directory, 'a/b/f'), 'create');
    file.close();
    expect(statSync(join(directory, 'a')).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'a/b')).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'a/b/f')).mode & 0o777).toBe(0o600);
  });

  it('reserves real blocks, not a hole', () => {
    const file = nodeDisk.open(join(directory, 'f'), 'create');
    file.preallocate(1024 * 1024);
    file.sync();
    file.close();
    expect(statSync(join(directory, 'f')).blocks * 512).toBeGreaterThanOrEqual(1024 * 1024);
  });

  it('names the system error, the operation and the path', () => {
    chmodSync(directory, 0o700);
    const path = join(directory, 'none', 'f');
    expect(() => nodeDisk.open(path, 'create')).toThrow(
      expect.objectContaining({ name: 'DiskError', code: 'ENOENT', operation: 'open', path }),
    );
  });
});
