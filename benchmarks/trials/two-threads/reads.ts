/**
 * The second trial: point gets from LMDB, by the thread that wants them or by another. No sockets, no memtable.
 *
 *     node --conditions=@quorate/source benchmarks/trials/two-threads/reads.ts [--pin] [--quick] [--repeats N]
 *
 *   own          the asking thread reads
 *   handed over  each get goes to a reading thread through the rings, its answer comes back
 *   confirmed    the asking thread reads, after one question to the other thread for all gets of a turn
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { Metadata } from '@quorate/grpc-server';
import { median } from '../../src/figures.ts';
import { pin } from '../../src/run-group.ts';
import { CallsOut, type CallToSend } from './calls-out.ts';
import { type BellKind, ringsOf } from './doorbell.ts';
import { createLink, portsOf } from './link.ts';
import { fillStore, keyAt, openFilledStore } from './read-store.ts';
import { CONFIRM, GET, type ReaderThread } from './reader-methods.ts';
import { threadTimes, timesPerCall } from './thread-times.ts';

const READER_THREAD = 'reader';
const WAYS: readonly Way[] = [
  { name: 'own', bell: null },
  { name: 'handed over', bell: 'wait-async' },
  { name: 'handed over', bell: 'message' },
  { name: 'confirmed', bell: 'wait-async' },
  { name: 'confirmed', bell: 'message' },
];

interface Way {
  readonly name: 'own' | 'handed over' | 'confirmed';
  readonly bell: BellKind | null;
}

/** Makes `count` gets and calls `done` when all are answered. */
type GetMany = (count: number, done: () => void) => void;

interface Figures {
  readonly perSec: number;
  readonly mainUs: number;
  readonly readerUs: number;
  readonly callsPerRing: number;
}

const { values: flags } = parseArgs({
  options: {
    pin: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    repeats: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '3' },
  },
});

const OPEN_GETS = flags.quick ? [64] : [1, 64, 256];

const noMetadata: Metadata = { get: () => undefined, entries: () => [] };

function callThat(answered: (bytes: Uint8Array) => void): CallToSend {
  return {
    metadata: noMetadata,
    deadlineMs: Number.POSITIVE_INFINITY,
    onCancel() {},
    reply: answered,
    fail(_status, message) {
      throw new Error(message);
    },
  };
}

const keyCount = flags.quick ? 5_000 : 100_000;
/** Another prime: keys are read in an order that is neither theirs nor that in which they were put. */
const STEP = 31;
/** Made beforehand, so that asking costs next to nothing. */
const keys = Array.from({ length: keyCount }, (_, n) => keyAt(n * STEP, keyCount));
let next = 0;
const nextKey = (): Uint8Array => {
  next = (next + 1) % keys.length;
  return keys[next] as Uint8Array;
};

function readOwn(directory: string): { get(count: number): void; close(): Promise<void> } {
  const store = openFilledStore(directory);
  return {
    get(count) {
      for (let i = 0; i < count; i++) {
        if (store.get(nextKey())?.encoded.length === undefined) throw new Error('no such key');
      }
    },
    close: async () => {
      await store.close();
    },
  };
}

/** One way at work. */
interface Running {
  readonly getMany: GetMany;
  rings(): number;
  stop(): Promise<void>;
}

async function start(way: Way, directory: string): Promise<Running> {
  const own = way.name === 'handed over' ? null : readOwn(directory);
  if (way.bell === null) {
    const getMany: GetMany = (count, done) => {
      own?.get(count);
      setImmediate(done);
    };
    return { getMany, rings: () => 0, stop: async () => own?.close() };
  }
  const [caller, answerer] = createLink(way.bell);
  const options: ReaderThread = { link: answerer, directory, reads: own === null };
  const worker = new Worker(new URL('./reader-worker.ts', import.meta.url), {
    name: READER_THREAD,
    workerData: options,
    transferList: portsOf(answerer),
  });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const calls = new CallsOut(caller);
  const handOver: GetMany = (count, done) => {
    let open = count;
    const answered = callThat(() => {
      if (--open === 0) done();
    });
    for (let i = 0; i < count; i++) calls.send(GET, nextKey(), answered);
  };
  const confirm: GetMany = (count, done) => {
    const confirmed = callThat(() => {
      own?.get(count);
      done();
    });
    calls.send(CONFIRM, new Uint8Array(0), confirmed);
  };
  return {
    getMany: own === null ? handOver : confirm,
    rings: () => ringsOf(caller.bell),
    async stop() {
      await worker.terminate();
      caller.bell.port?.close();
      await own?.close();
    },
  };
}

async function measure({ getMany, rings }: Running, openGets: number): Promise<Figures> {
  const run = async (seconds: number): Promise<number> => {
    const endMs = performance.now() + seconds * 1_000;
    let gets = 0;
    while (performance.now() < endMs) {
      await new Promise<void>((done) => getMany(openGets, done));
      gets += openGets;
    }
    return gets;
  };
  await run(flags.quick ? 0.05 : 0.7);
  const before = threadTimes(process.pid, READER_THREAD);
  const ringsBefore = rings();
  const beganMs = performance.now();
  const gets = await run(flags.quick ? 0.05 : Number(flags.seconds));
  const seconds = (performance.now() - beganMs) / 1_000;
  const rung = rings() - ringsBefore;
  const { mainUs, namedUs } = timesPerCall(before, threadTimes(process.pid, READER_THREAD), gets);
  const callsPerRing = rung === 0 ? Number.NaN : gets / rung;
  return { perSec: gets / seconds, mainUs, readerUs: namedUs, callsPerRing };
}

const directory = mkdtempSync(join(tmpdir(), 'two-threads-reads-'));
const rows = new Map<string, Figures[]>();
try {
  if (flags.pin) pin(process.pid, 0);
  await fillStore(directory, keyCount);
  for (let repeat = 0; repeat < Number(flags.repeats); repeat++) {
    for (const way of WAYS) {
      const running = await start(way, directory);
      for (const openGets of OPEN_GETS) {
        const key = `${openGets} | ${way.name} | ${way.bell ?? '-'}`;
        rows.set(key, [...(rows.get(key) ?? []), await measure(running, openGets)]);
      }
      await running.stop();
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}

console.log(
  '| gets a turn | read | bell | a second | CPU us a get | of it asking | of it other thread | gets a wake-up |',
);
console.log('|---:|---|---|---:|---:|---:|---:|---:|');
for (const [name, runs] of rows) {
  const middle = (of: keyof Figures) => median(runs.map((run) => run[of]));
  const rings = middle('callsPerRing');
  const cells = [
    name,
    Math.round(middle('perSec')).toLocaleString('en'),
    (middle('mainUs') + middle('readerUs')).toFixed(2),
    middle('mainUs').toFixed(2),
    middle('readerUs').toFixed(2),
    Number.isNaN(rings) ? '-' : rings.toFixed(1),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
process.exit(0);
