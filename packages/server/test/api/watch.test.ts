/**
 * The Watch service as its callers see it: messages in, messages out. What watches mean is tested with the hub.
 */
import { Status } from '@quorate/grpc-server';
import { beforeEach, describe, expect, it } from 'vitest';
import { inWords, type WatchCaller, WatchWorld } from '../support/watch-client.ts';

let world: WatchWorld;
let caller: WatchCaller;

beforeEach(() => {
  world = new WatchWorld();
  caller = world.open();
});

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const COMPACTED = 'etcdserver: mvcc: required revision has been compacted';

describe('creating', () => {
  it('sem-107 answers created with the revision, cluster, member and term, then events', () => {
    world.store.put('k', 'past');
    caller.create('k');
    world.store.put('k', 'next');
    const [created, event] = caller.read();
    expect(created).toMatchObject({ created: true, canceled: false, watchId: 0n, events: [] });
    expect(created!.header).toEqual({ clusterId: 11n, memberId: 22n, revision: 2n, raftTerm: 3n });
    expect(event).toMatchObject({ created: false, watchId: 0n });
    expect(event!.header).toEqual({ clusterId: 11n, memberId: 22n, revision: 3n, raftTerm: 3n });
    expect(event!.events.map(inWords)).toEqual(['put k@3 = next']);
  });

  it('sem-104 an empty key is the first key there can be', () => {
    caller.create('', { rangeEnd: bytes('\0') });
    caller.create('', {});
    world.store.put('\0', 'first');
    world.store.put('zz', 'last');
    const responses = caller.read().filter((response) => response.events.length > 0);
    const seen = responses.map((response) => `${response.watchId} at ${response.header!.revision}`);
    expect(seen.sort()).toEqual(['0 at 2', '0 at 3', '1 at 2']);
  });

  it('sem-104 sem-106 an empty range is created and canceled in one message, and the stream goes on', () => {
    caller.create('b', { rangeEnd: bytes('a') });
    caller.create('b', { rangeEnd: bytes('b') });
    const refused = {
      created: true,
      canceled: true,
      watchId: -1n,
      compactRevision: 0n,
      cancelReason: 'mvcc: watcher range is empty',
    };
    expect(caller.read()).toMatchObject([refused, refused]);
    caller.create('b');
    expect(caller.read()).toMatchObject([{ created: true, canceled: false, watchId: 0n }]);
  });

  it('sem-105 an id in use is refused with its reason', () => {
    caller.create('a', { watchId: 5n });
    caller.create('b', { watchId: 5n });
    expect(caller.read()).toMatchObject([
      { watchId: 5n, created: true, canceled: false },
      {
        watchId: -1n,
        created: true,
        canceled: true,
        cancelReason: 'mvcc: duplicate watch ID provided on the WatchStream',
      },
    ]);
  });

  it('sem-110 case-59 a negative start revision is refused as compacted, err-ErrGRPCCompacted', () => {
    caller.create('a', { startRevision: -1n });
    caller.create('a', { startRevision: -(2n ** 63n) });
    const refused = {
      watchId: -1n,
      created: true,
      canceled: true,
      compactRevision: 0n,
      cancelReason: COMPACTED,
    };
    expect(caller.read()).toMatchObject([refused, refused]);
  });

  it('sem-111 case-59 a compacted start is created, then ends without reason or revision', () => {
    for (let i = 0; i < 5; i++) world.store.put('k', `${i}`);
    world.store.compact(4);
    caller.create('k', { startRevision: 3n });
    const [created, ended, ...rest] = caller.read();
    expect(created).toMatchObject({ created: true, canceled: false, watchId: 0n });
    expect(ended).toMatchObject({
      created: false,
      canceled: true,
      compactRevision: 4n,
      cancelReason: '',
      watchId: 0n,
    });
    expect(ended!.header!.revision).toBe(0n);
    expect(rest).toEqual([]);
    caller.create('k', { startRevision: 4n });
    expect(caller.readEvents()).toEqual(['put k@4 = 2', 'put k@5 = 3', 'put k@6 = 4']);
  });

  it('sem-119 sem-120 filters and previous records by the request', () => {
    world.store.put('k', 'one');
    caller.create('k', { filters: [0], prevKv: true });
    caller.create('k', { filters: [1, 99] });
    world.store.put('k', 'two');
    world.store.delete('k');
    const seen = caller
      .read()
      .flatMap((response) => response.events.map((event) => `${response.watchId}: ${inWords(event)}`));
    expect(seen).toEqual(['1: put k@3 = two', '0: delete k@4 (was two@3)']);
  });

  it('sem-050 a delete event has key and mod revision alone', () => {
    world.store.put('k', 'one', 77n);
    caller.create('k');
    world.store.delete('k');
    const [, deleted] = caller.read();
    expect(deleted!.events[0]!.kv).toMatchObject({
      modRevision: 3n,
      createRevision: 0n,
      version: 0n,
      lease: 0n,
    });
    expect(deleted!.events[0]!.kv!.value).toHaveLength(0);
    expect(deleted!.events[0]!.prevKv).toBeUndefined();
  });

  it('sem-128 without permission: refused with the full status text, asked at creation only', () => {
    const asked: string[] = [];
    world = new WatchWorld({
      permission: (call, key, rangeEnd) => {
        asked.push(`${call.peer} ${Buffer.from(key)} ${Buffer.from(rangeEnd)}`);
        return Buffer.from(key).toString() === 'secret' ? 'PERMISSION_DENIED' : null;
      },
    });
    caller = world.open();
    caller.create('secret', { rangeEnd: bytes('secrez') });
    caller.create('open');
    world.store.put('secret');
    world.store.put('open');
    const [refused, created, event, ...rest] = caller.read();
    expect(refused).toMatchObject({
      watchId: -1n,
      created: true,
      canceled: true,
      cancelReason: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
    });
    expect(created).toMatchObject({ created: true, canceled: false });
    expect(event!.events).toHaveLength(1);
    expect(rest).toEqual([]);
    expect(asked).toEqual(['127.0.0.1:1 secret secrez', '127.0.0.1:1 open ']);
  });
});

