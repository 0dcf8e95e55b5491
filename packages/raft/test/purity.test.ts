/** The core reads no clock, draws no number and imports nothing but itself; and its files stay small. */
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
      /setTimeout|setInterval|setImmediate/,
    ]) {
      expect(code, file).not.toMatch(banned);
    }
    for (const [, imported] of code.matchAll(/from '([^']+)'/g)) expect(imported, file).toMatch(/^\.{1,2}\//);
    expect(text.split('\n').length, file).toBeLessThan(350);
  }
});
