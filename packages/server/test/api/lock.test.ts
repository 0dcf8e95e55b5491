/** Locks and elections of one member, call by call; `tests/interop` has them together with etcd's own tools. */
import { type HandlerTable, Status } from '@quorate/grpc-server';
import { type Init, type MethodDescriptor, services as rpc } from '@quorate/proto';
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { TestStreamCall, TestUnaryCall } from '../support/calls.ts';
import { call } from '../support/direct-calls.ts';
import { type RunningMember, runMember } from '../support/running-member.ts';

const KV = rpc['etcdserverpb.KV'];
const { LeaseGrant, LeaseRevoke, LeaseTimeToLive, LeaseLeases } = rpc['etcdserverpb.Lease'];
const { Lock, Unlock } = rpc['v3lockpb.Lock'];
const { Campaign, Proclaim, Leader, Observe, Resign } = rpc['v3electionpb.Election'];

/** One member for all tests that leave it running: names differ, and leases end with each test. */
let shared: RunningMember | null = null;
let running: RunningMember;
beforeEach(async () => {
  shared ??= await runMember({ unsafeNoFsync: true });
  running = shared;
});
afterEach(async () => {
  if (shared === null) return;
  const { leases } = await call(handlers(), LeaseLeases, {});
  for (const { ID } of leases) await revoke(ID);
});
afterAll(() => shared?.stop());

/** For tests that end the services. */
async function ownMember(): Promise<void> {
  await shared?.stop();
  running = await runMember({ unsafeNoFsync: true });
  shared = null;
  onTestFinished(() => running.stop());
}

const handlers = (): HandlerTable => running.services.handlers;
const bytes = (text: string) => Uint8Array.from(Buffer.from(text));
const text = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString();
const grant = (id: bigint, ttl = 60n) => call(handlers(), LeaseGrant, { ID: id, TTL: ttl });
const revoke = (id: bigint) => call(handlers(), LeaseRevoke, { ID: id });
const lock = (name: string, lease: bigint) => call(handlers(), Lock, { name: bytes(name), lease });
const unlock = (key: Uint8Array) => call(handlers(), Unlock, { key });
const keys = async (prefix: string) => {
  const range = { key: bytes(prefix), rangeEnd: bytes(`${prefix}\xff`) };
  return (await call(handlers(), KV.Range, range)).kvs.map(({ key }) => text(key));
};

/** A call that a test can cancel, and whose answer it can wait for. */
function start<Q, R>(method: MethodDescriptor<Q, R>, request: Init<Q>) {
  const handler = handlers().get(method.path);
  if (handler?.kind !== 'unary') throw new Error('not unary');
  const unary = new TestUnaryCall(method.path, {});
  handler.handle(method.request.encode(request), unary);
  return {
    unary,
    ended: () => unary.response !== null || unary.failure !== null,
    async response(): Promise<R> {
      await vi.waitFor(() => expect(this.ended()).toBe(true), { timeout: 5000, interval: 2 });
      if (unary.failure !== null) throw unary.failure;
      return method.response.decode(unary.response!);
    },
  };
}
const startLock = (name: string, lease: bigint) => start(Lock, { name: bytes(name), lease });

/** The key is there: the call has entered the queue. */
const entered = (key: string) =>
  vi.waitFor(async () => expect(await keys(key)).toEqual([key]), { timeout: 5000, interval: 2 });

