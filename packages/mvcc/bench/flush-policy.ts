/**
 * What flush policies cost: CPU and bytes per put, restart, reads, stalls, memory, at a number of keys.
 *
 *   node --conditions=@quorate/source --expose-gc packages/mvcc/bench/flush-policy.ts KEYS [PUTS] [name=value ...]
 *
 * Loads KEYS keys in order (256-byte values), then does PUTS random puts in turns of 64, as a busy server would, and prints one line of JSON.
 * `name=value` sets a limit (`headEntries=50000`); `dir=PATH` chooses the folder (default: the system's temporary one).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { type MvccStore, openStore, type StoreLimits } from '../src/index.ts';

const [keysText, putsText, ...settings] = process.argv.slice(2);
const keyCount = Number(keysText ?? 100_000);
const putCount = Number(putsText ?? 200_000);
const limits: Record<string, number> = {};
let parent = tmpdir();
for (const setting of settings) {
  const [name, value] = setting.split('=') as [string, string];
  if (name === 'dir') parent = value;
  else limits[name] = Number(value);
}
const loaded = process.env.MVCC_BENCH_LOAD;
const directory = loaded ?? mkdtempSync(join(parent, 'mvcc-bench-'));

const open = (): MvccStore =>
  openStore({
    storage: { directory },
    monotonicMs: () => performance.now(),
    afterPoll: (callback) => setImmediate(callback),
    limits: limits as Partial<StoreLimits>,
  });
const flush = (store: MvccStore, how: 'flush' | 'flushHeads'): Promise<void> =>
  new Promise((resolve, reject) => store[how]((error) => (error === null ? resolve() : reject(error))));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Kubernetes-like: 39 bytes. */
const keyOf = (n: number): Uint8Array =>
  Buffer.from(`/registry/pods/namespace/pod-${String(n).padStart(10, '0')}`);
const value = new Uint8Array(256).fill(0x61);

/** A fixed sequence, so that two runs do the same. */
let random = 12345;
const nextRandom = (bound: number): number => {
  random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
  return Math.floor((random / 2 ** 32) * bound);
};

const procField = (file: string, name: string): number =>
  Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/self/${file}`, 'utf8'))?.[1] ?? 0);
/**
 * What was handed to the kernel. Every commit is synced, so the disk gets that and the file system's own. Not `write_bytes`: since ext4 has large folios
 * (Linux 6.16), 4 KiB written into a folio of 2 MiB count as all of it there.
 */
const writtenBytes = (): number => procField('io', 'wchar');
const anonymousMb = (): number => Math.round(procField('status', 'RssAnon') / 1024);

let index = 0;
let busyTurns = 0;
let mainMs = 0;

/** Applies `count` puts in turns of 64. */
async function puts(store: MvccStore, count: number, keyAt: (i: number) => number): Promise<void> {
  for (let i = 0; i < count; ) {
    const began = performance.now();
    for (let j = 0; j < 64 && i < count; j++, i++) {
      try {
        const transaction = store.begin(index + 1, 1);
        transaction.put(keyOf(keyAt(i)), value, 0n);
        transaction.commit();
        index++;
      } catch (error) {
        if ((error as { code?: string }).code !== 'STORE_BUSY') throw error;
        busyTurns++;
        break;
      }
    }
    mainMs += performance.now() - began;
    await turn();
  }
}

if (loaded !== undefined) {
  const empty = open();
  await puts(empty, keyCount, (i) => i);
  await flush(empty, 'flushHeads');
  await empty.close();
  process.exit(0);
}

// Loaded by another process, so that what is measured below is what a member has that was started on its data.
const loadBegan = performance.now();
const child = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
  env: { ...process.env, MVCC_BENCH_LOAD: directory },
  stdio: 'inherit',
});
if (child.status !== 0) throw new Error('loading failed');
const loadMs = performance.now() - loadBegan;

let store = open();
const startedMb = anonymousMb();
index = store.appliedIndex;
await turn();
globalThis.gc?.();
busyTurns = mainMs = 0;
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const cpuBefore = process.cpuUsage();
const bytesBefore = writtenBytes();
const wallBegan = performance.now();
let peakMb = 0;
for (let done = 0; done < putCount; done += 10_000) {
  await puts(store, Math.min(10_000, putCount - done), () => nextRandom(keyCount));
  peakMb = Math.max(peakMb, anonymousMb());
  if (process.env.MEM) console.error(anonymousMb(), JSON.stringify(process.memoryUsage()));
}
const wallMs = performance.now() - wallBegan;
const putMainUs = (mainMs * 1000) / putCount;
await flush(store, 'flushHeads');
const cpu = process.cpuUsage(cpuBefore);
const written = writtenBytes() - bytesBefore;
delay.disable();

// Reads while nothing else goes on: random keys, nearly all from LMDB.
const gets = 50_000;
const getBegan = performance.now();
for (let i = 0; i < gets; i++) {
  void store.get(keyOf(nextRandom(keyCount)))!.value;
  if (i % 512 === 511) await turn();
}
const getUs = ((performance.now() - getBegan) * 1000) / gets;

const counts = 2_000;
const countBegan = performance.now();
const all = { key: Buffer.from('/'), end: Buffer.from('0'), revision: 0, limit: 10 };
for (let i = 0; i < counts; i++) {
  store.rangeSync(all);
  if (i % 64 === 63) await turn();
}
const limitedRangeUs = ((performance.now() - countBegan) * 1000) / counts;

// A worst-case restart: as many records as the policy lets wait for their heads.
const lag = Math.min(store.limits.headLagRecords, store.limits.headEntries) - 1_000;
await puts(store, lag, () => nextRandom(keyCount));
await flush(store, 'flush');
await store.close();
await turn();
const openBegan = performance.now();
const openCpu = process.cpuUsage();
store = open();
const openMs = performance.now() - openBegan;
const { user, system } = process.cpuUsage(openCpu);
void store.get(keyOf(1))!.value;
const restartMs = performance.now() - openBegan;
await store.close();

console.log(
  JSON.stringify({
    keys: keyCount,
    puts: putCount,
    limits,
    loadSec: round(loadMs / 1000),
    putMainUs: round(putMainUs),
    putCpuUs: round((cpu.user + cpu.system) / putCount),
    putWallUs: round((wallMs * 1000) / putCount),
    writtenBytesPerPut: Math.round(written / putCount),
    busyTurns,
    longestStallMs: round(delay.max / 1e6),
    p999StallMs: round(delay.percentile(99.9) / 1e6),
    getUs: round(getUs),
    limitedRangeUs: round(limitedRangeUs),
    lagAtRestart: lag,
    openMs: round(openMs),
    openCpuMs: round((user + system) / 1000),
    restartMs: round(restartMs),
    anonymousStartMb: startedMb,
    anonymousPeakMb: peakMb,
    maxRssMb: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
);
rmSync(directory, { recursive: true, force: true });

function round(n: number): number {
  return Math.round(n * 100) / 100;
}
