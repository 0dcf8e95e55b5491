/** Watches that are behind, bursts, and revisions too large for one turn: read from the store in slices. */
import { beforeEach, describe, expect, it } from 'vitest';
import { apply, client, env, hub, open, put, start, store, stream } from './hub-stage.ts';
import { prefix, watching } from './recorder.ts';

beforeEach(() => start());

describe('catching up', () => {
  it('sem-116 sends whole revisions in batches, with the revision of the store', () => {
    for (let i = 0; i < 10; i++) put('k', `${i}`);
    open(watching('k', { startRevision: 4 }));
    env.settle();
    expect(client.received).toHaveLength(1);
    expect(client.received[0]).toMatchObject({ revision: 11 });
    expect(client.eventsOf(0)).toHaveLength(8);
  });

  it('sem-116 at most 1,000 revisions come in one response, and none is lost between two', () => {
    for (let i = 0; i < 2_500; i++) put('k', `${i}`);
    open(watching('k', { startRevision: 2 }));
    env.settle();
    expect(client.received.map((entry) => entry.events.length)).toEqual([1_000, 1_000, 500]);
    expect(client.eventsOf(0)).toEqual(Array.from({ length: 2_500 }, (_, i) => `put k@${i + 2} = ${i}`));
  });

  it('sem-117 one walk serves many: a hundred watches at near positions read the log once', () => {
    for (let i = 0; i < 200; i++) put(`k${i}`);
    for (let i = 0; i < 100; i++) open(prefix('k', { startRevision: 2 + i }));
    store.readCount = 0;
    env.settle();
    expect(store.readCount).toBe(1);
    for (let i = 0; i < 100; i++) expect(client.eventsOf(i)).toHaveLength(200 - i);
  });

  it('a watch far behind does not hold up one that is near', () => {
    start({ sliceBytes: 1 });
    for (let i = 0; i < 5_000; i++) put(`k${i}`);
    open(prefix('k', { id: 1, startRevision: 2 }));
    open(prefix('k', { id: 2, startRevision: 4_990 }));
    while (client.eventsOf(2).length < 12) expect(env.turn()).toBe(true);
    expect(client.eventsOf(1).length).toBeLessThan(100);
    env.settle();
    expect(client.eventsOf(1)).toHaveLength(5_000);
  });

  it('events applied meanwhile come once: in the walk or live, not both', () => {
    start({ sliceBytes: 1 });
    for (let i = 0; i < 50; i++) put('k', `${i}`);
    open(watching('k', { startRevision: 2 }));
    for (let i = 50; i < 100; i++) {
      env.turn();
      put('k', `${i}`);
    }
    env.settle();
    put('k', '100');
    env.settle();
    expect(client.eventsOf(0)).toEqual(Array.from({ length: 101 }, (_, i) => `put k@${i + 2} = ${i}`));
    expect(hub.stats().slowWatches).toBe(0);
  });

  it('sem-112 a walk that compaction passes ends with the compact revision', () => {
    start({ sliceBytes: 1 });
    for (let i = 0; i < 20; i++) put('k', `${i}`);
    open(watching('k', { startRevision: 2 }));
    for (let i = 0; i < 5; i++) env.turn();
    store.compact(15);
    env.settle();
    put('k', 'later');
    env.settle();
    const seen = client.eventsOf(0);
    expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => `put k@${i + 2} = ${i}`));
    expect(client.received.at(-1)).toEqual({ kind: 'compacted', id: 0, revision: 15, events: [] });
  });

  it('sem-112 compaction ends only the watches of a walk that still need what is gone', () => {
    for (let i = 0; i < 20; i++) put('k', `${i}`);
    open(watching('k', { id: 1, startRevision: 2 }));
    open(watching('k', { id: 2, startRevision: 18 }));
    store.compact(17);
    env.settle();
    expect(client.received[0]).toMatchObject({ kind: 'compacted', id: 1 });
    expect(client.eventsOf(2)).toHaveLength(4);
  });

  it('sem-127 goes on from its position when the store moved ahead by a snapshot', () => {
    open(watching('k'));
    put('k', 'seen');
    env.settle();
    store.apply({ put: 'k', value: 'installed' });
    store.apply({ put: 'k', value: 'too' });
    hub.storeAdvanced();
    env.settle();
    expect(client.eventsOf(0)).toEqual(['put k@2 = seen', 'put k@3 = installed', 'put k@4 = too']);
  });

  it('sem-127 a snapshot that lacks what live watches need ends them, future ones stay', () => {
    open(watching('k', { id: 1 }));
    open(watching('k', { id: 2, startRevision: 30 }));
    for (let i = 0; i < 10; i++) store.apply({ put: 'k', value: `${i}` });
    store.compact(8);
    hub.storeAdvanced();
    env.settle();
    expect(client.received).toEqual([{ kind: 'compacted', id: 1, revision: 8, events: [] }]);
    expect(stream.size).toBe(1);
  });
});

describe('a burst', () => {
  it('of large values waits in the store, not in memory; of small ones it is delivered as it came', () => {
    open(watching('k'));
    for (let i = 0; i < 20; i++) put('k', 'x'.repeat(1_000));
    env.settle();
    expect([client.eventsOf(0).length, store.readCount]).toEqual([20, 0]);
    for (let i = 0; i < 20; i++) put('k', 'x'.repeat(1 << 20));
    env.settle();
    expect(client.eventsOf(0)).toHaveLength(40);
    expect(store.readCount).toBeGreaterThan(0);
    const readCount = store.readCount;
    for (let i = 0; i < 20; i++) put('k', 'x'.repeat(1_000));
    env.settle();
    expect([client.eventsOf(0).length, store.readCount]).toEqual([60, readCount]);
  });
});

describe('a huge revision', () => {
  it('has its previous records read in slices, each once, and all come with it', () => {
    start({ sliceMs: 1 });
    open(prefix('k', { withPrevious: true }));
    open(prefix('k', { withPrevious: true, id: 7 }));
    const keys = Array.from({ length: 3_000 }, (_, i) => `k${i}`);
    apply(...keys.map((key) => ({ put: key, value: 'old' })));
    env.settle();
    client.received.length = 0;
    env.costPerLookMs = 0.5;
    const getAt = store.getAt.bind(store);
    let reads = 0;
    let most = 0;
    store.getAt = (key, revision) => {
      reads += 1;
      return getAt(key, revision);
    };
    apply(...keys.map((key) => ({ put: key, value: 'new' })));
    for (let i = 0; client.received.length < 2 && i < 10_000; i++) {
      const before = reads;
      env.turn();
      most = Math.max(most, reads - before);
    }
    expect(most).toBeLessThan(1_000);
    expect(reads).toBe(3_000);
    const wanted = keys.map((key) => `put ${key}@3 = new (was old@2)`);
    expect([client.eventsOf(0), client.eventsOf(7)]).toEqual([wanted, wanted]);
  });
});
