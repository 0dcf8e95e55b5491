/**
 * Runs the cases of a group against one server: a fresh folder, the keys that the group asks for, and then each case
 * with a warm-up, a probe for stalls and a watch on the server's memory.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Case, type Fill, type Group, PUTS_PER_TXN, VALUE_BYTES } from './cases.ts';
import { type Figures, loadFigures, type ServerName } from './figures.ts';
import type { GeneratorProcess } from './load/generator-process.ts';
import type { Job, JobResult } from './load/job.ts';
import { startMeanwhile } from './meanwhile.ts';
import { Probe } from './probe.ts';
import { processFigures } from './process-figures.ts';
import { type ServerUnderTest, startServer } from './server-under-test.ts';

export interface Settings {
  readonly seconds: number;
  readonly warmupSec: number;
  /** Server (all its members) on core 0, generator on core 1. */
  readonly pin: boolean;
  /** Data folders are made below it. */
  readonly dataDirectory: string;
  readonly generator: GeneratorProcess;
  /** Processor profiles of our server's threads go here, one for each thread and start; null: none are made. */
  readonly profileDirectory: string | null;
  /** Calls a second of an open-loop case. */
  rateOf(one: Extract<Case, { kind: 'open' }>): number;
  onCase(one: Case, figures: Figures, failure: string | undefined): void;
}

const SERVER_CORE = 0;
const MIB = 1024 * 1024;
const MEMORY_EVERY_MS = 50;
const READY_TIMEOUT_MS = 300_000;
const QUOTA_BYTES = 16 * 1024 ** 3;
/** A prime that shares no factor with the numbers of keys: batches of keys are put in scattered order. */
const SCATTER = 7_919;

