/** Counts of pages at a fixed revision: known from the page before, and never from a state that was not. */
import { expect, test } from 'vitest';
import { memoryBackend } from '../backend/memory.ts';
import { type MvccStore, openStore } from '../store.ts';
import type { RangeResult } from '../types.ts';
import { PageCounts } from './page-counts.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** A store whose every look at the clock is past the deadline: a read takes one turn per batch of keys. */
function storeOfKeys(...keys: readonly string[]): { store: MvccStore; turns: (() => void)[] } {
  const turns: (() => void)[] = [];
  let nowMs = 0;
  const store = openStore({
    storage: { backend: memoryBackend() },
    monotonicMs: () => {
      nowMs += 10;
      return nowMs;
    },
    afterPoll: (callback) => turns.push(callback),
    limits: { flushAfterMs: Number.MAX_SAFE_INTEGER },
  });
  put(store, ...keys);
  return { store, turns };
}

function put(store: MvccStore, ...keys: readonly string[]): void {
  const transaction = store.begin(store.appliedIndex + 1, 1);
  for (const key of keys) transaction.put(bytes(key), bytes('v'), 0n);
  transaction.commit();
}

function rest(store: MvccStore, from: string, revision: number): { count: number; keys: string } {
  const { count, records } = store.rangeSync({ key: bytes(from), end: bytes('z'), revision, limit: 0 });
  return { count, keys: records.map(({ key }) => Buffer.from(key).toString()).join('') };
}

test('a page read inside a transaction says nothing about the revision that the transaction makes', () => {
  const { store } = storeOfKeys('a', 'b', 'c');
  const transaction = store.begin(store.appliedIndex + 1, 1);
  transaction.put(bytes('a'), bytes('w'), 0n);
  transaction.range({ key: bytes('a'), end: bytes('z'), revision: 0, limit: 1 });
  transaction.put(bytes('d'), bytes('w'), 0n);
  transaction.commit();
  const { revision } = store;
  put(store, 'y');
  expect(rest(store, 'a\0', revision)).toEqual({ count: 3, keys: 'bcd' });
});

test('a page read inside an aborted transaction is forgotten', () => {
  const { store } = storeOfKeys('a', 'b', 'c');
  const transaction = store.begin(store.appliedIndex + 1, 1);
  transaction.deleteRange({ key: bytes('b'), end: null });
  transaction.range({ key: bytes('a'), end: bytes('z'), revision: 0, limit: 1 });
  transaction.abort();
  put(store, 'a');
  const { revision } = store;
  put(store, 'y');
  expect(rest(store, 'a\0', revision)).toEqual({ count: 2, keys: 'bc' });
});

test('the next page of a list in the past need not count, also when the page before was read with one key too many', () => {
  const keys = Array.from({ length: 2_000 }, (_, index) => `k${String(index).padStart(6, '0')}`);
  const { store, turns } = storeOfKeys(...keys);
  const { revision } = store;
  put(store, 'y');

  /** A page of 10, read as a server does that must know whether there are more. */
  function page(from: string): { result: RangeResult; turnCount: number } {
    let result: RangeResult | null = null;
    let turnCount = 0;
    store.range({ key: bytes(from), end: bytes('l'), revision, limit: 11 }, (_error, value) => {
      result = value;
    });
    while (result === null) {
      turns.shift()!();
      turnCount++;
    }
    return { result, turnCount };
  }

  const first = page('k');
  expect([first.result.count, first.turnCount > 10]).toEqual([2_000, true]);
  for (let shown = 10; shown < 2_000; shown += 10) {
    const { result, turnCount } = page(`${keys[shown - 1]}\0`);
    expect([result.count, turnCount < 3]).toEqual([2_000 - shown, true]);
  }
});

test('bounds of any length are not kept, and the bounds that are kept are copies', () => {
  const counts = new PageCounts();
  const long = bytes('k'.repeat(5_000));
  counts.remember(7, long, null, 3);
  counts.remember(7, bytes('k'), long, 3);
  expect(counts.find(7, Buffer.concat([long, Buffer.of(0)]), null)).toBe(-1);
  expect(counts.find(7, bytes('k\0'), long)).toBe(-1);

  // As a service passes them: views of a request whose memory is used again.
  const [last, high] = [bytes('k'), bytes('z')];
  counts.remember(7, last, high, 4);
  last.fill(0);
  high.fill(0);
  expect(counts.find(7, bytes('k\0'), bytes('z'))).toBe(4);
});
