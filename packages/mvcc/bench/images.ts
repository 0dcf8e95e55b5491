/**
 * What an image costs: exporting a store's state as chunks, and building a store from them.
 *
 *     node --conditions=@quorate/source packages/mvcc/bench/images.ts [keys] [value bytes]
 *
 * Keys come in no order, each once. The longest turn is what other work on the main thread has to wait for.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { type MvccStore, openStore, StoreBusyError } from '@quorate/mvcc';

const keys = Number(process.argv[2] ?? 1_000_000);
const valueBytes = Number(process.argv[3] ?? 256);
const directory = mkdtempSync(join(tmpdir(), 'mvcc-images-'));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const asked = <T>(ask: (done: (error: Error | null, result: T) => void) => void): Promise<T> =>
  new Promise((resolve, reject) =>
    ask((error, result) => (error === null ? resolve(result) : reject(error))),
  );
const settled = (ask: (done: (error: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => ask((error) => (error === null ? resolve() : reject(error))));

const open = (name: string): MvccStore => {
  const store = openStore({
    storage: { directory: join(directory, name) },
    monotonicMs: () => performance.now(),
    afterPoll: (callback) => setImmediate(callback),
  });
  store.onFatal((error) => {
    throw error;
  });
  return store;
};

let longestMs = 0;
let lastMs = performance.now();
let watching = true;
const watchTurns = (): void => {
  const now = performance.now();
  longestMs = Math.max(longestMs, now - lastMs);
  lastMs = now;
  if (watching) setImmediate(watchTurns);
};
watchTurns();

async function measured(name: string, bytes: () => number, work: () => Promise<void>): Promise<void> {
  await turn();
  longestMs = 0;
  const start = performance.now();
  const cpu = process.cpuUsage();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const rate = (bytes() / 2 ** 20 / seconds).toFixed(1);
  console.log(
    `${name}: ${seconds.toFixed(2)} s, ${rate} MB/s, CPU ${((user + system) / 1e6).toFixed(2)} s, longest turn ${longestMs.toFixed(1)} ms`,
  );
}

try {
  const from = open('from');
  for (let i = 0; i < keys; ) {
    try {
      for (let end = Math.min(keys, i + 64); i < end; ) {
        const transaction = from.begin(from.appliedIndex + 1, 1);
        // A permutation of the numbers below 2^32, so that keys come in no order.
        const name = (Math.imul(i, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
        transaction.put(Buffer.from(`/registry/pods/default/${name}`), Buffer.alloc(valueBytes, i), 0n);
        transaction.commit();
        i++;
      }
    } catch (error) {
      if (!(error instanceof StoreBusyError)) throw error;
    }
    await turn();
  }
  await settled((done) => from.flushHeads(done));

  const to = open('to');
  const sink = to.receiveImage();
  let bytes = 0;
  await measured(
    'export alone',
    () => bytes,
    async () => {
      const source = (await asked((done) => from.openImageSource(done)))!;
      for (
        let chunk = await asked((done) => source.next(done));
        chunk !== null;
        chunk = await asked((done) => source.next(done))
      ) {
        bytes += chunk.length;
      }
      source.close();
    },
  );
  const whole = bytes;
  await measured(
    'export and build',
    () => whole,
    async () => {
      const source = (await asked((done) => from.openImageSource(done)))!;
      for (
        let chunk = await asked((done) => source.next(done));
        chunk !== null;
        chunk = await asked((done) => source.next(done))
      ) {
        await settled((done) => sink.write(chunk!, done));
      }
      await asked((done) => sink.finish(done));
      source.close();
    },
  );
  await measured(
    'install',
    () => whole,
    () => settled((done) => to.install(sink, done)),
  );
  console.log(
    `${keys} keys, ${(whole / 2 ** 20).toFixed(0)} MB of chunks, ${(to.sizes().totalBytes / 2 ** 20).toFixed(0)} MB of file`,
  );
  watching = false;
  await Promise.all([from.close(), to.close()]);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
