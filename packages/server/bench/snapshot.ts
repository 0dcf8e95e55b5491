/**
 * Writes an image of a store while writes go on: how long it takes, and how long the longest turn is.
 *
 *     node --conditions=@quorate/source packages/server/bench/snapshot.ts [keys] [value bytes]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openStore, StoreBusyError } from '@quorate/mvcc';
import { ImageFolder } from '../src/etcd-image/image-folder.ts';

const [keys = 1_000_000, valueBytes = 256] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), 'quorate-bench-'));
const store = openStore({
  storage: { directory: join(folder, 'store') },
  monotonicMs: () => performance.now(),
  afterPoll: (callback) => void setImmediate(callback),
});
const turn = () => new Promise((resolve) => setImmediate(resolve));
const value = Buffer.alloc(valueBytes, 'v');

async function put(key: string): Promise<void> {
  for (;;) {
    try {
      const entry = store.begin(store.appliedIndex + 1, 1);
      entry.put(Buffer.from(key), value, 0n);
      entry.commit();
      return;
    } catch (error) {
      if (!(error instanceof StoreBusyError)) throw error;
      await turn();
    }
  }
}

for (let i = 0; i < keys; i++) {
  await put(`key-${String(i).padStart(9, '0')}`);
  if (i % 100 === 0) await turn();
}
await new Promise<void>((resolve) => store.flush(() => resolve()));

/** Writes for as long as `work` takes. */
async function underLoad(name: string, work: () => Promise<void>): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let over = false;
  let writes = 0;
  const begin = performance.now();
  delay.enable();
  const done = work().then(() => {
    over = true;
  });
  while (!over) {
    for (let i = 0; i < 5; i++) await put(`key-${String((writes++ * 7919) % keys).padStart(9, '0')}`);
    await turn();
  }
  await done;
  delay.disable();
  const took = performance.now() - begin;
  const ms = (nanoseconds: number) => (nanoseconds / 1e6).toFixed(1);
  console.log(
    `${name}: ${(took / 1000).toFixed(2)} s, ${Math.round((writes / took) * 1000)} writes/s meanwhile, ` +
      `turns p99 ${ms(delay.percentile(99))} p99.9 ${ms(delay.percentile(99.9))} max ${ms(delay.max)} ms`,
  );
}

await underLoad('nothing else', () => new Promise((resolve) => setTimeout(resolve, 3000)));
const images = new ImageFolder(join(folder, 'snapshot'), (callback) => void setImmediate(callback));
await underLoad(
  `image of ${keys} keys of ${valueBytes} B`,
  () =>
    new Promise((resolve, reject) => {
      const job = images.create(store, (error, file) => {
        if (error !== null) reject(error);
        else {
          console.log(`${(file!.sizeBytes / 2 ** 20).toFixed(0)} MiB`);
          job.close();
          resolve();
        }
      });
    }),
);
await store.close();
rmSync(folder, { recursive: true, force: true });
