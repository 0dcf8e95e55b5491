/** Which events a watch gets: ranges, filters, revisions as one response, ids, previous records. */
import { Watch } from '@quorate/mvcc';
import { beforeEach, describe, expect, it } from 'vitest';
import { apply, client, env, hub, open, put, start, store, stream } from './hub-stage.ts';
import { prefix, Recorder, watching } from './recorder.ts';

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
