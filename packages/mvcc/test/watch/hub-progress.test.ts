/** Progress reports: on request and by themselves, never early. */
import { beforeEach, describe, expect, it } from 'vitest';
import { client, env, hub, open, put, start, stream } from './hub-stage.ts';
import { Recorder, watching } from './recorder.ts';

beforeEach(() => start());

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
