/**
 * Servers as real processes: ours and, where it is installed, the real etcd, behind one handle.
 *
 * Each runs on free loopback ports with a data folder of its own under the system's temporary folder; `stop`
 * ends exactly the process that was started here and removes the folder (unless it was given).
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import { spawnBound } from './child.ts';

export interface ServerProcess {
  readonly name: string;
  /** `host:port` of the client listener. */
  readonly endpoint: string;
  readonly pid: number;
  readonly dataDirectory: string;
  /** Everything the process wrote to standard output and standard error so far (the last 256 kB). */
  output(): string;
  /** Sends `signal` and waits for the end. @returns the exit code, or null when a signal ended it */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** Resolves with the exit code when the process ends by itself. */
  readonly ended: Promise<number | null>;
  /** SIGKILL, then removal of a data folder made here. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** Flags in etcd's form, added to the addresses and the data folder. */
  readonly flags?: readonly string[];
  readonly env?: Record<string, string>;
  /** An existing folder to (re)start in; it is not removed afterwards. */
  readonly dataDirectory?: string;
  /** Client port to listen on; a free one when absent. */
  readonly clientPort?: number;
  /** How long the server may take until it answers. */
  readonly readyTimeoutMs?: number;
}

/** Path of a program on the PATH, or null: tests that need it say that they were skipped. */
export function findProgram(name: string): string | null {
  for (const folder of (process.env.PATH ?? '').split(':')) {
    const path = join(folder, name);
    if (folder !== '' && existsSync(path)) return path;
  }
  return null;
}

/** Ports nobody listens on at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export type ServerKind = 'etcd' | 'quorate';

/** As in the first line of `apps/quorate/bin/quorate.mjs`. */
const HEAP = ['--max-semi-space-size=32', '--initial-old-space-size=128'];

/**
 * What runs a member: the real etcd from the PATH, or our server from this repository: from source when
 * `QUORATE_FROM_SOURCE=1`, otherwise the built executable that `npm start` runs.
 * @throws Error when etcd is not installed: ask `findProgram('etcd')` first
 */
export function serverCommand(kind: ServerKind): { readonly program: string; readonly leading: string[] } {
  if (kind === 'etcd') {
    const program = findProgram('etcd');
    if (program === null) throw new Error('etcd is not installed');
    return { program, leading: [] };
  }
  const top = new URL('../../../../', import.meta.url).pathname;
  const node = join(top, 'node_modules/.bin/node');
  const leading =
    process.env.QUORATE_FROM_SOURCE === '1'
      ? ['--conditions=@quorate/source', ...HEAP, join(top, 'apps/quorate/src/main.ts')]
      : [...HEAP, join(top, 'apps/quorate/bin/quorate.mjs')];
  return { program: existsSync(node) ? node : process.execPath, leading };
}

/** The real etcd from the PATH. @throws Error when it is not installed: ask `findProgram('etcd')` first */
export function startEtcd(options: ServerOptions = {}): Promise<ServerProcess> {
  return startServer('etcd', options);
}

/** Our server from this repository. */
export function startQuorate(options: ServerOptions = {}): Promise<ServerProcess> {
  return startServer('quorate', options);
}

async function startServer(name: ServerKind, options: ServerOptions): Promise<ServerProcess> {
  const { program, leading } = serverCommand(name);
  const [freeClientPort, peerPort] = (await freePorts(2)) as [number, number];
  const clientPort = options.clientPort ?? freeClientPort;
  const ownFolder = options.dataDirectory === undefined;
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), `${name}-data-`));
  const endpoint = `127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const child = spawnBound(
    program,
    [
      ...leading,
      `--data-dir=${dataDirectory}`,
      `--listen-client-urls=http://${endpoint}`,
      `--advertise-client-urls=http://${endpoint}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      ...(options.flags ?? []),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...cleanEnvironment(), ...options.env } },
  );
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-262_144);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
    child.once('error', () => resolve(-1));
  });
  const end = async (signal: NodeJS.Signals) => {
    if (isRunning(child)) child.kill(signal);
    return ended;
  };
  const server: ServerProcess = {
    name,
    endpoint,
    pid: child.pid ?? -1,
    dataDirectory,
    output: () => output,
    end,
    ended,
    async stop() {
      await end('SIGKILL');
      if (ownFolder) rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
  try {
    await waitUntilServing(server, child, options.readyTimeoutMs ?? 20_000);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** The caller's environment without what would configure a server. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^ETCD(CTL)?_/.test(name)));
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** Serving means: a linearizable read is answered. */
async function waitUntilServing(
  server: ServerProcess,
  child: ChildProcess,
  timeoutMs: number,
): Promise<void> {
  const client = new Client(server.endpoint, credentials.createInsecure(), {
    'grpc.initial_reconnect_backoff_ms': 20,
    'grpc.max_reconnect_backoff_ms': 50,
  });
  const rangeOfKeyA = Buffer.from([0x0a, 0x01, 0x61]);
  const giveUp = performance.now() + timeoutMs;
  try {
    while (performance.now() < giveUp) {
      if (!isRunning(child)) throw new Error(`${server.name} ended before it served:\n${server.output()}`);
      const served = await new Promise<boolean>((resolve) => {
        client.makeUnaryRequest(
          '/etcdserverpb.KV/Range',
          (bytes: Buffer) => bytes,
          (bytes: Buffer) => bytes,
          rangeOfKeyA,
          { deadline: Date.now() + 1000 },
          (error) => resolve(error === null),
        );
      });
      if (served) return;
      await sleep(10);
    }
    throw new Error(`${server.name} did not serve within ${timeoutMs} ms:\n${server.output()}`);
  } finally {
    client.close();
  }
}

/** Processor time a process used so far, seconds, and its anonymous memory, bytes (Linux). */
export function processUsage(pid: number): { cpuSec: number; anonymousBytes: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticksPerSec = 100;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const anonymousKib = Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0);
  return {
    cpuSec: (Number(fields[11]) + Number(fields[12])) / ticksPerSec,
    anonymousBytes: anonymousKib * 1024,
  };
}
