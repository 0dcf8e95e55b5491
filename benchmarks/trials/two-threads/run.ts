/**
 * The trial: one server after the other under the same load, in turns; prints a Markdown table of medians.
 *
 *     node --conditions=@quorate/source benchmarks/trials/two-threads/run.ts [--service kv|trivial] [--pin] [--clients 1,64,256]
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../../src/figures.ts';
import { GeneratorProcess } from '../../src/load/generator-process.ts';
import type { Job } from '../../src/load/job.ts';
import type { Operation } from '../../src/load/operations.ts';
import { pin } from '../../src/run-group.ts';
import { DEFAULT_RING_BYTES } from './link.ts';
import { type FromServer, type ServerOptions, type Threads, TRANSPORT_THREAD } from './server-options.ts';
import type { ServiceName } from './services.ts';
import { threadTimes, timesPerCall } from './thread-times.ts';

const KEYS = 100_000;
const PUTS_PER_TXN = 100;
const VALUE_BYTES = 256;
const SERVER_CORE = 0;
const GENERATOR_CORE = 1;
const OPERATIONS: readonly Operation[] = [
  { kind: 'get', serializable: false },
  { kind: 'put', valueBytes: VALUE_BYTES },
];
/** As the executable's first line sets them. */
const HEAP = ['--max-semi-space-size=32', '--initial-old-space-size=128'];

const { values: flags } = parseArgs({
  options: {
    service: { type: 'string', default: 'kv' },
    pin: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    repeats: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '3' },
    clients: { type: 'string', default: '1,64,256' },
    threads: { type: 'string', default: 'one,wait-async,message' },
    /** Small rings are full now and then: for the test. */
    'ring-bytes': { type: 'string', default: String(DEFAULT_RING_BYTES) },
  },
});

/** Clients to how many connections they share. */
const CONNECTIONS: Readonly<Record<string, number>> = { 1: 1, 64: 8, 256: 16 };

interface Figures {
  readonly perSec: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly allUs: number;
  readonly mainUs: number;
  readonly transportUs: number;
  readonly callsPerRing: number;
  readonly generatorBusy: number;
  readonly failed: number;
}

interface Server {
  readonly pid: number;
  readonly endpoint: string;
  rings(): Promise<number>;
  stop(): void;
}

