/** Consumers that do not read: parked at a bound, resumed without gap or repeat. */
import { beforeEach, describe, expect, it } from 'vitest';
import { client, env, hub, open, put, start, store, stream } from './hub-stage.ts';
import { prefix, Recorder, watching } from './recorder.ts';

beforeEach(() => start());

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
