/**
 * Watch semantics, one case each, on a model store: nothing here knows of gRPC.
 */
import { Watch, WatchHub, type WatchHubOptions, type WatchStream } from '@quorate/mvcc';
import { SimEnv } from '@quorate/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Change, ModelStore } from './model-store.ts';
import { prefix, Recorder, watching } from './recorder.ts';

let env: SimEnv;
let store: ModelStore;
let hub: WatchHub;
let client: Recorder;
let stream: WatchStream;

function start(options: WatchHubOptions = {}): void {
  env = new SimEnv(1);
  store = new ModelStore();
  hub = new WatchHub(store, env, options);
  client = new Recorder();
  stream = hub.openStream(client);
}

function apply(...changes: readonly Change[]): void {
  const batch = store.apply(...changes);
  if (batch !== null) hub.publish(batch);
}

function put(key: string, value = 'v'): void {
  apply({ put: key, value });
}

function open(options: Parameters<WatchStream['create']>[0], on = stream): Watch {
  const watch = on.create(options);
  if (!(watch instanceof Watch)) throw new Error(`refused: ${watch}`);
  return watch;
}

beforeEach(() => start());

describe('matching', () => {
  it('a single key, a range, a prefix, everything from a key on', () => {
    const single = open(watching('b'));
    const range = open(watching('b', { end: 'd' }));
    const wide = open(watching('b', { end: '\0' }));
    for (const key of ['a', 'b', 'ba', 'c', 'd', 'zz']) put(key);
    env.settle();
    expect(client.eventsOf(Number(single.id))).toEqual(['put b@3 = v']);
    expect(client.eventsOf(Number(range.id))).toEqual(['put b@3 = v', 'put ba@4 = v', 'put c@5 = v']);
    expect(client.eventsOf(Number(wide.id))).toHaveLength(5);
  });

  it('keys are bytes: 0xff, zero bytes and non-text order as unsigned bytes', () => {
    const high = open(watching('\x80', { end: '\0' }));
    const zero = open(watching('a\0'));
    for (const key of ['a', 'a\0', '\x7f', '\x80', '\xff\xff']) put(key);
    env.settle();
    expect(client.received.filter((entry) => entry.id === high.id)).toHaveLength(2);
    expect(client.received.filter((entry) => entry.id === zero.id)).toHaveLength(1);
  });

  it('sem-119 filters drop puts or deletes, and what is fully filtered is not sent', () => {
    open(prefix('k', { id: 1, withoutPuts: true }));
    open(prefix('k', { id: 2, withoutDeletes: true }));
    open(prefix('k', { id: 3, withoutPuts: true, withoutDeletes: true }));
    put('k');
    apply({ delete: 'k' });
    env.settle();
    expect(client.eventsOf(1)).toEqual(['delete k@3']);
    expect(client.eventsOf(2)).toEqual(['put k@2 = v']);
    expect(client.eventsOf(3)).toEqual([]);
    expect(client.received).toHaveLength(2);
  });

  it('case-61 sem-115 all events of one revision come in one response, in order of sub revision', () => {
    open(prefix('k'));
    apply({ put: 'k2', value: 'x' }, { put: 'other', value: '' }, { put: 'k1', value: 'y' });
    env.settle();
    expect(client.received).toEqual([
      { kind: 'events', id: 0, revision: 2, events: ['put k2@2 = x', 'put k1@2 = y'] },
    ]);
  });

  it('sem-114 sem-116 a watch that keeps up gets one response a revision, with that revision', () => {
    open(prefix('k'));
    put('k1');
    put('k2');
    put('k3');
    env.settle();
    expect(client.received.map((entry) => entry.revision)).toEqual([2, 3, 4]);
  });

  it('watches that want the same events share one group, whatever their range', () => {
    open(prefix('k'));
    open(watching('k1'));
    open(watching('k', { end: '\0', id: 70 }));
    const other = new Recorder();
    open(prefix('k'), hub.openStream(other));
    put('k1');
    env.settle();
    expect(client.groups).toHaveLength(3);
    const groups = new Set([...client.groups, ...other.groups]);
    expect(groups.size).toBe(1);
    const [group] = groups;
    const made = group!.memo(() => ({ bytes: 1 }));
    expect(group!.memo(() => ({ bytes: 2 }))).toBe(made);
  });
});

