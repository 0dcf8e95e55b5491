/**
 * Every published package as a stranger gets it: packed, unpacked into an empty project beside nothing but the packages that it
 * names, imported through each of its exports, and its types read by the compiler.
 *
 * What comes from the registry is linked from this workspace, so that no network is needed. Needs a build.
 * QUORATE_CHECK_NODE names another Node to run what was packed with: the oldest that the packages take, for example.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { complaints } from './compile.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const BIN = join(ROOT, 'node_modules/.bin');
const NODE = process.env.QUORATE_CHECK_NODE ?? process.execPath;
/** Packages that users import or run. */
const FOLDERS = [...readdirSync(join(ROOT, 'packages')).map((name) => `packages/${name}`), 'apps/quorate'];

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly engines: { readonly node: string };
}

const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
const published = FOLDERS.filter((folder) => manifestOf(join(ROOT, folder)).private !== true);

const project = mkdtempSync(join(tmpdir(), 'quorate-packed-'));
afterAll(() => rmSync(project, { recursive: true, force: true }));

const installed = (name: string): string => join(project, 'node_modules', name);
const run = (...words: string[]): string =>
  execFileSync(NODE, words, { cwd: project, encoding: 'utf8', env: { PATH: process.env.PATH } });

beforeAll(() => {
  writeFileSync(join(project, 'package.json'), '{"type":"module","private":true}');
  for (const folder of published) {
    const { name } = manifestOf(join(ROOT, folder));
    const destination = join(project, 'tarballs', name.replaceAll('/', '-'));
    mkdirSync(destination, { recursive: true });
    execFileSync(join(BIN, 'pnpm'), ['pack', '--pack-destination', destination], {
      cwd: join(ROOT, folder),
      stdio: 'pipe',
    });
    mkdirSync(installed(name), { recursive: true });
    const tarball = join(destination, readdirSync(destination)[0]!);
    execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed(name)]);
    // Each sees what it names, and nothing else but the other packages of ours.
    for (const needed of Object.keys(manifestOf(join(ROOT, folder)).dependencies ?? {})) {
      if (needed.startsWith('@quorate/')) continue;
      const link = join(installed(name), 'node_modules', needed);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(ROOT, folder, 'node_modules', needed), link);
    }
  }
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'));
}, 300_000);

/** `@quorate/server`, `@quorate/server/offline`, ... */
const entriesOf = ({ name, exports }: Manifest): string[] =>
  Object.keys(exports)
    .filter((path) => path !== './package.json')
    .map((path) => name + path.slice(1));

describe.each(published)('%s, packed', (folder) => {
  const source = manifestOf(join(ROOT, folder));
  const packed = (): Manifest => manifestOf(installed(source.name));

  test('names versions of what it needs, and whatever its manifest points at is there', () => {
    const { dependencies = {}, exports, bin = {} } = packed();
    for (const [name, version] of Object.entries(dependencies)) {
      expect([name, version]).toEqual([name, expect.not.stringContaining('workspace:')]);
      if (name.startsWith('@quorate/')) expect(existsSync(installed(name))).toBe(true);
    }
    const pointed = [...Object.values(bin)];
    const collect = (value: unknown, condition: string): void => {
      // Sources are for this workspace.
      if (condition === '@quorate/source') return;
      if (typeof value === 'string') pointed.push(value);
      else for (const [key, inner] of Object.entries(value as object)) collect(inner, key);
    };
    for (const [path, value] of Object.entries(exports)) collect(value, path);
    expect(pointed.filter((path) => !existsSync(join(installed(source.name), path)))).toEqual([]);
    const files = readdirSync(installed(source.name));
    expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'package.json', 'dist']));
    expect(files).not.toContain('src');
  });

  test.each(entriesOf(source))('%s is imported', (entry) => {
    const script = `import(${JSON.stringify(entry)}).then((names) => console.log(Object.keys(names).length))`;
    expect(Number(run('-e', script))).toBeGreaterThan(0);
  });

  test.each(Object.entries(source.bin ?? {}))('%s runs', (_, path) => {
    const asked = source.name === 'quorate' ? ['--version'] : ['version'];
    expect(run(join(installed(source.name), path), ...asked)).toMatch(/version: \d+\.\d+\.\d+/i);
  });
});

test('the packed server serves the packed command line: threads and all', async () => {
  const [clientPort, peerPort] = await freePorts();
  const data = join(project, 'data');
  const url = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const server = spawn(
    NODE,
    [
      join(installed('quorate'), 'bin/quorate.mjs'),
      ...['--data-dir', data, '--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `default=${peerUrl}`],
    ],
    { cwd: project, stdio: ['ignore', 'ignore', 'inherit'], env: { PATH: process.env.PATH } },
  );
  const ended = new Promise((resolve) => server.on('exit', (_code, signal) => resolve(signal)));
  const ctl = (...words: string[]): string =>
    run(
      join(installed('@quorate/ctl'), 'bin/quoratectl.mjs'),
      `--endpoints=127.0.0.1:${clientPort}`,
      ...words,
    );
  try {
    // A connection is tried until there is one.
    expect(ctl('--command-timeout=60s', '--dial-timeout=60s', 'put', 'k', 'v')).toBe('OK\n');
    expect(ctl('get', 'k')).toBe('k\nv\n');
    ctl('defrag');
    ctl('snapshot', 'save', 'saved.db');
    ctl('snapshot', 'restore', 'saved.db', '--data-dir', 'restored');
    expect(ctl('snapshot', 'status', 'saved.db', '-w', 'json')).toContain('"revision":2');
  } finally {
    server.kill('SIGTERM');
  }
  // As etcd: it stops in order, and then ends by the signal it got.
  expect(await ended).toBe('SIGTERM');
});

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer().listen(0, '127.0.0.1'), createServer().listen(0, '127.0.0.1')];
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [ports[0]!, ports[1]!];
}

test('the types of all of them are read by the compiler, strictly', () => {
  const entries = published.flatMap((folder) => entriesOf(manifestOf(join(ROOT, folder))));
  writeFileSync(
    join(project, 'check.ts'),
    entries.map((entry, i) => `import * as all${i} from '${entry}';\nexport { all${i} };\n`).join(''),
  );
  const ours = complaints(project, ['check.ts'], { exactOptionalPropertyTypes: true }).filter((line) =>
    /^(node_modules\/(@quorate|quorate)\/|check\.ts)/.test(line),
  );
  expect(ours).toEqual([]);
});