describe('other requests', () => {
  it('sem-113 cancel answers for a known id, not for an unknown one', () => {
    caller.create('k', { watchId: 3n });
    world.store.put('k');
    caller.read();
    caller.send({ cancelRequest: { watchId: 3n } });
    caller.send({ cancelRequest: { watchId: 3n } });
    caller.send({ cancelRequest: { watchId: 44n } });
    world.store.put('k');
    expect(caller.read()).toMatchObject([
      {
        watchId: 3n,
        canceled: true,
        created: false,
        cancelReason: '',
        compactRevision: 0n,
        header: { revision: 2n },
      },
    ]);
  });

  it('sem-103 what is no request is ignored', () => {
    caller.send({});
    caller.call.send(Uint8Array.of(0x22, 0));
    expect(caller.read()).toEqual([]);
    expect(caller.call.ended).toBeNull();
  });

  it('sem-124 progress on request has id -1 and the revision; nothing without watches', () => {
    caller.send({ progressRequest: {} });
    expect(caller.read()).toEqual([]);
    caller.create('k');
    world.store.put('other');
    caller.send({ progressRequest: {} });
    expect(caller.read()).toMatchObject([
      { created: true },
      { watchId: -1n, header: { revision: 2n }, events: [], created: false, canceled: false },
    ]);
  });

  it('sem-122 automatic progress has the id of the watch; the interval is 100 ms at least', () => {
    world = new WatchWorld({ limits: { watchProgressIntervalMs: 1 } });
    caller = world.open();
    caller.create('k', { watchId: 8n, progressNotify: true });
    caller.read();
    world.env.advance(99);
    expect(caller.read()).toEqual([]);
    world.env.advance(12);
    expect(caller.read()).toMatchObject([{ watchId: 8n, header: { revision: 1n }, events: [] }]);
  });

  it('garbage ends the call with INTERNAL, and nobody else', () => {
    const other = world.open();
    other.create('k');
    caller.create('k');
    caller.call.send(Uint8Array.of(0x0a, 0xff, 0xff));
    expect(caller.call.ended).toMatchObject({ status: Status.INTERNAL });
    expect(caller.call.ended!.message).toMatch(/^grpc: error unmarshalling request: /);
    world.store.put('k');
    expect(other.readEvents()).toHaveLength(1);
    expect(world.service.stats()).toMatchObject({ streams: 1, watches: 1 });
  });
});

describe('the end of a turn', () => {
  it('brings events at once where the turn closes by itself, and after the poll elsewhere', () => {
    caller.create('a');
    caller.read();
    world.turnEnd.closeWith(() => world.store.put('a', 'now'));
    expect(caller.call.take()).toHaveLength(1);
    world.store.put('a', 'later');
    expect(caller.call.take()).toHaveLength(0);
    expect(caller.readEvents()).toEqual(['put a@3 = later']);
  });
});

describe('fragments', () => {
  function threeLargeEvents(): void {
    const transaction = world.store.begin(1);
    for (const key of ['k1', 'k2', 'k3']) transaction.put(bytes(key), bytes('x'.repeat(900)), 0n);
    transaction.commit();
  }

  it('sem-118 case-60 large responses are cut when asked for, never otherwise', () => {
    world = new WatchWorld({ limits: { maxRequestBytes: 2_000 - 524_288 } });
    caller = world.open();
    caller.create('k', { rangeEnd: bytes('l'), fragment: true, watchId: 1n });
    caller.create('k', { rangeEnd: bytes('l'), watchId: 2n });
    caller.read();
    threeLargeEvents();
    const responses = caller.read();
    const one = responses.filter((response) => response.watchId === 1n);
    expect(one.map((response) => [response.fragment, response.events.length])).toEqual([
      [true, 2],
      [false, 1],
    ]);
    const two = responses.filter((response) => response.watchId === 2n);
    expect(two.map((response) => [response.fragment, response.events.length])).toEqual([[false, 3]]);
    expect(one.flatMap((response) => response.events)).toEqual(two[0]!.events);
  });
});

