/**
 * What watchers cost the writer, and what the writer's events cost the watchers.
 *
 *   node --conditions=@quorate/source --expose-gc packages/mvcc/bench/watch-fan-out.ts [seconds per row; 0: only creation]
 *
 * One writer puts 256-byte values, 64 in a turn, into the real store on LMDB; the hub serves watchers whose consumers do
 * what a server does with an event: encode it once a group and copy it into a message of their own. Figures are CPU time
 * of the main thread per put and per event handed over; only their ratios mean something on another machine.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EventGroup, openStore, type Store, Watch, type WatchConsumer, WatchHub } from '@quorate/mvcc';

const SECONDS = Number(process.argv[2] ?? 3);
const PUTS_PER_TURN = 64;
const VALUE = Buffer.alloc(256, 'v');
const KEYS = 10_000;

const runtime = {
  monotonicMs: () => performance.now(),
  afterPoll: (callback: () => void) => void setImmediate(callback),
  setTimer(delayMs: number, callback: () => void) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  randomInt: (bound: number) => Math.floor(Math.random() * bound),
};

class Payload {
  readonly bytes: Buffer;
  constructor(group: EventGroup) {
    this.bytes = Buffer.concat(group.events().map((event) => event.encoded));
  }
}
const share = (group: EventGroup): Payload => new Payload(group);

class Counter implements WatchConsumer {
  events = 0;
  bytes = 0;
  isFull(): boolean {
    return false;
  }
  onEvents(_watch: Watch, group: EventGroup): void {
    const { bytes } = group.memo(share);
    const message = Buffer.allocUnsafe(24 + bytes.length);
    message.fill(0, 0, 24);
    message.set(bytes, 24);
    this.events += group.size;
    this.bytes += message.length;
  }
  onProgress(): void {}
  onCompacted(): void {}
}

function keyOf(index: number): Buffer {
  return Buffer.from(`/registry/pods/default/pod-${String(index % KEYS).padStart(6, '0')}`);
}

interface Scene {
  readonly name: string;
  readonly watches: number;
  readonly range: (index: number) => { key: Buffer; end: Buffer | null };
}

const prefix = { key: Buffer.from('/registry/pods/'), end: Buffer.from('/registry/pods0') };
const scenes: Scene[] = [
  { name: 'no watcher', watches: 0, range: () => prefix },
  { name: '1 on the prefix', watches: 1, range: () => prefix },
  { name: '100 on the prefix', watches: 100, range: () => prefix },
  { name: '1,000 on the prefix', watches: 1_000, range: () => prefix },
  {
    name: '10,000 on keys of their own',
    watches: 10_000,
    range: (index) => ({ key: keyOf(index), end: null }),
  },
  {
    name: '10,000 on prefixes of their own',
    watches: 10_000,
    range: (index) => ({ key: keyOf(index), end: Buffer.concat([keyOf(index), Buffer.from('0')]) }),
  },
];

function open(
  hub: WatchHub,
  consumer: WatchConsumer,
  key: Buffer,
  end: Buffer | null,
  startRevision = 0,
): void {
  const watch = hub.openStream(consumer).create({
    id: 0,
    key,
    end,
    startRevision,
    withoutPuts: false,
    withoutDeletes: false,
    withPrevious: false,
    progressNotify: false,
    fragment: false,
  });
  if (!(watch instanceof Watch)) throw new Error(watch);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

let index = 0;
async function write(store: Store, hub: WatchHub, count: number): Promise<void> {
  for (let done = 0; done < count; ) {
    for (let i = 0; i < PUTS_PER_TURN && done < count; i++, done++) {
      let transaction: ReturnType<Store['begin']>;
      try {
        transaction = store.begin(store.appliedIndex + 1, 1);
      } catch {
        break;
      }
      transaction.put(keyOf(index++), VALUE, 0n);
      hub.publish(transaction.commit()!);
    }
    await turn();
  }
}

async function run(scene: Scene): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'watch-bench-'));
  const store = openStore({ storage: { directory }, ...runtime });
  const hub = new WatchHub(store, runtime);
  const counter = new Counter();
  await write(store, hub, KEYS);
  for (let i = 0; i < scene.watches; i++) {
    const { key, end } = scene.range(i);
    open(hub, counter, key, end);
  }
  counter.events = 0;
  const startMs = performance.now();
  const startCpu = cpuMs();
  let puts = 0;
  while (performance.now() - startMs < SECONDS * 1000) {
    await write(store, hub, PUTS_PER_TURN * 4);
    puts += PUTS_PER_TURN * 4;
  }
  const writtenMs = performance.now() - startMs;
  const expected = scene.watches >= KEYS ? puts : puts * scene.watches;
  while (counter.events < expected) await turn();
  const allMs = performance.now() - startMs;
  const cpu = cpuMs() - startCpu;
  console.log(
    [
      scene.name.padEnd(32),
      `${Math.round((puts / writtenMs) * 1000)}`.padStart(9),
      `${((cpu * 1000) / puts).toFixed(1)}`.padStart(11),
      `${Math.round((counter.events / allMs) * 1000)}`.padStart(11),
      `${Math.round(allMs - writtenMs)}`.padStart(12),
    ].join(' | '),
  );
  hub.close();
  await store.close();
  rmSync(directory, { recursive: true });
}

async function creation(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'watch-bench-'));
  const store = openStore({ storage: { directory }, ...runtime });
  const hub = new WatchHub(store, runtime);
  const counter = new Counter();
  await write(store, hub, KEYS);
  globalThis.gc?.();
  const heapBefore = process.memoryUsage().heapUsed;
  let startCpu = cpuMs();
  for (let i = 0; i < 100_000; i++) open(hub, counter, Buffer.from(`/watch/${i}`), null);
  const createMs = cpuMs() - startCpu;
  globalThis.gc?.();
  const bytes = (process.memoryUsage().heapUsed - heapBefore) / 100_000;
  console.log(
    `\n100,000 watches created in ${createMs.toFixed(0)} ms of CPU, ${bytes.toFixed(0)} bytes of heap each (with a stream each)`,
  );

  counter.events = 0;
  for (let i = 0; i < 1_000; i++) open(hub, counter, prefix.key, prefix.end, 2 + i);
  startCpu = cpuMs();
  let longestMs = 0;
  while (hub.stats().slowWatches > 0) {
    const turnCpu = cpuMs();
    await turn();
    longestMs = Math.max(longestMs, cpuMs() - turnCpu);
  }
  const ms = cpuMs() - startCpu;
  console.log(
    `1,000 watches caught up over ${KEYS} revisions in ${ms.toFixed(0)} ms of CPU: ` +
      `${Math.round(counter.events / ms)} events a ms, longest turn ${longestMs.toFixed(1)} ms of CPU`,
  );
  hub.close();
  await store.close();
  rmSync(directory, { recursive: true });
}

console.log(`${'watchers'.padEnd(32)} | puts in s | CPU us/put | events in s | tail in ms`);
if (SECONDS > 0) for (const scene of scenes) await run(scene);
await creation();