describe('where a watch starts', () => {
  it('sem-108 at 0 with the next change, at N with N', () => {
    put('k', 'old');
    put('k', 'new');
    open(watching('k', { id: 1 }));
    open(watching('k', { id: 2, startRevision: 3 }));
    put('k', 'newer');
    env.settle();
    expect(client.eventsOf(1)).toEqual(['put k@4 = newer']);
    expect(client.eventsOf(2)).toEqual(['put k@3 = new', 'put k@4 = newer']);
  });

  it('sem-108 a change applied but not delivered yet is before a watch that starts now', () => {
    open(watching('k', { id: 1 }));
    put('k', 'before');
    open(watching('k', { id: 2 }));
    put('k', 'after');
    env.settle();
    expect(client.eventsOf(1)).toEqual(['put k@2 = before', 'put k@3 = after']);
    expect(client.eventsOf(2)).toEqual(['put k@3 = after']);
  });

  it('sem-107 no event from inside create: the caller can announce the watch first', () => {
    put('k');
    open(watching('k', { startRevision: 1 }));
    expect(client.received).toEqual([]);
    env.settle();
    expect(client.received).toHaveLength(1);
  });

  it('sem-109 in the future: nothing before, even when the store passes it while others catch up', () => {
    open(prefix('k', { startRevision: 4 }));
    for (let i = 0; i < 5; i++) put(`k${i}`);
    env.settle();
    expect(client.eventsOf(0)).toEqual(['put k2@4 = v', 'put k3@5 = v', 'put k4@6 = v']);
  });

  it('the largest start revision waits for ever and harms nobody', () => {
    open(watching('k', { startRevision: Number.MAX_SAFE_INTEGER }));
    put('k');
    env.settle();
    expect(client.received).toEqual([]);
  });

  it('sem-110 case-59 negative is refused as compacted', () => {
    expect(stream.create(watching('k', { startRevision: -1 }))).toBe('COMPACTED');
    expect(stream.size).toBe(0);
  });

  it('sem-111 case-59 below the compact revision ends; at it and above it is served', () => {
    for (let i = 0; i < 6; i++) put('k', `${i}`);
    store.compact(5);
    open(watching('k', { id: 4, startRevision: 4 }));
    open(watching('k', { id: 5, startRevision: 5 }));
    open(watching('k', { id: 6, startRevision: 6 }));
    env.settle();
    expect(client.received.filter((entry) => entry.kind === 'compacted')).toEqual([
      { kind: 'compacted', id: 4, revision: 5, events: [] },
    ]);
    expect(client.eventsOf(4)).toEqual([]);
    expect(client.eventsOf(5)).toEqual(['put k@5 = 3', 'put k@6 = 4', 'put k@7 = 5']);
    expect(client.eventsOf(6)).toEqual(['put k@6 = 4', 'put k@7 = 5']);
    expect(stream.size).toBe(2);
  });

  it('sem-104 an empty range is refused, from-key is not one', () => {
    expect(stream.create(watching('b', { end: 'b' }))).toBe('EMPTY_RANGE');
    expect(stream.create(watching('b', { end: 'a' }))).toBe('EMPTY_RANGE');
    expect(stream.create(watching('b', { end: '\0' }))).toBeInstanceOf(Watch);
    expect(stream.create(watching('b', { end: 'b\0' }))).toBeInstanceOf(Watch);
  });
});

describe('ids', () => {
  it('sem-105 automatic ids count from 0 and skip those in use', () => {
    open(watching('a', { id: 1 }));
    expect(open(watching('a')).id).toBe(0);
    expect(open(watching('a')).id).toBe(2);
    expect(open(watching('a', { id: -5 })).id).toBe(-5);
    expect(open(watching('a', { id: 2n ** 62n })).id).toBe(2n ** 62n);
  });

  it('sem-105 an id in use is refused, on its own stream alone', () => {
    open(watching('a', { id: 7 }));
    expect(stream.create(watching('b', { id: 7 }))).toBe('DUPLICATE_ID');
    expect(hub.openStream(new Recorder()).create(watching('b', { id: 7 }))).toBeInstanceOf(Watch);
  });

  it('case-60 sem-113 id 0 can be cancelled and its number used again; unknown ids are reported', () => {
    open(watching('a'));
    expect(stream.cancel(0)).toBe(true);
    expect(stream.cancel(0)).toBe(false);
    expect(stream.cancel(99)).toBe(false);
    put('a');
    env.settle();
    expect(client.received).toEqual([]);
    expect(open(watching('a')).id).toBe(1);
    expect(open(watching('a', { id: 5 })).id).toBe(5);
  });

  it('a watch cancelled between the change and its delivery gets nothing', () => {
    open(watching('a', { id: 1 }));
    open(watching('a', { id: 2 }));
    put('a');
    stream.cancel(1);
    env.settle();
    expect(client.received.map((entry) => entry.id)).toEqual([2]);
  });
});

