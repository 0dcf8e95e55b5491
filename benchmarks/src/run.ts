/**
 * The benchmark: our server and the real etcd, in turns, under the same load.
 *
 *     pnpm build && pnpm bench --pin
 *     pnpm bench --quick --only 'put|get' --servers quorate
 *
 * What runs is in `cases.ts`, how a case runs in `run-group.ts`, the load itself in `load/generator.ts`. Every option is
 * explained in the README.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findProgram } from '@quorate/testing';
import { type Case, type Group, groups, quick } from './cases.ts';
import { median, type Run, type ServerName } from './figures.ts';
import { GeneratorProcess } from './load/generator-process.ts';
import { markdown } from './report.ts';
import { pin, runGroup, type Settings } from './run-group.ts';

const GENERATOR_CORE = 1;
const ATTEMPTS = 3;

// Servers end with this process, but not when a signal ends it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    servers: { type: 'string', default: 'quorate,etcd' },
    repeats: { type: 'string' },
    seconds: { type: 'string' },
    warmup: { type: 'string' },
    pin: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    'data-dir': { type: 'string', default: tmpdir() },
    out: { type: 'string' },
    profile: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
});

const wanted = new RegExp(values.only, 'i');
const chosen = selected(values.quick ? quick(groups) : groups);
if (values.list) {
  for (const group of chosen) for (const { name } of group.cases) console.log(name);
} else {
  await main();
}

/** Groups with a case whose name matches; their other cases are left out. */
function selected(all: readonly Group[]): Group[] {
  return all
    .map((group) => ({ ...group, cases: group.cases.filter(({ name }) => wanted.test(name)) }))
    .filter(({ cases }) => cases.length > 0);
}

async function main(): Promise<void> {
  const folder = values.out ?? defaultFolder();
  const repeats = Number(values.repeats ?? (values.quick ? 1 : 3));
  const seconds = Number(values.seconds ?? (values.quick ? 0.5 : 10));
  const warmupSec = Number(values.warmup ?? (values.quick ? 0.2 : 3));
  const servers = values.servers.split(',').map(serverName).filter(isInstalled);
  const runs: Run[] = [];
  const generator = await GeneratorProcess.start();
  try {
    if (values.pin) pin(generator.pid, GENERATOR_CORE);
    const settings = {
      seconds,
      warmupSec,
      pin: values.pin,
      dataDirectory: values['data-dir'],
      generator,
      profileDirectory: values.profile === undefined ? null : resolve(values.profile),
    };
    for (const group of chosen) {
      for (let repeat = 0; repeat < Math.min(repeats, group.repeats ?? repeats); repeat++) {
        for (const server of servers) {
          await calibrate(group, servers, settings, runs);
          runs.push(...(await tried(group, server, repeat, settings, runs)));
        }
      }
      // After every group, so that a run that is cut off leaves what it measured.
      save(folder, runs, { repeats, seconds });
    }
  } finally {
    generator.stop();
  }
  console.log(save(folder, runs, { repeats, seconds }));
  console.error(`written to ${folder}`);
}

/**
 * A group's runs. What breaks off is measured anew, from the beginning. After `ATTEMPTS` the group is left
 * out for this server and time, and the run goes on: it ends with exit code 1.
 */
async function tried(
  group: Group,
  server: ServerName,
  repeat: number,
  settings: Omit<Settings, 'rateOf' | 'onCase'>,
  before: readonly Run[],
): Promise<Run[]> {
  for (let attempt = 1; ; attempt++) {
    const runs: Run[] = [];
    try {
      await runGroup(group, server, {
        ...settings,
        rateOf: (one) => Math.max(1, Math.round(peak(one.peakOf, before) * one.share)),
        onCase(one, figures, failure) {
          const { name, unit = 'calls' } = one;
          const run = { server, group: group.name, name, unit, repeat, figures };
          runs.push(failure === undefined ? run : { ...run, failure });
          console.error(progress(runs.at(-1)!));
        },
      });
      return runs;
    } catch (error) {
      const last = attempt === ATTEMPTS;
      const why = (error as Error).cause ?? error;
      console.error(
        `${server}, ${group.name} (${repeat + 1}): ${last ? 'left out' : 'once more'}, after ${String(why)}`,
      );
      if (!last) continue;
      process.exitCode = 1;
      return [];
    }
  }
}

/** An open-loop case needs the peak of another case: measured once here when it was not among those that ran. */
async function calibrate(
  group: Group,
  servers: readonly ServerName[],
  settings: Omit<Settings, 'rateOf' | 'onCase'>,
  runs: Run[],
): Promise<void> {
  for (const one of group.cases) {
    if (one.kind !== 'open' || runs.some(({ name }) => name === one.peakOf)) continue;
    const peakGroup = groups.find(({ cases }) => cases.some(({ name }) => name === one.peakOf));
    if (peakGroup === undefined) throw new Error(`no case is named ${one.peakOf}`);
    const server = servers.includes('etcd') ? 'etcd' : 'quorate';
    await runGroup(peakGroup, server, {
      ...settings,
      rateOf: () => 0,
      onCase({ name, unit = 'calls' }, figures) {
        runs.push({ server, group: peakGroup.name, name, unit, repeat: 0, figures });
      },
    });
  }
}

/** Of the real etcd; of our server when etcd does not take part. */
function peak(name: Case['name'], runs: readonly Run[]): number {
  const same = runs.filter((run) => run.name === name);
  const etcd = same.filter(({ server }) => server === 'etcd');
  return median((etcd.length > 0 ? etcd : same).map(({ figures }) => figures.perSec ?? 0));
}

function serverName(name: string): ServerName {
  if (name === 'quorate' || name === 'etcd') return name;
  throw new Error(`--servers knows quorate and etcd, not ${name}`);
}

function isInstalled(server: ServerName): boolean {
  const found = server === 'quorate' || findProgram('etcd') !== null;
  if (!found) console.error('etcd is not installed: only quorate runs');
  return found;
}

function progress({ server, name, repeat, figures }: Run): string {
  const shown = Object.entries(figures).map(([key, value]) => `${key} ${Number(value.toPrecision(4))}`);
  return `${server}, ${name} (${repeat + 1}): ${shown.join(', ')}`;
}

/** @returns the table */
function save(folder: string, runs: readonly Run[], course: { repeats: number; seconds: number }): string {
  const circumstances = {
    ...course,
    date: new Date().toISOString().slice(0, 10),
    command: `pnpm bench ${process.argv.slice(2).join(' ')}`.trim(),
    pinned: values.pin,
    etcdVersion: etcdVersion(),
  };
  const table = markdown(runs, circumstances);
  mkdirSync(folder, { recursive: true });
  const name = values.pin ? 'pinned' : 'unpinned';
  writeFileSync(join(folder, `${name}.md`), table);
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify({ circumstances, runs }, null, 2)}\n`);
  return table;
}

/** Figures that mean something lie beside the sources; those of a quick or partial run do not replace them. */
function defaultFolder(): string {
  const whole = !values.quick && values.only === '';
  return whole
    ? fileURLToPath(new URL('../results/', import.meta.url))
    : mkdtempSync(join(tmpdir(), 'bench-results-'));
}

function etcdVersion(): string {
  const program = findProgram('etcd');
  if (program === null) return 'no etcd';
  const text = execFileSync(program, ['--version'], { encoding: 'utf8' });
  return `etcd ${/etcd Version: (\S+)/.exec(text)?.[1] ?? 'of unknown version'}`;
}