describe('Lock', () => {
  test('a caller who has gone before the call begins leaves nothing behind', async () => {
    await grant(1n);
    const handler = handlers().get(Lock.path);
    if (handler?.kind !== 'unary') throw new Error('not unary');
    const calls = [1n, 0n].map((lease) => {
      const unary = new TestUnaryCall(Lock.path, {});
      unary.cancel();
      handler.handle(Lock.request.encode({ name: bytes('gone'), lease }), unary);
      return unary.failure?.status;
    });
    expect(calls).toEqual([Status.CANCELLED, Status.CANCELLED]);
    expect(await keys('gone')).toEqual([]);
    expect((await call(handlers(), LeaseLeases, {})).leases.map(({ ID }) => ID)).toEqual([1n]);
  });

  test('sem-199 the key is the name and the lease in hex; the header tells when it was held', async () => {
    await grant(0xabcn);
    const { key, header } = await lock('night', 0xabcn);
    expect(text(key)).toBe('night/abc');
    const { kvs } = await call(handlers(), KV.Range, { key: key });
    expect(kvs[0]).toMatchObject({
      lease: 0xabcn,
      value: new Uint8Array(0),
      createRevision: header!.revision,
    });
    expect(header?.clusterId).toBe(running.member.clusterId);
  });

  test('sem-201 the same lease gets the same key at once', async () => {
    await grant(7n);
    const first = await lock('again', 7n);
    const second = await lock('again', 7n);
    expect(second.key).toEqual(first.key);
    expect(second.header?.revision).toBe(first.header?.revision);
  });

  test('sem-200 lease 0: one of sixty seconds', async () => {
    const { key } = await lock('nobody', 0n);
    const { leases } = await call(handlers(), LeaseLeases, {});
    const id = BigInt(`0x${text(key).slice('nobody/'.length)}`);
    expect(leases.map(({ ID }) => ID)).toEqual([id]);
    expect((await call(handlers(), LeaseTimeToLive, { ID: id })).grantedTTL).toBe(60n);
  });

  test('sem-200 an unknown lease is refused with a text alone', async () => {
    await expect(lock('x', 99n)).rejects.toMatchObject({
      status: Status.UNKNOWN,
      message: 'etcdserver: requested lease not found',
    });
    expect(await keys('x/')).toEqual([]);
  });

  test('sem-199 err-concurrency.ErrSessionExpired waiting callers hold the lock in the order in which they came', async () => {
    for (const id of [1n, 2n, 3n, 4n]) await grant(id);
    const first = await lock('line', 1n);
    const calls: ReturnType<typeof startLock>[] = [];
    for (const id of [2n, 3n, 4n]) {
      calls.push(startLock('line', id));
      await entered(`line/${id}`);
    }
    // Whoever leaves the middle of the queue does not let anybody past the head.
    await revoke(3n);
    await expect(calls[1]!.response()).rejects.toMatchObject({ message: 'mutex: session is expired' });
    expect(calls.map((one) => one.ended())).toEqual([false, true, false]);
    await unlock(first.key);
    const second = await calls[0]!.response();
    expect(text(second.key)).toBe('line/2');
    expect(calls[2]!.ended()).toBe(false);
    await unlock(second.key);
    expect(text((await calls[2]!.response()).key)).toBe('line/4');
  });

  test('sem-202 a key that is not there is released already; no key at all is an error', async () => {
    const { header } = await unlock(bytes('nothing/1'));
    expect(header?.revision).toBe(BigInt(running.member.store.revision));
    await expect(unlock(new Uint8Array(0))).rejects.toMatchObject({
      status: Status.UNKNOWN,
      message: 'etcdserver: key is not provided',
    });
  });

  test('sem-203 a caller that gives up takes its key with it, and the next one moves up', async () => {
    for (const id of [1n, 2n, 3n]) await grant(id);
    const first = await lock('gone', 1n);
    const second = startLock('gone', 2n);
    await entered('gone/2');
    const third = startLock('gone', 3n);
    await entered('gone/3');
    second.unary.cancel();
    await expect(second.response()).rejects.toMatchObject({ status: Status.CANCELLED });
    expect(await keys('gone/')).toEqual(['gone/1', 'gone/3']);
    await unlock(first.key);
    expect(text((await third.response()).key)).toBe('gone/3');
  });

  test('sem-203 also a caller that gives up while its entry is being written', async () => {
    await grant(1n);
    await lock('early', 1n);
    const late = startLock('early', 0n);
    late.unary.cancel();
    await expect(late.response()).rejects.toMatchObject({ status: Status.CANCELLED });
    expect(await keys('early/')).toEqual(['early/1']);
    // The lease that nobody else knows goes as well.
    expect((await call(handlers(), LeaseLeases, {})).leases).toEqual([{ ID: 1n }]);
  });

  test('sem-201 sem-203 a second call of the same lease that gives up releases nothing that is held', async () => {
    for (const id of [1n, 2n]) await grant(id);
    await lock('twice', 1n);
    const waiting = startLock('twice', 2n);
    await entered('twice/2');
    const again = startLock('twice', 1n);
    again.unary.cancel();
    await expect(again.response()).rejects.toMatchObject({ status: Status.CANCELLED });
    // Nor does one that finds its key waiting leave it behind.
    const behind = startLock('twice', 2n);
    behind.unary.cancel();
    await expect(behind.response()).rejects.toMatchObject({ status: Status.CANCELLED });
    expect(await keys('twice/')).toEqual(['twice/1']);
    await expect(waiting.response()).rejects.toMatchObject({ message: 'mutex: session is expired' });
  });

  test('case-57 the lock is not given to a key whose lease has ended, nor to a later key of that name', async () => {
    for (const id of [1n, 2n]) await grant(id);
    const { key } = await lock('fence', 1n);
    const waiting = startLock('fence', 2n);
    await entered('fence/2');
    // In one transaction: the holder goes, and the waiting key is replaced by a younger one of the same name.
    await call(handlers(), KV.Txn, {
      success: [{ requestDeleteRange: { key: bytes('fence/2') } }, { requestDeleteRange: { key } }],
    });
    await call(handlers(), KV.Put, { key: bytes('fence/2'), value: bytes('not mine') });
    await expect(waiting.response()).rejects.toMatchObject({
      status: Status.UNKNOWN,
      message: 'mutex: session is expired',
    });
  });

  test('case-57 a holder that was paused past its lease is stopped by the create revision of its key', async () => {
    for (const id of [1n, 2n]) await grant(id);
    const held = await lock('pause', 1n);
    const [kv] = (await call(handlers(), KV.Range, { key: held.key })).kvs;
    const next = startLock('pause', 2n);
    await entered('pause/2');
    await revoke(1n);
    const holder = await next.response();
    const guardedPut = (key: Uint8Array, revision: bigint, value: string) =>
      call(handlers(), KV.Txn, {
        compare: [{ key, target: 1, result: 0, createRevision: revision }],
        success: [{ requestPut: { key: bytes('data'), value: bytes(value) } }],
      });
    const [now] = (await call(handlers(), KV.Range, { key: holder.key })).kvs;
    expect((await guardedPut(holder.key, now!.createRevision, 'second')).succeeded).toBe(true);
    expect((await guardedPut(held.key, kv!.createRevision, 'first, too late')).succeeded).toBe(false);
    // The same lease id and name again give a key of another life: the old proof does not fit it.
    await grant(1n);
    const again = startLock('pause', 1n);
    await entered('pause/1');
    expect((await guardedPut(held.key, kv!.createRevision, 'first, too late')).succeeded).toBe(false);
    again.unary.cancel();
    await expect(again.response()).rejects.toBeDefined();
    expect(text((await call(handlers(), KV.Range, { key: bytes('data') })).kvs[0]?.value)).toBe('second');
  });

  test('a member that stops tells waiting callers, and leaves their places', async () => {
    await ownMember();
    for (const id of [1n, 2n]) await grant(id);
    await lock('stop', 1n);
    const waiting = startLock('stop', 2n);
    await entered('stop/2');
    running.services.close();
    await expect(waiting.response()).rejects.toMatchObject({ status: Status.UNAVAILABLE });
    expect(running.member.store.get(bytes('stop/2'))).not.toBeNull();
  });

  test('a hundred callers hold it one at a time, each once', async () => {
    let holders = 0;
    const seen: string[] = [];
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const id = BigInt(index + 1);
        await grant(id);
        const { key } = await lock('many', id);
        holders += 1;
        expect(holders).toBe(1);
        seen.push(text(key));
        await Promise.resolve();
        holders -= 1;
        await unlock(key);
      }),
    );
    expect(new Set(seen).size).toBe(100);
    expect(await keys('many/')).toEqual([]);
  });
});

