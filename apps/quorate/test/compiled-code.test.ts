import { chmodSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { cacheFolder, isOursAlone } from '../src/compiled-code.ts';
import { node, run } from './support/run.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'quorate-code-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('where compiled code is kept', () => {
  test('the cache folder of the service or the user; a relative path is no folder', () => {
    const XDG_CACHE_HOME = '/x';
    expect(cacheFolder({ CACHE_DIRECTORY: '/var/cache/q', XDG_CACHE_HOME })).toBe(
      '/var/cache/q/quorate/compiled',
    );
    expect(cacheFolder({ CACHE_DIRECTORY: 'q', XDG_CACHE_HOME })).toBe('/x/quorate/compiled');
    expect(cacheFolder({})).toMatch(/\/\.cache\/quorate\/compiled$/);
  });

  test('a folder below a sticky one is ours alone when nobody else can write to it', () => {
    const inner = join(folder, 'a');
    mkdirSync(inner, { mode: 0o700 });
    expect(isOursAlone(inner)).toBe(true);
    for (const mode of [0o770, 0o707, 0o1777]) {
      chmodSync(inner, mode);
      expect(isOursAlone(inner)).toBe(false);
    }
  });

  test('nor may others exchange a folder above it, or what a link leads to', () => {
    const open = join(folder, 'open');
    const inner = join(open, 'inner');
    mkdirSync(inner, { recursive: true, mode: 0o700 });
    symlinkSync(inner, join(folder, 'link'));
    expect(isOursAlone(join(folder, 'link'))).toBe(true);
    chmodSync(open, 0o777);
    expect(isOursAlone(inner)).toBe(false);
    expect(isOursAlone(join(folder, 'link'))).toBe(false);
  });

  test('nor may a folder belong to another user than root, nor count where owners are not known', () => {
    const uid = process.geteuid!();
    try {
      const user = vi.spyOn(process as { geteuid(): number | undefined }, 'geteuid');
      user.mockReturnValue(uid + 1);
      expect(isOursAlone(folder)).toBe(uid === 0);
      user.mockReturnValue(undefined);
      expect(isOursAlone(folder)).toBe(false);
    } finally {
      vi.restoreAllMocks();
    }
  });
});

describe('keeping it', () => {
  const program = `
    import { getCompileCacheDir } from 'node:module';
    import { keepCompiledCode } from ${JSON.stringify(new URL('../src/compiled-code.ts', import.meta.url).href)};
    keepCompiledCode(process.env);
    process.stdout.write(String(getCompileCacheDir()));`;
  const start = (env: Record<string, string>) =>
    run(node, ['--input-type=module', '-e', program], { env: { NODE_COMPILE_CACHE: '', ...env } });

  test('in a folder of its own, for its owner', async () => {
    const { code, stdout, stderr } = await start({ XDG_CACHE_HOME: folder });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(join(folder, 'quorate/compiled'));
    expect(readdirSync(join(folder, 'quorate/compiled'))).toHaveLength(1);
  });

  test.each([
    ['cannot be made', '/dev/null'],
    ['others can write to', 'open'],
  ])('not in one that %s; the program runs all the same', async (_, where) => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    const given = where === 'open' ? open : where;
    const { code, stdout, stderr } = await start({ XDG_CACHE_HOME: given });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'undefined', stderr: '' });
  });
});
