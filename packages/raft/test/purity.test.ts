/**
 * The core reads no clock, draws no number, waits for nothing and imports nothing but itself; and its files stay small.
 * The driver is a host: it alone deals in promises.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = new URL('../src', import.meta.url).pathname;
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
);

it('the sources are pure and small', () => {
  expect(files.length).toBeGreaterThan(30);
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8');
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    for (const banned of [
      /\bDate\b/,
      /Math\.random/,
      /performance\./,
      /setTimeout|setInterval|setImmediate|queueMicrotask/,
      /\bprocess\b|\bglobalThis\b|\bcrypto\b|\bfetch\b|\brequire\b|\bimport\(/,
    ]) {
      expect(code, file).not.toMatch(banned);
    }
    if (!file.startsWith('driver/')) expect(code, file).not.toMatch(/\bPromise\b|\basync\b|\bawait\b/);
    for (const [, imported] of code.matchAll(/(?:from|import) '([^']+)'/g)) {
      expect(imported, file).toMatch(/^\.{1,2}\//);
    }
    expect(text.split('\n').length, file).toBeLessThan(350);
  }
});

it('the package depends on nothing', () => {
  const manifest = JSON.parse(readFileSync(join(root, '../package.json'), 'utf8')) as Record<string, unknown>;
  for (const kind of ['dependencies', 'peerDependencies', 'optionalDependencies', 'bundledDependencies']) {
    expect(manifest[kind]).toBeUndefined();
  }
});