export async function runGroup(group: Group, name: ServerName, settings: Settings): Promise<void> {
  const folder = mkdtempSync(join(settings.dataDirectory, `bench-${name}-`));
  let server: ServerUnderTest | undefined;
  try {
    const start = async () => {
      const started = await startServer({
        name,
        members: group.members ?? 1,
        folder,
        flags: [`--quota-backend-bytes=${QUOTA_BYTES}`],
        env: settings.profileDirectory === null ? {} : profiling(settings.profileDirectory),
        readyTimeoutMs: READY_TIMEOUT_MS,
      });
      if (settings.pin) for (const pid of started.pids) pin(pid, SERVER_CORE);
      return started;
    };
    server = await start();
    if (group.fill !== undefined) await fill(group.fill, server, settings.generator);
    for (const one of group.cases) {
      if (one.kind === 'restart') {
        const restarted: Restarted = await restart(server, settings, start);
        server = restarted.server;
        const { anonymousBytes } = processFigures(server.pids);
        const { restartMs } = restarted;
        settings.onCase(one, { restartMs, idleMemoryMib: anonymousBytes / MIB }, undefined);
      } else if (one.kind === 'idle') {
        settings.onCase(one, await rest(server, settings), undefined);
      } else {
        const { figures, failure } = await load(one, server, settings);
        settings.onCase(one, figures, failure);
      }
    }
  } catch (error) {
    throw new Error(`${group.name}, ${name}: ${server?.output() ?? 'not started'}`, { cause: error });
  } finally {
    // A process that is killed leaves no profile.
    if (settings.profileDirectory !== null) await server?.end('SIGTERM');
    await server?.end('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

function profiling(directory: string): Record<string, string> {
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${directory}` };
}

async function load(
  one: Exclude<Case, { kind: 'restart' | 'idle' }>,
  server: ServerUnderTest,
  settings: Settings,
): Promise<{ figures: Figures; failure: string | undefined }> {
  const idleBytes = processFigures(server.pids).anonymousBytes;
  let peakBytes = idleBytes;
  const sampling = setInterval(() => {
    peakBytes = Math.max(peakBytes, processFigures(server.pids).anonymousBytes);
  }, MEMORY_EVERY_MS);
  const kind = 'meanwhile' in one ? one.meanwhile : undefined;
  const probe = await Probe.start(server.endpoints[0]);
  try {
    const beside =
      kind === undefined ? undefined : startMeanwhile(kind, server.endpoints[0], settings.warmupSec * 1_000);
    const result: JobResult = await settings.generator.run(jobOf(one, server, settings), () => probe.reset());
    const longestStallMs = probe.longestMs();
    const besideSec = settings.warmupSec + settings.seconds;
    const work = await beside?.stop();
    return {
      figures: {
        ...loadFigures(result),
        longestStallMs,
        idleMemoryMib: idleBytes / MIB,
        peakMemoryMib: peakBytes / MIB,
        ...(work === undefined
          ? {}
          : { meanwhilePerSec: work.completed / besideSec, meanwhileShare: work.share }),
      },
      failure: result.firstFailure ?? work?.failure,
    };
  } finally {
    clearInterval(sampling);
    probe.stop();
  }
}

function target({ endpoints, pids, folder }: ServerUnderTest) {
  return { endpoints: [endpoints[0]], serverPids: pids, serverFolder: folder };
}

function jobOf(
  one: Exclude<Case, { kind: 'restart' | 'idle' }>,
  server: ServerUnderTest,
  settings: Settings,
): Job {
  const { seconds, warmupSec } = settings;
  const base = { ...target(server), span: { seconds, warmupSec } };
  switch (one.kind) {
    case 'closed':
    case 'keep-alive': {
      const { connections, perConnection: clientsPerConnection } = one.clients;
      if (one.kind === 'keep-alive') {
        return { ...base, kind: 'keep-alive', connections, clientsPerConnection, leases: one.leases };
      }
      const endpoints = one.at === 'all members' ? server.endpoints : base.endpoints;
      return { ...base, endpoints, kind: 'closed', connections, clientsPerConnection, mix: one.mix };
    }
    case 'open': {
      const { connections, mix } = one;
      return { ...base, kind: 'open', connections, mix, ratePerSec: settings.rateOf(one) };
    }
    case 'watch': {
      const { connections, watchers, on, ratePerSec } = one;
      return { ...base, kind: 'watch', connections, watchers, on, ratePerSec, valueBytes: VALUE_BYTES };
    }
  }
}

async function fill(what: Fill, server: ServerUnderTest, generator: GeneratorProcess): Promise<void> {
  const base = { kind: 'closed', ...target(server), connections: 8 } as const;
  const putMany = { kind: 'put-many', puts: PUTS_PER_TXN, valueBytes: VALUE_BYTES } as const;
  const step = (PUTS_PER_TXN * SCATTER) % what.keys || PUTS_PER_TXN;
  const filled = await generator.run({
    ...base,
    clientsPerConnection: 4,
    mix: [{ operation: putMany, keys: { order: 'steps', keys: what.keys, step }, weight: 1 }],
    span: { operations: Math.ceil(what.keys / PUTS_PER_TXN) },
  });
  if (filled.failed > 0) throw new Error(`${server.name} refused to be filled: ${filled.firstFailure}`);
  for (const [kind, keys, operations] of [
    ['put-one-key', 1, what.versionsOfOneKey ?? 0],
    ['put', what.keys, what.puts ?? 0],
  ] as const) {
    if (operations === 0) continue;
    const versions = await generator.run({
      ...base,
      clientsPerConnection: 64,
      mix: [{ operation: { kind, valueBytes: VALUE_BYTES }, keys: { order: 'random', keys }, weight: 1 }],
      span: { operations },
    });
    if (versions.failed > 0) throw new Error(`${server.name} refused to be filled: ${versions.firstFailure}`);
  }
}

async function rest(server: ServerUnderTest, settings: Settings): Promise<Figures> {
  await sleep(settings.warmupSec * 1_000);
  const before = processFigures(server.pids);
  const fromMs = performance.now();
  await sleep(settings.seconds * 1_000);
  const after = processFigures(server.pids);
  return {
    restCpu: ((after.cpuSec - before.cpuSec) * 1_000) / (performance.now() - fromMs),
    idleMemoryMib: after.anonymousBytes / MIB,
    diskMib: folderBytes(server.folder) / MIB,
  };
}

interface Restarted {
  readonly server: ServerUnderTest;
  readonly restartMs: number;
}

/** SIGKILL while 64 clients put, then a start on the same folder until the first linearizable get is answered. */
async function restart(
  server: ServerUnderTest,
  settings: Settings,
  start: () => Promise<ServerUnderTest>,
): Promise<Restarted> {
  const puts = settings.generator.run({
    kind: 'closed',
    ...target(server),
    connections: 8,
    clientsPerConnection: 8,
    mix: [
      {
        operation: { kind: 'put', valueBytes: VALUE_BYTES },
        keys: { order: 'random', keys: 1_000_000 },
        weight: 1,
      },
    ],
    span: { warmupSec: 0, seconds: settings.seconds + 60 },
  });
  // The load ends with the loss of its connections: that is the point.
  const ended = puts.catch(() => {});
  await sleep(settings.seconds * 1_000);
  await server.end('SIGKILL');
  await ended;
  const fromMs = performance.now();
  const restarted = await start();
  return { server: restarted, restartMs: performance.now() - fromMs };
}

/** Space that the files of a folder take on the disk (preallocated blocks count, holes do not). */
function folderBytes(folder: string): number {
  const blockBytes = 512;
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).blocks * blockBytes)
    .reduce((sum, bytes) => sum + bytes, 0);
}

/** All threads of a process, and those that they will start. @throws Error where `taskset` is missing */
export function pin(pid: number, core: number): void {
  execFileSync('taskset', ['-a', '-cp', String(core), String(pid)], { stdio: 'ignore' });
}