describe('Election', () => {
  const campaign = (name: string, lease: bigint, value: string) =>
    call(handlers(), Campaign, { name: bytes(name), lease, value: bytes(value) });
  const leaderOf = async (name: string) => (await call(handlers(), Leader, { name: bytes(name) })).kv;

  test('sem-204 err-concurrency.ErrElectionNotLeader the first candidate leads; the next one waits until it resigns', async () => {
    for (const id of [1n, 2n]) await grant(id);
    const { leader, header } = await campaign('e', 1n, 'one');
    expect(leader).toMatchObject({ lease: 1n, rev: header!.revision });
    expect([text(leader?.name), text(leader?.key)]).toEqual(['e', 'e/1']);
    const second = start(Campaign, { name: bytes('e'), lease: 2n, value: bytes('two') });
    await entered('e/2');
    expect(text((await leaderOf('e'))?.value)).toBe('one');
    await call(handlers(), Resign, { leader });
    const next = await second.response();
    expect(text(next.leader?.key)).toBe('e/2');
    expect(text((await leaderOf('e'))?.value)).toBe('two');
    // Whoever resigned before may do so again, and proclaims nothing.
    await call(handlers(), Resign, { leader });
    await expect(call(handlers(), Proclaim, { leader, value: bytes('late') })).rejects.toMatchObject({
      status: Status.UNKNOWN,
      message: 'election: not leader',
    });
    expect(text((await leaderOf('e'))?.value)).toBe('two');
  });

  test('sem-204 to campaign again with another value proclaims it', async () => {
    await grant(1n);
    const first = await campaign('again', 1n, 'a');
    const second = await campaign('again', 1n, 'b');
    expect(second.leader).toEqual(first.leader);
    expect(text((await leaderOf('again'))?.value)).toBe('b');
    const version = (await leaderOf('again'))?.version;
    await campaign('again', 1n, 'b');
    expect((await leaderOf('again'))?.version).toBe(version);
  });

  test('sem-204 a leader that campaigns again and gives up still leads', async () => {
    await grant(1n);
    const { leader } = await campaign('twice', 1n, 'a');
    for (const value of ['a', 'b']) {
      const again = start(Campaign, { name: bytes('twice'), lease: 1n, value: bytes(value) });
      again.unary.cancel();
      await expect(again.response()).rejects.toMatchObject({ status: Status.CANCELLED });
    }
    expect(text((await leaderOf('twice'))?.value)).toBe('a');
    await call(handlers(), Proclaim, { leader, value: bytes('c') });
  });

  test('sem-205 a leader that does not name its lease keeps it', async () => {
    await grant(1n);
    const { leader } = await campaign('lease', 1n, 'a');
    await call(handlers(), Proclaim, { leader: { ...leader!, lease: 0n }, value: bytes('b') });
    expect(await leaderOf('lease')).toMatchObject({ lease: 1n, value: bytes('b') });
    // A key that is not there is not made.
    const nobody = { ...leader!, key: bytes('lease/nobody'), rev: 0n, lease: 0n };
    await expect(call(handlers(), Proclaim, { leader: nobody, value: bytes('c') })).rejects.toMatchObject({
      status: Status.UNKNOWN,
    });
    await revoke(1n);
    await expect(leaderOf('lease')).rejects.toMatchObject({ message: 'election: no leader' });
  });

  test('sem-205 sem-206 err-v3election.ErrMissingLeaderKey err-concurrency.ErrElectionNoLeader what is missing is said', async () => {
    const missing = { status: Status.UNKNOWN, message: '"leader" field must be provided' };
    await expect(call(handlers(), Proclaim, { value: bytes('v') })).rejects.toMatchObject(missing);
    await expect(call(handlers(), Resign, {})).rejects.toMatchObject(missing);
    await expect(leaderOf('nobody')).rejects.toMatchObject({
      status: Status.UNKNOWN,
      message: 'election: no leader',
    });
    await expect(campaign('e', 5n, 'v')).rejects.toMatchObject({
      status: Status.UNKNOWN,
      message: 'etcdserver: requested lease not found',
    });
  });

  test('a candidate whose lease ends while it waits does not lead', async () => {
    for (const id of [1n, 2n]) await grant(id);
    await campaign('lost', 1n, 'one');
    const second = start(Campaign, { name: bytes('lost'), lease: 2n, value: bytes('two') });
    await entered('lost/2');
    await revoke(2n);
    await revoke(1n);
    await expect(second.response()).rejects.toMatchObject({ message: 'election: not leader' });
  });

  function observe(name: string) {
    const stream = new TestStreamCall(Observe.path, {});
    stream.open(handlers().get(Observe.path)!);
    stream.send(Observe.request.encode({ name: bytes(name) }));
    stream.halfClose();
    const told = () => stream.messages.map((message) => text(Observe.response.decode(message).kv?.value));
    return {
      stream,
      told,
      tells: (...values: string[]) =>
        vi.waitFor(() => expect(told()).toEqual(values), { timeout: 5000, interval: 2 }),
    };
  }

  test('sem-206 an observer hears the leader, what it proclaims, and the leaders after it', async () => {
    for (const id of [1n, 2n]) await grant(id);
    const observer = observe('watch');
    const { leader } = await campaign('watch', 1n, 'one');
    await observer.tells('one');
    for (const value of ['more', 'and more'])
      await call(handlers(), Proclaim, { leader, value: bytes(value) });
    await observer.tells('one', 'more', 'and more');
    const second = start(Campaign, { name: bytes('watch'), lease: 2n, value: bytes('two') });
    await entered('watch/2');
    await revoke(1n);
    await second.response();
    await observer.tells('one', 'more', 'and more', 'two');
    // A key beside the name is of no interest, nor is a candidate behind the leader.
    await call(handlers(), KV.Put, { key: bytes('watch0'), value: bytes('no') });
    await revoke(2n);
    await grant(3n);
    await campaign('watch', 3n, 'three');
    await observer.tells('one', 'more', 'and more', 'two', 'three');
    const last = Observe.response.decode(observer.stream.messages.at(-1)!);
    expect(last.header?.revision).toBe(last.kv?.modRevision);
    observer.stream.cancel();
  });

  test('an observer that does not read costs no queue, and hears in the end who leads', async () => {
    await ownMember();
    await grant(1n);
    const { leader } = await campaign('slow', 1n, 'v0');
    const observer = observe('slow');
    await observer.tells('v0');
    observer.stream.stall();
    observer.stream.highWaterBytes = 1;
    for (let index = 1; index <= 50; index++)
      await call(handlers(), Proclaim, { leader, value: bytes(`v${index}`) });
    observer.stream.drain();
    await observer.tells('v0', 'v1', 'v50');
    running.services.close();
    expect(observer.stream.ended).toMatchObject({ status: Status.UNAVAILABLE });
  });
});
