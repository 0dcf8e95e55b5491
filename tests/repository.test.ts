/**
 * The rules of the repository that a compiler does not know: who may import whom, and where the world may be touched.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = new URL('..', import.meta.url).pathname;

function* sources(folder: string): Generator<string> {
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    if (['node_modules', 'dist', 'gen', '.turbo', '.git'].includes(item.name)) continue;
    const path = join(folder, item.name);
    if (item.isDirectory()) yield* sources(path);
    else if (/\.(ts|mjs)$/.test(item.name)) yield path;
  }
}

interface Source {
  /** From the top of the repository. */
  readonly path: string;
  readonly text: string;
  /** `packages/raft`, `apps/quorate`, ... */
  readonly project: string;
  readonly isTest: boolean;
}

const all: Source[] = ['packages', 'apps', 'examples', 'benchmarks', 'tests', 'scripts']
  .flatMap((folder) => [...sources(join(root, folder))])
  .map((file) => {
    const path = relative(root, file);
    return {
      path,
      text: readFileSync(file, 'utf8'),
      project: path.split('/').slice(0, 2).join('/'),
      isTest:
        /\.(test|contract)\.ts$/.test(path) ||
        /^(tests|scripts)\//.test(path) ||
        /\/(test|bench)\//.test(path),
    };
  });

/** Code without comments and without the contents of strings, so that prose may name what code may not use. */
function code(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:])\/\/.*$/gm, '$1')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''");
}

function imports(text: string): string[] {
  const statement =
    /^\s*(?:import|export)\b(?:[^;'"`]*?\bfrom)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;
  return [...text.matchAll(statement)].map((match) => (match[1] ?? match[2]) as string);
}

/** What each package may import of ours (docs/architecture.md): arrows point one way only. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'packages/raft': [],
  'packages/wal': ['@quorate/raft'],
  'packages/mvcc': [],
  'packages/bbolt': [],
  'packages/grpc-server': [],
  'packages/proto': [],
  'packages/client': ['@quorate/proto'],
  'packages/ctl': ['@quorate/client', '@quorate/proto', '@quorate/wal', '@quorate/server'],
  'packages/server': [
    '@quorate/raft',
    '@quorate/wal',
    '@quorate/mvcc',
    '@quorate/bbolt',
    '@quorate/proto',
    '@quorate/grpc-server',
  ],
  'apps/quorate': ['@quorate/server', '@quorate/proto'],
};

const ours = (specifier: string) => /^@quorate\/|^quorate$/.test(specifier);
const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

describe('imports', () => {
  it.each(Object.entries(MAY_IMPORT))('%s imports only what lies below it', (project, allowed) => {
    const wrong = all
      .filter((source) => source.project === project && !source.isTest)
      .flatMap(({ path, text }) =>
        imports(text)
          .filter((specifier) => ours(specifier) && !allowed.includes(packageOf(specifier)))
          .map((specifier) => `${path}: ${specifier}`),
      );
    expect(wrong).toEqual([]);
  });

  it('wal knows only the types of raft', () => {
    const wrong = all
      .filter((source) => source.project === 'packages/wal' && !source.isTest)
      .filter(({ text }) => /import\s+(?!type\b)[^;]*from\s+'@quorate\/raft'/.test(text))
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  it('no relative import leaves its package', () => {
    const wrong = all
      .filter(({ project }) => /^(packages|apps|examples)\//.test(project))
      .flatMap(({ path, text, project }) =>
        imports(text)
          .filter((specifier) => specifier.startsWith('.'))
          .filter((specifier) => !join(path, '..', specifier).startsWith(`${project}/`))
          // Build configurations share one file at the top.
          .filter(() => !path.endsWith('tsup.config.ts'))
          .map((specifier) => `${path}: ${specifier}`),
      );
    expect(wrong).toEqual([]);
  });
});

describe('the world is passed in', () => {
  /** Files in which real time, randomness, files and sockets meet the program. */
  const rim = [
    /^packages\/wal\/src\/node\//,
    /^packages\/mvcc\/src\/(backend\/|node\/)/,
    /^packages\/server\/src\/node\//,
    /^packages\/grpc-server\/src\//,
    /^packages\/(client|ctl|proto|testing)\//,
    /^(apps|examples|benchmarks)\//,
  ];
  const forbidden: readonly [name: string, pattern: RegExp][] = [
    ['the clock', /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bprocess\.hrtime\b/],
    ['randomness', /\bMath\.random\(|\brandomUUID\(/],
    ['timers', /\b(setTimeout|setInterval|setImmediate)\(/],
  ];
  it.each(forbidden)('nothing inside reads or sets %s by itself', (_, pattern) => {
    const wrong = all
      .filter(({ path, isTest }) => !isTest && !rim.some((allowed) => allowed.test(path)))
      .filter(({ text }) => pattern.test(code(text)))
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });

  it('raft imports nothing at all from Node or the registry', () => {
    const wrong = all
      .filter((source) => source.project === 'packages/raft' && !source.isTest)
      .filter(({ path }) => path.startsWith('packages/raft/src/'))
      .flatMap(({ path, text }) =>
        imports(text)
          .filter((specifier) => !specifier.startsWith('.'))
          .map((specifier) => `${path}: ${specifier}`),
      );
    expect(wrong).toEqual([]);
  });
});

describe('tests', () => {
  it('none is left out or focused without saying why', () => {
    const wrong = all
      .filter(({ isTest }) => isTest)
      .filter(
        ({ text }) =>
          /\b(it|test|describe)\.(only|todo|fails)\b/.test(code(text)) ||
          // A skip says why in its title: `${title} (${reason})`.
          /\b(it|test|describe)\.skip\((?!`[^`]*\(\$\{)/.test(code(text)),
      )
      .map(({ path }) => path);
    expect(wrong).toEqual([]);
  });
});
