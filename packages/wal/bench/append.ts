/**
 * The log against the least it could do: one write and one fdatasync of the same bytes, batch after batch, to a file that already has its
 * blocks, on the same kind of thread, woken the same way. With several batches under way the log may join them in one sync.
 *
 *   node --conditions=@quorate/source packages/wal/bench/append.ts [--rounds=15] [--directory=/path]
 *
 * The log is first written until files are released and reused, as they are for all but the first 64 MiB of its life: before that, every
 * segment costs its zeros as well. `--new` leaves this out.
 *
 * Rounds of both alternate, so that a busy neighbour hits both; the table gives medians over rounds.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { nodeDisk, openWal, type Wal } from '@quorate/wal';
import type { RawSetup } from './raw-worker.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    directory: { type: 'string', default: tmpdir() },
    new: { type: 'boolean', default: false },
    only: { type: 'string', default: '.' },
  },
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

/** `underWay` batches at a time: one shows the latency of a lone write, more the rate of a busy log. */
function logContender(
  wal: Wal,
  shape: { entries: number; dataBytes: number },
  { underWay, mayBlock }: { underWay: number; mayBlock: boolean },
): Contender {
  const data = Array.from({ length: shape.entries }, (_, i) => Buffer.alloc(shape.dataBytes, i + 1));
  let next = wal.lastIndex() + 1;
  return (count) =>
    new Promise((resolve, reject) => {
      const from = performance.now();
      let started = 0;
      let ended = 0;
      const start = (): void => {
        started++;
        const first = next;
        next += data.length;
        const entries = data.map((bytes, i) => ({
          index: first + i,
          term: 1,
          type: 0 as const,
          data: bytes,
        }));
        wal.append(
          { entries, hardState: { term: 1, vote: 1n, commit: first - 1 }, mustSync: true, mayBlock },
          (error) => {
            if (error !== null) return reject(error);
            // As a store does that keeps up: one file after the other is released, and reused.
            const [oldest, ...newer] = wal.segments();
            if (newer.length > 2) wal.release(oldest!.maxIndex);
            if (++ended === count) resolve(((performance.now() - from) * 1000) / count);
            else if (started < count) start();
          },
        );
      };
      for (let i = 0; i < underWay; i++) start();
    });
}

/** Until a released file has been used again. */
async function settle(wal: Wal): Promise<void> {
  const shape = { entries: 16, dataBytes: 16384 };
  while (wal.segments().at(-1)!.file <= '0000000000000006.wal') {
    await logContender(wal, shape, { underWay: 2, mayBlock: false })(16);
  }
}

function fillRaw(path: string): void {
  const file = nodeDisk.open(path, 'create');
  file.preallocate(RAW_BYTES);
  file.sync();
  file.close();
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
  console.log(
    '| entries a batch | raw us | log us, one at a time | % of raw rate | with `mayBlock` | % of raw rate | log us, 4 under way | % of raw rate |',
  );
  console.log('|---|---|---|---|---|---|---|---|');
  for (const [at, shape] of SHAPES.entries()) {
    if (!new RegExp(values.only).test(`${shape.entries} x ${shape.dataBytes} B`)) continue;
    const batchBytes = shape.entries * (shape.dataBytes + 16) + 64;
    const rawPath = join(folder, `raw-${at}`);
    fillRaw(rawPath);
    const { wal } = await openWal({ directory: join(folder, `wal-${at}`), metadata: Buffer.from('bench') });
    if (!values.new) await settle(wal);
    const raw = rawThread(rawPath, batchBytes);
    const against = (underWay: number, mayBlock: boolean): ReturnType<typeof compare> =>
      compare(logContender(wal, shape, { underWay, mayBlock }), raw.contender);
    const lone = await against(1, false);
    const direct = await against(1, true);
    const busy = await against(4, false);
    await raw.worker.terminate();
    await wal.close();
    const rate = (result: { log: number; raw: number }): number =>
      Math.round((result.raw / result.log) * 100);
    const figures = [lone, direct, busy].flatMap((result) => [result.log.toFixed(0), rate(result)]);
    figures.unshift(lone.raw.toFixed(0));
    console.log(`| ${shape.entries} x ${shape.dataBytes} B | ${figures.join(' | ')} |`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
