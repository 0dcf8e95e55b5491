/** Long reads look at the clock by bytes too: a hundred large values are no work for one turn. */
import { expect, test } from 'vitest';
import { memoryBackend } from '../backend/memory.ts';
import { type MvccStore, openStore } from '../store.ts';

const KEYS = 64;
const VALUE_BYTES = 1 << 20;

/** Runs `read` under a clock that is always past the deadline. @returns the turns it took */
function turnsOf(read: (store: MvccStore, done: () => void) => void): number {
  const turns: (() => void)[] = [];
  let nowMs = 0;
  const store = openStore({
    storage: { backend: memoryBackend() },
    monotonicMs: () => {
      nowMs += 10;
      return nowMs;
    },
    afterPoll: (callback) => turns.push(callback),
    limits: { memtableBytes: 1 << 30, flushBytes: 1 << 30, flushAfterMs: Number.MAX_SAFE_INTEGER },
  });
  const transaction = store.begin(1, 1);
  const value = new Uint8Array(VALUE_BYTES);
  for (let i = 0; i < KEYS; i++) transaction.put(Buffer.from(`k${1000 + i}`), value, 0n);
  transaction.commit();
  let flushed = false;
  store.flush(() => {
    flushed = true;
  });
  while (!flushed) turns.shift()!();

  let ended = false;
  let turnCount = 0;
  read(store, () => {
    ended = true;
  });
  for (; !ended; turnCount++) turns.shift()!();
  return turnCount;
}

test('a range of large values takes a turn for about each mebibyte, and answers all of them', () => {
  let lastKeys: string[] = [];
  const turnCount = turnsOf((store, done) =>
    store.range({ key: Buffer.from('k'), end: Buffer.from('l'), revision: 0, limit: 0 }, (_error, result) => {
      lastKeys = result!.records.map(({ key }) => Buffer.from(key).toString());
      done();
    }),
  );
  expect(lastKeys).toEqual(Array.from({ length: KEYS }, (_, i) => `k${1000 + i}`));
  expect(turnCount).toBeGreaterThan(KEYS / 2);
});

test('hashes of large values take a turn for about each of them', () => {
  expect(turnsOf((store, done) => store.hashKv(0, done))).toBeGreaterThan(KEYS / 2);
  expect(turnsOf((store, done) => store.hash(done))).toBeGreaterThan(KEYS / 2);
});
