/**
 * What removing a compacted history costs: bytes handed to the kernel and processor time of both threads, a removed record.
 *
 *   node --conditions=@quorate/source packages/mvcc/bench/removal.ts [KEYS] [PUTS]
 *
 * Puts KEYS keys (default 100,000), then PUTS random ones of them (default 100,000), compacts at the newest revision and waits until all is removed.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openStore } from '../src/index.ts';

const keys = Number(process.argv[2] ?? 100_000);
const puts = Number(process.argv[3] ?? 100_000);
const directory = mkdtempSync(join(tmpdir(), 'mvcc-removal-'));
const store = openStore({
  storage: { directory },
  monotonicMs: () => performance.now(),
  afterPoll: (callback) => setImmediate(callback),
});
const value = new Uint8Array(256).fill(0x61);
const keyOf = (n: number): Uint8Array =>
  Buffer.from(`/registry/pods/namespace/pod-${String(n).padStart(10, '0')}`);
const writtenBytes = (): number => Number(/wchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))![1]);
const ended = (call: (done: (error: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => call((error) => (error === null ? resolve() : reject(error))));

let random = 12345;
for (let i = 0; i < keys + puts; ) {
  let busy = false;
  random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
  try {
    const transaction = store.begin(store.appliedIndex + 1, 1);
    transaction.put(keyOf(i < keys ? i : Math.floor((random / 2 ** 32) * keys)), value, 0n);
    transaction.commit();
    i++;
  } catch (error) {
    if ((error as { code?: string }).code !== 'STORE_BUSY') throw error;
    busy = true;
  }
  if (busy || i % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
}
await ended((done) => store.flushHeads(done));
const target = store.revision;
const bytesBefore = writtenBytes();
const cpuBefore = process.cpuUsage();
const beganMs = performance.now();
const transaction = store.begin(store.appliedIndex + 1, 1);
transaction.compact(target);
transaction.commit();
await ended((done) => store.whenCompacted(target, done));
const { user, system } = process.cpuUsage(cpuBefore);
console.log(
  JSON.stringify({
    keys,
    puts,
    bytesPerRecord: Math.round((writtenBytes() - bytesBefore) / puts),
    cpuUsPerRecord: Math.round(((user + system) / puts) * 10) / 10,
    ms: Math.round(performance.now() - beganMs),
  }),
);
await ended((done) => store.close().then(() => done(null), done));
rmSync(directory, { recursive: true, force: true });