async function startServer(threads: Threads, dataDirectory: string): Promise<Server> {
  const child = fork(fileURLToPath(new URL('./server-process.ts', import.meta.url)), [], {
    execArgv: ['--conditions=@quorate/source', ...HEAP],
  });
  const ended = new Promise<never>((_, reject) => {
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  // Who waits for an answer is told; at the end nobody does.
  ended.catch(() => {});
  const answer = (): Promise<FromServer> =>
    Promise.race([new Promise<FromServer>((resolve) => child.once('message', resolve)), ended]);
  const options: ServerOptions = {
    threads,
    service: flags.service as ServiceName,
    dataDirectory,
    ringBytes: Number(flags['ring-bytes']),
  };
  child.send(options);
  const started = await answer();
  if (!('port' in started)) throw new Error('a server says its port first');
  const pid = child.pid as number;
  if (flags.pin) pin(pid, SERVER_CORE);
  return {
    pid,
    endpoint: `127.0.0.1:${started.port}`,
    async rings() {
      child.send('rings');
      const told = await answer();
      return 'rings' in told ? told.rings : 0;
    },
    stop: () => child.kill('SIGKILL'),
  };
}

async function measure(
  server: Server,
  generator: GeneratorProcess,
  operation: Operation,
  clients: string,
): Promise<Figures> {
  const connections = CONNECTIONS[clients];
  if (connections === undefined) throw new RangeError('clients are 1, 64 or 256');
  const job: Job = {
    kind: 'closed',
    endpoints: [server.endpoint],
    serverPids: [server.pid],
    serverFolder: tmpdir(),
    connections,
    clientsPerConnection: Number(clients) / connections,
    mix: [{ operation, keys: { order: 'random', keys: KEYS }, weight: 1 }],
    span: flags.quick ? { warmupSec: 0.1, seconds: 0.2 } : { warmupSec: 1, seconds: Number(flags.seconds) },
  };
  let before = threadTimes(server.pid, TRANSPORT_THREAD);
  let ringsBefore = Promise.resolve(0);
  const result = await generator.run(job, () => {
    before = threadTimes(server.pid, TRANSPORT_THREAD);
    ringsBefore = server.rings();
  });
  const after = threadTimes(server.pid, TRANSPORT_THREAD);
  const rings = (await server.rings()) - (await ringsBefore);
  const { mainUs, namedUs, othersUs } = timesPerCall(before, after, Math.max(1, result.completed));
  return {
    perSec: result.completed / result.seconds,
    p50Ms: result.latency.p50Us / 1_000,
    p99Ms: result.latency.p99Us / 1_000,
    allUs: mainUs + namedUs + othersUs,
    mainUs,
    transportUs: namedUs,
    callsPerRing: rings === 0 ? Number.NaN : result.completed / rings,
    generatorBusy: result.generatorBusy,
    failed: result.failed,
  };
}

/** Every case once against one server. @returns figures by the case's name */
async function round(threads: Threads, generator: GeneratorProcess): Promise<Map<string, Figures>> {
  const folder = mkdtempSync(join(tmpdir(), 'two-threads-'));
  const server = await startServer(threads, folder);
  try {
    if (flags.service === 'kv') {
      const filled = await generator.run({
        kind: 'closed',
        endpoints: [server.endpoint],
        serverPids: [server.pid],
        serverFolder: folder,
        connections: 8,
        clientsPerConnection: 4,
        mix: [
          {
            operation: { kind: 'put-many', puts: PUTS_PER_TXN, valueBytes: VALUE_BYTES },
            keys: { order: 'steps', keys: KEYS, step: PUTS_PER_TXN },
            weight: 1,
          },
        ],
        span: { operations: flags.quick ? 10 : KEYS / PUTS_PER_TXN },
      });
      if (filled.failed > 0) throw new Error(`the server refused to be filled: ${filled.firstFailure}`);
    }
    const all = new Map<string, Figures>();
    for (const operation of OPERATIONS) {
      for (const clients of flags.clients.split(',')) {
        const name = `${operation.kind}, ${clients} ${clients === '1' ? 'client' : 'clients'}`;
        all.set(name, await measure(server, generator, operation, clients));
      }
    }
    return all;
  } finally {
    server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const generator = await GeneratorProcess.start();
if (flags.pin) pin(generator.pid, GENERATOR_CORE);
const rows = new Map<string, Figures[]>();
for (let repeat = 0; repeat < Number(flags.repeats); repeat++) {
  for (const threads of flags.threads.split(',') as Threads[]) {
    for (const [name, figures] of await round(threads, generator)) {
      const key = `${name} | ${threads}`;
      rows.set(key, [...(rows.get(key) ?? []), figures]);
    }
  }
}
generator.stop();

console.log(
  '| case | transport | a second | p50 / p99 ms | CPU us a call | of it main | of it transport | calls a wake-up | generator | failed |',
);
console.log('|---|---|---:|---:|---:|---:|---:|---:|---:|---:|');
for (const [name, runs] of [...rows].sort(([a], [b]) => a.split(' |')[0]!.localeCompare(b.split(' |')[0]!))) {
  const middle = (of: keyof Figures) => median(runs.map((run) => run[of]));
  const rings = middle('callsPerRing');
  const cells = [
    name,
    Math.round(middle('perSec')).toLocaleString('en'),
    `${middle('p50Ms').toFixed(2)} / ${middle('p99Ms').toFixed(1)}`,
    middle('allUs').toFixed(1),
    middle('mainUs').toFixed(1),
    middle('transportUs').toFixed(1),
    Number.isNaN(rings) ? '-' : rings.toFixed(1),
    `${Math.round(middle('generatorBusy') * 100)} %`,
    runs.reduce((sum, { failed }) => sum + failed, 0),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
