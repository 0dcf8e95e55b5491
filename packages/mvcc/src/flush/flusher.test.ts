/** A store that is left alone: nothing of it may wait for the next entry. */
import { expect, test } from 'vitest';
import { memoryBackend } from '../backend/memory.ts';
import { type MvccStore, openStore } from '../store.ts';

class World {
  nowMs = 0;
  turns: (() => void)[] = [];
  timers: { atMs: number; callback: () => void }[] = [];

  open(): MvccStore {
    return openStore({
      storage: { backend: memoryBackend() },
      monotonicMs: () => this.nowMs,
      afterPoll: (callback) => this.turns.push(callback),
      setTimer: (delayMs, callback) => {
        const timer = { atMs: this.nowMs + delayMs, callback };
        this.timers.push(timer);
        const cancel = (): void => {
          this.timers = this.timers.filter((other) => other !== timer);
        };
        return { cancel };
      },
      limits: { flushAfterMs: 1_000 },
    });
  }

  advance(ms: number): void {
    this.nowMs += ms;
    const due = this.timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.timers = this.timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { callback } of due) callback();
    while (this.turns.length > 0) this.turns.shift()!();
  }
}

function put(store: MvccStore): void {
  const transaction = store.begin(store.appliedIndex + 1, 1);
  transaction.put(Buffer.from('key'), Buffer.from('value'), 0n);
  transaction.commit();
}

test('an idle store flushes its tail when that is old enough, so that the log may go', () => {
  const world = new World();
  const store = world.open();
  put(store);
  world.advance(999);
  expect(store.durableIndex).toBe(0);
  world.advance(1);
  expect(store.durableIndex).toBe(1);
  expect(world.timers).toEqual([]);
});

test('the age counts from the first entry that is not flushed; one timer serves all', () => {
  const world = new World();
  const store = world.open();
  for (let i = 0; i < 5; i++) {
    put(store);
    world.advance(150);
    expect(world.timers.length).toBe(1);
  }
  store.flush(() => {});
  world.advance(0);
  expect(store.durableIndex).toBe(5);
  put(store);
  // The timer of the entries before ends now, too early for this one.
  world.advance(250);
  expect([store.durableIndex, world.timers.length]).toEqual([5, 1]);
  world.advance(749);
  expect(store.durableIndex).toBe(5);
  world.advance(1);
  expect(store.durableIndex).toBe(6);
});

test('a closed store has no timer', async () => {
  const world = new World();
  const store = world.open();
  put(store);
  const closed = store.close();
  world.advance(0);
  await closed;
  expect(world.timers).toEqual([]);
});

test('whoever waits for the store when it is closed, or asks afterwards, is told that it is', async () => {
  const world = new World();
  const store = world.open();
  put(store);
  put(store);
  const told: string[] = [];
  const tell = (name: string) => (error: Error | null) => told.push(`${name} ${error?.name ?? 'done'}`);
  const ask = (when: string): void => {
    store.whenCompacted(1_000, tell(`compacted ${when}`));
    store.defragment(tell(`defragmented ${when}`));
    store.openImage(tell(`image ${when}`));
  };
  ask('before');
  const closed = store.close();
  world.advance(0);
  await closed;
  ask('after');
  world.advance(0);
  expect(told.map((line) => line.split(' ', 2).join(' ')).toSorted()).toEqual([
    'compacted after',
    'compacted before',
    'defragmented after',
    'defragmented before',
    'image after',
    'image before',
  ]);
  const refused = told.filter((line) => line.endsWith('StoreClosedError'));
  expect(refused).toEqual(expect.arrayContaining(['compacted before StoreClosedError']));
  expect(refused.filter((line) => line.includes('after'))).toHaveLength(3);
});
