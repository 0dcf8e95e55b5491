/** Thousands of watches and a delivery that lags behind. */
import { beforeEach, describe, expect, it } from 'vitest';
import { client, env, hub, open, put, start, store, stream } from './hub-stage.ts';
import { prefix, watching } from './recorder.ts';

beforeEach(() => start());

describe('many', () => {
  it('a slow delivery to thousands of watches is spread over turns, and misses nobody', () => {
    start({ sliceMs: 2 });
    for (let i = 0; i < 3_000; i++) open(watching('k'));
    env.costPerLookMs = 0.1;
    put('k', 'one');
    env.turn();
    expect(client.received.length).toBeGreaterThan(0);
    expect(client.received.length).toBeLessThan(3_000);
    put('k', 'two');
    env.settle();
    expect(client.received).toHaveLength(6_000);
    for (let i = 0; i < 3_000; i += 500)
      expect(client.eventsOf(i)).toEqual(['put k@2 = one', 'put k@3 = two']);
  });

  it('live delivery that lags far behind goes through the log and loses nothing', () => {
    start({ sliceMs: 1 });
    open(prefix('k'));
    env.costPerLookMs = 1;
    for (let i = 0; i < 10_000; i++) put(`k${i}`);
    env.settle();
    expect(store.readCount).toBeGreaterThan(0);
    expect(client.eventsOf(0)).toHaveLength(10_000);
    expect(new Set(client.eventsOf(0)).size).toBe(10_000);
  });

  it('what is applied while delivery lags behind is neither skipped nor repeated', () => {
    start({ sliceMs: 1 });
    open(prefix('k'));
    env.costPerLookMs = 0.01;
    let written = 0;
    const write = (count: number): void => {
      for (let i = 0; i < count; i++) put(`k${written++}`);
    };
    write(5_000);
    for (let pass = 0; pass < 20; pass++) {
      env.turn();
      write(100);
    }
    env.settle();
    expect(client.received.map((entry) => entry.revision)).toEqual(
      Array.from({ length: written }, (_, index) => index + 2),
    );
  });

  it('10,000 watches on one stream, each of its own key, and the stream can be closed', () => {
    for (let i = 0; i < 10_000; i++) open(watching(`key-${i}`));
    put('key-77');
    put('key-9999');
    env.settle();
    expect(client.received.map((entry) => entry.id)).toEqual([77, 9999]);
    stream.close();
    put('key-77');
    env.settle();
    expect(client.received).toHaveLength(2);
  });

  it('a hub without watches keeps nothing of what is written', () => {
    for (let i = 0; i < 100; i++) put('k');
    expect(env.turn()).toBe(false);
    open(watching('k'));
    put('k', 'x');
    env.settle();
    expect(client.eventsOf(0)).toEqual(['put k@102 = x']);
    expect(store.readCount).toBe(0);
  });

  it('closing the hub ends everything', () => {
    open(watching('k', { progressNotify: true }));
    put('k');
    hub.close();
    env.settle();
    expect(client.received).toEqual([]);
    expect(env.timerCount).toBe(0);
    expect(hub.stats().streams).toBe(0);
  });
});
