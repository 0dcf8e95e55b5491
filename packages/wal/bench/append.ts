/**
 * The log against the least it could do: one write and one fdatasync of the same bytes to a file that already has its blocks, on the
 * same kind of thread, woken the same way.
 *
 *   node --conditions=@quorate/source packages/wal/bench/append.ts [--rounds=15] [--directory=/path]
 *
 * Rounds of both alternate, so that a busy neighbour hits both; the table gives medians over rounds.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { nodeDisk, openWal, type Wal } from '@quorate/wal';
import type { RawSetup } from './raw-worker.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, directory: { type: 'string', default: tmpdir() } },
});
const ROUNDS = Number(values.rounds);
const BATCHES_PER_ROUND = 300;
const RAW_BYTES = 16 * 1024 * 1024;
const SHAPES = [
  { entries: 1, dataBytes: 256 },
  { entries: 16, dataBytes: 256 },
  { entries: 64, dataBytes: 256 },
  { entries: 64, dataBytes: 1024 },
  { entries: 64, dataBytes: 16384 },
] as const;

/** Does `count` batches one after the other; resolves to microseconds a batch. */
type Contender = (count: number) => Promise<number>;

async function timed(count: number, run: (index: number) => Promise<void>): Promise<number> {
  const from = performance.now();
  for (let i = 0; i < count; i++) await run(i);
  return ((performance.now() - from) * 1000) / count;
}

function logContender(wal: Wal, shape: { entries: number; dataBytes: number }): Contender {
  const data = Array.from({ length: shape.entries }, (_, i) => Buffer.alloc(shape.dataBytes, i + 1));
  return (count) =>
    timed(count, () => {
      const first = wal.lastIndex() + 1;
      const entries = data.map((bytes, i) => ({ index: first + i, term: 1, type: 0 as const, data: bytes }));
      return new Promise((resolve, reject) => {
        wal.append(
          { entries, hardState: { term: 1, vote: 1n, commit: first - 1 }, mustSync: true },
          (error) => {
            if (error !== null) return reject(error);
            // As a store does that keeps up: files are released and reused.
            if (wal.segments().length > 3) wal.release(first - 1);
            resolve();
          },
        );
        wal.pump();
      });
    });
}

function fillRaw(path: string): void {
  const file = nodeDisk.open(path, 'create');
  file.preallocate(RAW_BYTES);
  file.sync();
  file.close();
}

function rawInline(path: string, batchBytes: number): Contender {
  const descriptor = openSync(path, 'r+');
  const batch = Buffer.alloc(batchBytes, 7);
  let offset = 0;
  return (count) => {
    if (count === 0) closeSync(descriptor);
    return timed(count, async () => {
      if (offset + batchBytes > RAW_BYTES) offset = 0;
      writeSync(descriptor, batch, 0, batchBytes, offset);
      fdatasyncSync(descriptor);
      offset += batchBytes;
    });
  };
}

function rawThread(path: string, batchBytes: number): { contender: Contender; worker: Worker } {
  const shared = new SharedArrayBuffer(8);
  const control = new Int32Array(shared);
  const batch = new SharedArrayBuffer(batchBytes);
  const source = Buffer.alloc(batchBytes, 7);
  const worker = new Worker(new URL('./raw-worker.ts', import.meta.url), {
    workerData: { shared, batch, path, fileBytes: RAW_BYTES } satisfies RawSetup,
  });
  let number = 0;
  const contender: Contender = (count) =>
    timed(count, async () => {
      // The bytes have to reach the thread here too.
      source.copy(Buffer.from(batch));
      number++;
      const answer = Atomics.waitAsync(control, 1, number - 1);
      Atomics.store(control, 0, number);
      Atomics.notify(control, 0);
      if (answer.async) await answer.value;
    });
  return { contender, worker };
}

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

async function compare(log: Contender, raw: Contender): Promise<{ log: number; raw: number }> {
  const times = { log: [] as number[], raw: [] as number[] };
  await log(BATCHES_PER_ROUND);
  await raw(BATCHES_PER_ROUND);
  for (let round = 0; round < ROUNDS; round++) {
    times.raw.push(await raw(BATCHES_PER_ROUND));
    times.log.push(await log(BATCHES_PER_ROUND));
  }
  return { log: median(times.log), raw: median(times.raw) };
}

const folder = mkdtempSync(join(values.directory, 'quorate-bench-'));
try {
  console.log('| entries a batch | thread | raw us a batch | log us a batch | log at % of raw rate |');
  console.log('|---|---|---|---|---|');
  for (const [at, shape] of SHAPES.entries()) {
    const batchBytes = shape.entries * (shape.dataBytes + 16) + 64;
    for (const kind of ['own', "caller's"] as const) {
      const rawPath = join(folder, `raw-${at}-${kind}`);
      fillRaw(rawPath);
      const { wal } = await openWal({
        directory: join(folder, `wal-${at}-${kind}`),
        metadata: Buffer.from('bench'),
        ...(kind === 'own' ? {} : { disk: nodeDisk, schedule: () => {} }),
      });
      const log = logContender(wal, shape);
      const thread = kind === 'own' ? rawThread(rawPath, batchBytes) : null;
      const result = await compare(log, thread?.contender ?? rawInline(rawPath, batchBytes));
      await thread?.worker.terminate();
      await wal.close();
      const percent = Math.round((result.raw / result.log) * 100);
      console.log(
        `| ${shape.entries} x ${shape.dataBytes} B | ${kind} | ${result.raw.toFixed(0)} | ${result.log.toFixed(0)} | ${percent} |`,
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
