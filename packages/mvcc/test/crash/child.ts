/**
 * A process that writes until it is killed. For each entry it prints `applied N`, and `durable N` when that changed.
 *
 * Entry N puts `key (N mod 50)` = N, so what the store must hold is a function of its applied index alone. Every 40th entry compacts, every 100th defragments.
 */
import { writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { openStore } from '../../src/store.ts';

const [directory, failpoint, nth, entries, defragments] = process.argv.slice(2);
let visits = 0;
const store = openStore({
  storage: { directory: directory! },
  monotonicMs: () => performance.now(),
  afterPoll: (callback) => setImmediate(callback),
  limits: {
    flushBytes: 2_000,
    headEntries: 30,
    headLagRecords: 60,
    headPartEntries: 7,
    removeSliceRecords: 11,
  },
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
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};
function entry(): void {
  const index = store.appliedIndex + 1;
  const transaction = store.begin(index, 1);
  transaction.put(Buffer.from(`key ${index % 50}`), Buffer.from(String(index)), BigInt(index % 3));
  transaction.put(Buffer.from(`other ${index % 7}`), Buffer.from(String(index)), 0n);
  if (index % 10 === 0) transaction.deleteRange({ key: Buffer.from('other 3'), end: null });
  transaction.putMeta('m', Buffer.from('last'), Buffer.from(String(index)));
  if (index % 40 === 0 && store.revision - 5 > store.compactRevision) transaction.compact(store.revision - 5);
  transaction.commit();
  if (index % 100 === 0 && defragments !== 'no') store.defragment(() => {});
}
function turn(): void {
  // Never far ahead of the disk, so that every mechanism has its turn.
  for (let i = 0; i < 5 && store.appliedIndex - store.durableIndex < 100; i++) {
    try {
      entry();
    } catch (error) {
      if ((error as { code?: string }).code !== 'STORE_BUSY') throw error;
      break;
    }
  }
  if (store.durableIndex !== durable) {
    durable = store.durableIndex;
    say(`durable ${durable}`);
  }
  if (store.appliedIndex > firstIndex + Number(entries ?? 4_000)) stop = true;
  if (stop) store.close().then(() => say('closed'));
  else setImmediate(turn);
}
turn();
