/**
 * A process that writes until it is killed. For each entry it prints `applied N`, and `durable N` when that changed.
 *
 * Entry N puts `key (N mod 50)` = N, so what the store must hold is a function of its applied index alone. Every 40th entry compacts, every 100th defragments. Every 250th, a
 * store in memory that is 60 entries ahead sends its image, which is installed.
 */
import { performance } from 'node:perf_hooks';
import { sayLine as say } from '@quorate/testing/say';
import { memoryBackend } from '../../src/backend/memory.ts';
import type { StoreOptions } from '../../src/options.ts';
import { type MvccStore, openStore } from '../../src/store.ts';
import type { ImageSource } from '../../src/transfer/types.ts';

const [directory, failpoint, nth, entries, moves] = process.argv.slice(2);
let visits = 0;
const options: Omit<StoreOptions, 'storage'> = {
  monotonicMs: () => performance.now(),
  afterPoll: (callback) => setImmediate(callback),
  limits: {
    flushBytes: 2_000,
    headEntries: 30,
    headLagRecords: 60,
    headPartEntries: 7,
    removeSliceRecords: 11,
    removePassRecords: 40,
  },
};
const store = openStore({
  ...options,
  storage: { directory: directory! },
  failpoint: (name) => {
    if (name === failpoint && ++visits === Number(nth)) process.kill(process.pid, 'SIGKILL');
  },
});
store.onFatal((error) => {
  throw error;
});

const firstIndex = store.appliedIndex;
let durable = 0;
let stop = false;
function entry(store: MvccStore): void {
  const index = store.appliedIndex + 1;
  const transaction = store.begin(index, 1);
  transaction.put(Buffer.from(`key ${index % 50}`), Buffer.from(String(index)), BigInt(index % 3));
  transaction.put(Buffer.from(`other ${index % 7}`), Buffer.from(String(index)), 0n);
  if (index % 10 === 0) transaction.deleteRange({ key: Buffer.from('other 3'), end: null });
  transaction.putMeta('m', Buffer.from('last'), Buffer.from(String(index)));
  if (index % 40 === 0 && store.revision - 5 > store.compactRevision) transaction.compact(store.revision - 5);
  transaction.commit();
}

/** Ahead of the store on disk by some entries, as a leader is of a follower that was away. */
const leader = openStore({ ...options, storage: { backend: memoryBackend() } });
let lastInstalled = firstIndex;
let installing = false;

const asked = <T>(ask: (done: (error: Error | null, result: T) => void) => void): Promise<T> =>
  new Promise((resolve, reject) =>
    ask((error, result) => (error === null ? resolve(result) : reject(error))),
  );

async function install(): Promise<void> {
  installing = true;
  while (leader.appliedIndex < store.appliedIndex + 60) {
    try {
      entry(leader);
    } catch (error) {
      if ((error as { code?: string }).code !== 'STORE_BUSY') throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const source = (await asked<ImageSource | null>((done) => leader.openImageSource(done)))!;
  const sink = store.receiveImage();
  for (
    let chunk = await asked<Uint8Array | null>((done) => source.next(done));
    chunk !== null;
    chunk = await asked<Uint8Array | null>((done) => source.next(done))
  ) {
    await asked((done) => sink.write(chunk!, (error) => done(error, null)));
  }
  source.close();
  await asked((done) => sink.finish(done));
  // What went on here meanwhile may have overtaken it.
  if (source.info.appliedIndex > store.appliedIndex) {
    await asked((done) => store.install(sink, (error) => done(error, null)));
  } else sink.abort();
  lastInstalled = store.appliedIndex;
  installing = false;
}
function turn(): void {
  // Never far ahead of the disk, so that every mechanism has its turn.
  for (let i = 0; i < 5 && store.appliedIndex - store.durableIndex < 100; i++) {
    try {
      // A follower that waits for an image applies little.
      if (!installing || store.appliedIndex < lastInstalled + 270) entry(store);
      if (store.appliedIndex % 100 === 0 && moves !== 'no') store.defragment(() => {});
    } catch (error) {
      if ((error as { code?: string }).code !== 'STORE_BUSY') throw error;
      break;
    }
  }
  if (moves !== 'no' && !installing && store.appliedIndex >= lastInstalled + 250) void install();
  if (store.durableIndex !== durable) {
    durable = store.durableIndex;
    say(`durable ${durable}`);
  }
  if (store.appliedIndex > firstIndex + Number(entries ?? 4_000)) stop = true;
  if (stop && !installing) store.close().then(() => say('closed'));
  else setImmediate(turn);
}
turn();
