/** Locks, elections and mirrors of the SDK, against etcd when it is installed, and against our own server. */
import { findProgram, type ServerProcess, startEtcd, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  type Client,
  campaign,
  connect,
  leader,
  lock,
  mirror,
  observe,
  op,
  openLeaseSession,
  prefix,
  tryLock,
} from '../src/index.ts';

const kinds = ['quorate', ...(findProgram('etcd') === null ? [] : ['etcd'])];
if (kinds.length === 1) console.warn('SKIPPED: etcd is not installed: locks are tested on our server alone');

describe.each(kinds)('on %s', (kind) => {
  let server: ServerProcess;
  let client: Client;
  beforeAll(async () => {
    server = await (kind === 'etcd' ? startEtcd() : startQuorate());
    client = connect(server.endpoint);
  }, 60_000);
  afterAll(async () => {
    client?.close();
    await server?.stop();
  });
  const session = () => openLeaseSession(client, { ttlSec: 30 });
  const waiters = (name: string, count: number) =>
    vi.waitFor(async () => expect(await client.kv.count(prefix(`${name}/`))).toBe(count), 10_000);

  test('one holder at a time, in the order of coming', async () => {
    const order: number[] = [];
    let inside = 0;
    await using first = await session();
    const held = await lock(first, 'one');
    const others = [];
    for (let index = 1; index <= 5; index++) {
      const work = async (): Promise<void> => {
        await using mine = await session();
        await using _held = await lock(mine, 'one');
        inside += 1;
        expect(inside).toBe(1);
        order.push(index);
        await Promise.resolve();
        inside -= 1;
      };
      others.push(work());
      await waiters('one', index + 1);
    }
    expect(order).toEqual([]);
    expect(await held.unlock()).toBe(true);
    await Promise.all(others);
    expect(order).toEqual([1, 2, 3, 4, 5]);
    expect(await held.unlock()).toBe(false);
  });

  test('a lock that has been held since before the last compaction is waited for', async () => {
    await using mine = await session();
    await using other = await session();
    const held = await lock(mine, 'long');
    for (let i = 0; i < 3; i++) await client.kv.put('meanwhile', `${i}`);
    const { header } = await client.kv.put('meanwhile', 'last');
    await client.kv.compact(header.revision);
    const next = lock(other, 'long');
    await waiters('long', 2);
    await held.unlock();
    expect((await next).revision).toBeGreaterThan(held.revision);
  });

  test('the same session holds the same lock; another one is told that it is taken', async () => {
    await using mine = await session();
    await using other = await session();
    const held = await lock(mine, 'again');
    expect((await lock(mine, 'again')).revision).toBe(held.revision);
    expect(await tryLock(other, 'again')).toBeNull();
    await waiters('again', 1);
    await held.unlock();
    expect(await tryLock(other, 'again')).not.toBeNull();
  });

  test('case-57 a holder whose lease is gone writes nothing more', async () => {
    const paused = await session();
    await using other = await session();
    const old = await lock(paused, 'fence');
    const next = lock(other, 'fence');
    await waiters('fence', 2);
    await client.lease.revoke(paused.leaseId);
    const held = await next;
    expect(held.revision).toBeGreaterThan(old.revision);
    const write = (place: typeof held, text: string) =>
      client.kv.txn().if(place.guard).do(op.put('fenced', text)).commit();
    expect((await write(held, 'new')).succeeded).toBe(true);
    expect((await write(old, 'old')).succeeded).toBe(false);
    expect((await client.kv.get('fenced'))?.text).toBe('new');
    paused.orphan();
  });

  test('a waiting caller can give up, and hears when its session is lost', async () => {
    await using holder = await session();
    await using _held = await lock(holder, 'wait');
    await using mine = await session();
    const aborter = new AbortController();
    const waiting = lock(mine, 'wait', { signal: aborter.signal });
    await waiters('wait', 2);
    aborter.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
    await waiters('wait', 1);
    const short = await openLeaseSession(client, { ttlSec: 2 });
    const losing = lock(short, 'wait');
    await waiters('wait', 2);
    await client.lease.revoke(short.leaseId);
    await expect(losing).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
    await vi.waitFor(() => expect(short.signal.aborted).toBe(true), 5000);
  });

  test('leaders follow each other, and observers hear all of it', async () => {
    const seen: string[] = [];
    const aborter = new AbortController();
    const observing = (async () => {
      for await (const kv of observe(client, 'elect', { signal: aborter.signal })) seen.push(kv.text);
    })().catch(() => {});
    await using one = await session();
    await using two = await session();
    const first = await campaign(one, 'elect', 'a');
    await vi.waitFor(() => expect(seen).toEqual(['a']), 5000);
    await first.proclaim('a2');
    const second = campaign(two, 'elect', 'b');
    await waiters('elect', 2);
    expect((await leader(client, 'elect'))?.text).toBe('a2');
    expect(await first.resign()).toBe(true);
    const next = await second;
    await expect(first.proclaim('late')).rejects.toMatchObject({ code: 'ELECTION_NOT_LEADER' });
    await vi.waitFor(() => expect(seen).toEqual(['a', 'a2', 'b']), 5000);
    await next.resign();
    expect(await leader(client, 'elect')).toBeNull();
    aborter.abort();
    await observing;
  });

  test('a mirror that stopped in the middle of a copy or of a revision leaves nothing out when it goes on', async () => {
    const options = { prefix: 'mid/', destinationPrefix: 'mid-copy/', maxTxnOps: 2 };
    const putFive = (value: string) =>
      client.kv
        .txn()
        .do(...['a', 'b', 'c', 'd', 'e'].map((key) => op.put(`mid/${key}`, value)))
        .commit();
    const copied = async (): Promise<string[]> =>
      (await client.kv.range(prefix('mid-copy/'))).kvs.map(({ value }) => Buffer.from(value).toString());
    /** Goes on behind `last`, until that is done or one step. @returns up to where everything is written */
    const run = async (last: number | null, until: number): Promise<number> => {
      const from = last === null ? {} : { revision: last + 1 };
      for await (const { revision } of mirror(client, client, { ...options, ...from }))
        if (revision >= until) return revision;
      throw new Error('a mirror does not end');
    };
    const first = (await putFive('1')).header.revision;
    const begun = await run(null, 0);
    expect([begun, (await copied()).length]).toEqual([0, 2]);
    const last = await run(null, first);
    expect(await copied()).toEqual(['1', '1', '1', '1', '1']);
    const second = (await putFive('2')).header.revision;
    const part = await run(last, last);
    expect(part).toBeLessThan(second);
    expect(await copied()).toEqual(['2', '2', '1', '1', '1']);
    await run(part, second);
    expect(await copied()).toEqual(['2', '2', '2', '2', '2']);
  });

  test('a mirror counts keys, as the destination has them, to what a request may hold', async () => {
    const [long, longer] = ['k'.repeat(300_000), `far/${'p'.repeat(300_000)}/`];
    const changes = ['a', 'b', 'c'].map((letter) => op.put(`far-from/${letter}${long}`, letter));
    const options = { prefix: 'far-from/', destinationPrefix: longer };
    const { header } = await client.kv
      .txn()
      .do(...changes)
      .commit();
    for (const from of [{}, { revision: header.revision }]) {
      await client.kv.delete(prefix(longer));
      for await (const { revision } of mirror(client, client, { ...options, ...from }))
        if (revision === header.revision) break;
      const { kvs } = await client.kv.range(prefix(longer));
      expect(kvs.map((kv) => kv.text)).toEqual(['a', 'b', 'c']);
    }
  });

  test('a mirror copies one revision, then what changes, and goes on where it was', async () => {
    for (let index = 0; index < 10; index++) await client.kv.put(`src/${index}`, `${index}`);
    const options = { prefix: 'src/', destinationPrefix: 'dst/', maxTxnOps: 4 };
    const equal = async () => {
      const read = async (start: string) =>
        (await client.kv.range(prefix(start))).kvs.map((kv) => [kv.name.slice(4), kv.text]);
      expect(await read('dst/')).toEqual(await read('src/'));
    };
    let last = 0;
    let copied = 0;
    for await (const step of mirror(client, client, options)) {
      expect(step.keys).toBeLessThanOrEqual(4);
      last = step.revision;
      copied += step.keys;
      if (copied === 10) break;
    }
    await equal();
    // While nobody mirrors: one transaction, and several changes of one key.
    await client.kv
      .txn()
      .do(op.put('src/a', '1'), op.delete(prefix('src/0')), op.put('src/b', '2'))
      .commit();
    for (const value of ['x', 'y', 'z']) await client.kv.put('src/c', value);
    const steps = [];
    for await (const step of mirror(client, client, { ...options, revision: last + 1 })) {
      steps.push(step.keys);
      if (steps.length === 4) break;
    }
    expect(steps).toEqual([3, 1, 1, 1]);
    await equal();
  });
});
