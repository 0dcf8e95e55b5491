/** What the texts say is so: files they name are there, and what the READMEs show as TypeScript has today's names and types. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { complaints } from './compile.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'quorate-readme-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Names that a text leaves to its reader (`onBytes`, `apply`), and what follows from them. */
const LEFT_TO_THE_READER = /error TS(2304|2552|7006|18004):/;

test('examples in READMEs are understood by the compiler', () => {
  const readmes = [
    'README.md',
    'apps/quorate/README.md',
    ...readdirSync(join(ROOT, 'packages')).map((name) => `packages/${name}/README.md`),
  ].filter((path) => existsSync(join(ROOT, path)));
  const files: string[] = [];
  for (const path of readmes) {
    const examples = readFileSync(join(ROOT, path), 'utf8').matchAll(/^```ts\n(.*?)^```/gms);
    for (const [, code] of examples) {
      const file = `example-${files.length}-${path.replaceAll('/', '-')}.ts`;
      writeFileSync(join(folder, file), `${code}\nexport {};\n`);
      files.push(file);
    }
  }
  expect(files.length).toBeGreaterThan(10);
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const found = complaints(folder, files, {
    skipLibCheck: true,
    customConditions: ['@quorate/source'],
    allowImportingTsExtensions: true,
  }).filter((line) => line.startsWith('example-'));
  expect(found.filter((line) => !LEFT_TO_THE_READER.test(line))).toEqual([]);
});

/** Every text of ours, by its path from the root. */
function texts(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return /^(node_modules|dist|\..*)$/.test(entry.name) ? [] : texts(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

test('links between texts lead somewhere', () => {
  const broken = texts('').flatMap((path) =>
    [...readFileSync(join(ROOT, path), 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
      .map(([, target]) => target!)
      .filter((target) => !existsSync(join(ROOT, dirname(path), target)))
      .map((target) => `${path}: ${target}`),
  );
  expect(broken).toEqual([]);
});

test('the map names files that are there', () => {
  const map = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
  const folders = ['', 'packages', 'packages/server/src/consensus'];
  for (const name of readdirSync(join(ROOT, 'packages')))
    folders.push(`packages/${name}`, `packages/${name}/src`);
  const named = [...map.matchAll(/`([\w./-]+(?:\/|\.ts|\.md))`/g)].map(([, path]) => path!);
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((path) => !folders.some((folder) => existsSync(join(ROOT, folder, path))))).toEqual([]);
});