describe('previous records', () => {
  it('sem-120 sem-121 updates and deletes have one, creations none', () => {
    open(watching('k', { withPrevious: true }));
    put('k', 'one');
    put('k', 'two');
    apply({ delete: 'k' });
    put('k', 'three');
    env.settle();
    expect(client.eventsOf(0)).toEqual([
      'put k@2 = one',
      'put k@3 = two (was one@2)',
      'delete k@4 (was two@3)',
      'put k@5 = three',
    ]);
  });

  it('sem-120 of a key changed twice in one revision it is the record before that revision', () => {
    put('k', 'one');
    put('gone', 'here');
    open(prefix('k', { id: 1, withPrevious: true, startRevision: 1 }));
    open(watching('gone', { id: 2, withPrevious: true }));
    apply(
      { put: 'k', value: 'two' },
      { put: 'k', value: 'three' },
      { delete: 'gone' },
      { put: 'gone', value: 'back' },
    );
    env.settle();
    expect(client.eventsOf(1)).toEqual([
      'put k@2 = one',
      'put k@4 = two (was one@2)',
      'put k@4 = three (was one@2)',
    ]);
    expect(client.eventsOf(2)).toEqual(['delete gone@4 (was here@3)', 'put gone@4 = back']);
  });

  it('case-61 sem-120 it is missing when its revision is compacted', () => {
    put('k', 'one');
    put('k', 'two');
    put('k', 'three');
    store.compact(3);
    open(watching('k', { withPrevious: true, startRevision: 3 }));
    env.settle();
    expect(client.eventsOf(0)).toEqual(['put k@3 = two', 'put k@4 = three (was two@3)']);
  });

  it('watches with and without them do not share', () => {
    open(watching('k', { id: 1, withPrevious: true }));
    open(watching('k', { id: 2 }));
    put('k', 'one');
    put('k', 'two');
    env.settle();
    expect(client.eventsOf(1).at(-1)).toBe('put k@3 = two (was one@2)');
    expect(client.eventsOf(2).at(-1)).toBe('put k@3 = two');
  });
});

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

describe('slow consumers', () => {
  it('case-58 a full consumer is parked, others go on, and it resumes without gap or repeat', () => {
    const other = new Recorder();
    open(watching('k'), hub.openStream(other));
    open(watching('k', { id: 1 }));
    open(watching('idle', { id: 2 }));
    put('k', '0');
    env.settle();
    client.full = true;
    for (let i = 1; i < 500; i++) put('k', `${i}`);
    env.settle();
    expect(client.eventsOf(1)).toHaveLength(1);
    expect(other.eventsOf(0)).toHaveLength(500);
    expect(hub.stats()).toMatchObject({ watches: 3, slowWatches: 1 });
    client.full = false;
    stream.resume();
    put('k', '500');
    env.settle();
    expect(client.eventsOf(1)).toEqual(Array.from({ length: 501 }, (_, i) => `put k@${i + 2} = ${i}`));
    expect(hub.stats().slowWatches).toBe(0);
  });

  it('case-58 filling up again while catching up parks again, at any capacity', () => {
    start({ sliceBytes: 60 });
    open(watching('k', { id: 1 }));
    open(prefix('k', { id: 2 }));
    client.full = true;
    for (let i = 0; i < 40; i++) put('k', `${i}`);
    env.settle();
    client.full = false;
    for (let pass = 0; pass < 200 && hub.stats().slowWatches > 0; pass++) {
      client.capacity = client.received.length + 1;
      stream.resume();
      env.settle();
    }
    const expected = Array.from({ length: 40 }, (_, i) => `put k@${i + 2} = ${i}`);
    expect(client.eventsOf(1)).toEqual(expected);
    expect(client.eventsOf(2)).toEqual(expected);
  });

  it('a parked watch whose history is compacted ends when it resumes', () => {
    open(watching('k'));
    client.full = true;
    for (let i = 0; i < 10; i++) put('k', `${i}`);
    env.settle();
    store.compact(9);
    client.full = false;
    stream.resume();
    env.settle();
    expect(client.received).toEqual([{ kind: 'compacted', id: 0, revision: 9, events: [] }]);
  });

  it('a watch that was idle for long and is then parked needs only what it missed, not what it had passed', () => {
    open(watching('k'));
    for (let i = 0; i < 50; i++) put('other', `${i}`);
    env.settle();
    client.full = true;
    put('k', 'news');
    env.settle();
    store.compact(50);
    client.full = false;
    stream.resume();
    env.settle();
    expect(client.eventsOf(0)).toEqual(['put k@52 = news']);
  });

  it('a parked watch can be cancelled, and its stream closed', () => {
    open(watching('k', { id: 1 }));
    open(watching('k', { id: 2 }));
    client.full = true;
    put('k');
    env.settle();
    stream.cancel(1);
    stream.close();
    client.full = false;
    stream.resume();
    put('k');
    env.settle();
    expect(client.received).toEqual([]);
    expect(hub.stats()).toMatchObject({ streams: 0, watches: 0, slowWatches: 0 });
  });
});

