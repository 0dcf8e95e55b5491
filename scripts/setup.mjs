// Brings a fresh clone to a state where everything runs: installs, generates, builds; does nothing when nothing changed.
//
// Runs under whatever Node (>= 18) the machine has; everything after it runs under the pinned Node in node_modules.
// Two stamps in node_modules/.quorate tell what was done: one over the manifests (install), one over the sources (build).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(root, 'node_modules', '.bin');
const stamps = join(root, 'node_modules', '.quorate');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const groups = ['packages', 'apps', 'examples'];
const projects = groups
  .filter((group) => existsSync(join(root, group)))
  .flatMap((group) => readdirSync(join(root, group)).map((name) => join(group, name)))
  .concat(['benchmarks'])
  .filter((path) => existsSync(join(root, path, 'package.json')));

/** Files below `path`, without what is generated or installed. */
function* filesBelow(path) {
  for (const item of readdirSync(join(root, path), { withFileTypes: true })) {
    if (['node_modules', 'dist', 'gen', 'test', 'bench', '.turbo'].includes(item.name)) continue;
    const child = join(path, item.name);
    if (item.isDirectory()) yield* filesBelow(child);
    else if (!item.name.endsWith('.test.ts') && !item.name.endsWith('.md')) yield child;
  }
}

function digest(paths, of) {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(path).update('\0').update(of(path)).update('\0');
  return hash.digest('hex');
}

function unlessDone(name, fingerprint, extraCheck, work) {
  const stamp = join(stamps, name);
  const current = fingerprint();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === current && extraCheck()) return;
  work();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, fingerprint());
}

/** Runs a command with its output on standard error, so that standard output stays the program's own. */
function run(command, args) {
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const contents = (path) => readFileSync(join(root, path));
const sizeAndTime = (path) => {
  const { size, mtimeMs } = statSync(join(root, path));
  return `${size}:${mtimeMs}`;
};

const manifests = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'].concat(
  projects.map((path) => join(path, 'package.json')),
);
unlessDone(
  'installed',
  () => digest(manifests, contents),
  () => existsSync(join(bin, 'turbo')),
  () => run('npx', ['-y', manifest.packageManager, 'install', '--frozen-lockfile']),
);

const built = projects.filter((path) => existsSync(join(root, path, 'tsup.config.ts')));
unlessDone(
  'built',
  () =>
    digest(
      [...built.flatMap((path) => [...filesBelow(path)]), 'tsup.base.ts', 'pnpm-lock.yaml'],
      sizeAndTime,
    ),
  () => built.every((path) => existsSync(join(root, path, 'dist'))),
  () =>
    run(join(bin, 'turbo'), [
      'run',
      'generate',
      'build',
      '--output-logs=errors-only',
      '--no-update-notifier',
    ]),
);
