/** Where a watch starts, and which starts are refused. */
import { Watch } from '@quorate/mvcc';
import { beforeEach, describe, expect, it } from 'vitest';
import { client, env, open, put, start, store, stream } from './hub-stage.ts';
import { prefix, watching } from './recorder.ts';

beforeEach(() => start());

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