describe('progress', () => {
  it('sem-123 sem-125 on request, after everything that is due, with the revision of the store', () => {
    open(watching('k'));
    put('k');
    stream.requestProgress();
    env.settle();
    expect(client.received.map((entry) => [entry.kind, entry.id, entry.revision])).toEqual([
      ['events', 0, 2],
      ['progress', null, 2],
    ]);
  });

  it('sem-124 nothing without watches, for a future watch, or while one watch is behind', () => {
    stream.requestProgress();
    env.settle();
    expect(client.received).toEqual([]);

    open(watching('k', { startRevision: 9 }));
    stream.requestProgress();
    env.settle();
    expect(client.received).toEqual([]);

    stream.cancel(0);
    open(watching('k'));
    client.full = true;
    put('k');
    env.settle();
    client.full = false;
    stream.requestProgress();
    env.settle();
    expect(client.received).toEqual([]);
  });

  it('case-60 three requests while catching up give no early bookmark (#15220)', () => {
    start({ sliceBytes: 1 });
    for (let i = 0; i < 30; i++) put('k', `${i}`);
    open(watching('k', { id: 1 }));
    open(watching('k', { id: 2, startRevision: 2 }));
    for (let i = 0; i < 3; i++) {
      stream.requestProgress();
      env.turn();
    }
    expect(client.received.filter((entry) => entry.kind === 'progress')).toEqual([]);
    env.settle();
    stream.requestProgress();
    stream.requestProgress();
    env.settle();
    expect(client.received.slice(-2).map((entry) => [entry.kind, entry.revision])).toEqual([
      ['progress', 31],
      ['progress', 31],
    ]);
  });

  it('case-60 sem-124 asked for while the caller does not read, it comes once everything was delivered', () => {
    start({ sliceBytes: 1 });
    open(watching('k', { id: 1 }));
    open(watching('other', { id: 2 }));
    client.full = true;
    for (let i = 0; i < 30; i++) put('k', `${i}`);
    env.settle();
    stream.requestProgress();
    env.settle();
    expect(client.received).toEqual([]);
    client.full = false;
    stream.resume();
    for (let i = 0; i < 5; i++) env.turn();
    expect(client.received.filter((entry) => entry.kind === 'progress')).toEqual([]);
    env.settle();
    expect(client.eventsOf(1)).toHaveLength(30);
    expect(client.received.filter((entry) => entry.kind === 'progress')).toEqual([
      { kind: 'progress', id: null, revision: 31, events: [] },
    ]);
    expect(client.received.at(-1)!.kind).toBe('progress');
    // Once is enough.
    put('k');
    env.settle();
    expect(client.received.at(-1)!.kind).toBe('events');
  });

  it('sem-122 by itself: after the interval plus up to a tenth, for idle watches that asked', () => {
    start({ progressIntervalMs: 1_000 });
    open(watching('k', { id: 1, progressNotify: true }));
    open(watching('k', { id: 2 }));
    env.advance(999);
    expect(client.received).toEqual([]);
    env.advance(102);
    expect(client.received).toEqual([{ kind: 'progress', id: 1, revision: 1, events: [] }]);
  });

  it('sem-122 sem-123 not in an interval that had events, again in the next', () => {
    start({ progressIntervalMs: 1_000 });
    open(watching('k', { progressNotify: true }));
    env.advance(500);
    put('k');
    env.advance(700);
    expect(client.received.map((entry) => entry.kind)).toEqual(['events']);
    put('other');
    env.advance(1_100);
    expect(client.received.slice(1)).toEqual([{ kind: 'progress', id: 0, revision: 3, events: [] }]);
  });

  it('sem-122 streams spread: their ticks differ', () => {
    start({ progressIntervalMs: 10_000 });
    const when = new Set<number>();
    for (let i = 0; i < 20; i++) {
      const recorder = new Recorder();
      recorder.onProgress = () => when.add(env.monotonicMs());
      open(watching('k', { progressNotify: true }), hub.openStream(recorder));
    }
    env.advance(11_000);
    expect(when.size).toBeGreaterThan(10);
  });

  it('the ticker ends with the stream', () => {
    start({ progressIntervalMs: 1_000 });
    open(watching('k', { progressNotify: true }));
    expect(env.timerCount).toBe(1);
    stream.close();
    expect(env.timerCount).toBe(0);
  });
});

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