describe('callers that do not read', () => {
  it('case-58 the queue is bounded, requests wait, others go on, and nothing is lost', () => {
    const other = world.open();
    other.create('k');
    caller.create('k');
    caller.read();
    caller.call.stall();
    const value = 'x'.repeat(100_000);
    for (let i = 0; i < 200; i++) {
      world.store.put('k', `${i}/${value}`);
      world.env.settle();
    }
    expect(caller.call.queuedBytes).toBeGreaterThan(1_000_000);
    expect(caller.call.queuedBytes).toBeLessThan(4 * 1024 * 1024);
    expect(other.readEvents()).toHaveLength(200);
    expect(world.service.stats().slowWatches).toBe(1);

    caller.send({ progressRequest: {} });
    expect(caller.call.paused).toBe(true);
    caller.call.drain();
    expect(caller.call.paused).toBe(false);
    const revisions = caller
      .read()
      .flatMap((response) => response.events.map((event) => Number(event.kv!.modRevision)));
    expect(revisions).toEqual(Array.from({ length: 200 }, (_, i) => i + 2));
    expect(world.service.stats().slowWatches).toBe(0);
  });

  it('case-58 the number of queued messages is bounded too', () => {
    caller.call.highWaterBytes = 100;
    caller.call.stall();
    for (let i = 0; i < 20_000; i++) caller.create(`key-${i}`);
    expect(caller.call.paused).toBe(true);
    for (let i = 0; i < 10; i++) {
      for (let key = 0; key < 2_000; key++) world.store.put(`key-${key}`);
      world.env.settle();
    }
    caller.call.stall();
    const queued = world.service.stats();
    expect(queued.slowWatches).toBe(2_000);
    caller.call.drain();
    const events = caller.read().flatMap((response) => response.events);
    expect(events).toHaveLength(20_000);
  });

  it('a slow reader that is not far behind is not parked', () => {
    caller.create('k');
    caller.call.stall();
    for (let i = 0; i < 100; i++) world.store.put('k', 'x'.repeat(1_000));
    world.env.settle();
    expect(caller.call.queuedBytes).toBeGreaterThan(caller.call.highWaterBytes);
    expect(world.service.stats().slowWatches).toBe(0);
  });
});

describe('the end of a call', () => {
  it('sem-129 err-ErrGRPCWatchCanceled cancelled by the caller', () => {
    caller.create('k');
    caller.call.cancel();
    expect(caller.call.ended).toEqual({ status: Status.CANCELLED, message: 'etcdserver: watch canceled' });
    world.store.put('k');
    world.env.settle();
    expect(world.service.stats()).toMatchObject({ streams: 0, watches: 0 });
  });

  it('a caller that has ended its side goes on listening', () => {
    caller.create('k');
    caller.call.halfClose();
    world.store.put('k');
    expect(caller.readEvents()).toEqual(['put k@2 = v']);
    expect(caller.call.ended).toBeNull();
  });

  it('err-ErrGRPCStopped the member stops: open calls end, new ones are refused', () => {
    caller.create('k', { progressNotify: true });
    world.service.close();
    const stopped = { status: Status.UNAVAILABLE, message: 'etcdserver: server stopped' };
    expect(caller.call.ended).toEqual(stopped);
    expect(world.open().call.ended).toEqual(stopped);
    world.store.put('k');
    world.env.settle();
    expect(world.env.timerCount).toBe(0);
  });

  it('messages after the end are ignored', () => {
    caller.call.cancel();
    caller.create('k');
    expect(caller.read()).toEqual([]);
  });
});

describe('streams that insist on a leader', () => {
  const noLeader = { status: Status.UNAVAILABLE, message: 'etcdserver: no leader' };

  it('sem-008 err-ErrGRPCNoLeader are refused without one', () => {
    world.setLeader(0n);
    expect(world.open({ hasleader: 'true' }).call.ended).toEqual(noLeader);
    expect(world.open({ hasleader: 'false' }).call.ended).toBeNull();
  });

  it('sem-008 case-33 end after three election timeouts without one, and not before', () => {
    const insists = world.open({ hasleader: 'true' });
    insists.create('k');
    world.setLeader(0n);
    world.env.advance(2_999);
    expect(insists.call.ended).toBeNull();
    world.env.advance(2);
    expect(insists.call.ended).toEqual(noLeader);
  });

  it('sem-008 stay when a leader is found in time', () => {
    const insists = world.open({ hasleader: 'true' });
    world.setLeader(0n);
    world.env.advance(2_500);
    world.setLeader(2n);
    world.env.advance(10_000);
    expect(insists.call.ended).toBeNull();
  });

  it('sem-009 sem-126 others stay open through the loss, served from what is applied here', () => {
    caller.create('k');
    world.setLeader(0n);
    world.env.advance(60_000);
    world.store.put('k');
    expect(caller.readEvents()).toEqual(['put k@2 = v']);
  });

  it('sem-006 err-ErrGRPCInvalidClientAPIVersion a version that is no text is refused', () => {
    expect(world.open({ 'client-api-version': '\xff\xfe' }).call.ended).toEqual({
      status: Status.INVALID_ARGUMENT,
      message: 'etcdserver: invalid client api version',
    });
  });
});
