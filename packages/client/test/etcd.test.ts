/** The client against a real server (Debian's etcd): every call, and what happens when the server goes away. */
import { findProgram, freePorts, type ServerProcess, spawnBound, startEtcd } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  allKeys,
  between,
  type Client,
  ClientError,
  compare,
  connect,
  fromKey,
  op,
  prefix,
  toText,
  type Watch,
  type WatchBatch,
  WatchCanceledError,
} from '../src/index.ts';

const installed = findProgram('etcd') !== null;
if (!installed)
  console.warn('etcd is not installed (package etcd-server): the client is not tested against it');

async function take(watch: Watch, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of watch.events()) {
    seen.push(`${event.type} ${event.kv.name}=${event.kv.text}@${event.kv.modRevision}`);
    if (seen.length === count) return seen;
  }
  return seen;
}

async function code(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    if (error instanceof ClientError) return error.code;
    throw error;
  }
}

describe.skipIf(!installed)('against etcd', () => {
  let server: ServerProcess;
  let client: Client;

  beforeAll(async () => {
    server = await startEtcd();
    client = connect({ endpoints: `http://${server.endpoint}` });
  });
  afterAll(async () => {
    client?.close();
    await server?.stop();
  });

  test('put, get, range, count, scan, delete', async () => {
    expect((await client.kv.put('a/1', 'one')).previous).toBeNull();
    expect((await client.kv.put('a/1', 'uno', { previous: true })).previous?.text).toBe('one');
    for (const name of ['2', '3', '4', '5']) await client.kv.put(`a/${name}`, name);
    const one = await client.kv.get('a/1');
    expect(one).toMatchObject({ version: 2, lease: 0n });
    expect(one?.text).toBe('uno');
    expect(await client.kv.get('missing')).toBeNull();
    const page = await client.kv.range(prefix('a/'), { limit: 2, order: 'descend' });
    expect(page.kvs.map((kv) => kv.name)).toEqual(['a/5', 'a/4']);
    expect(page).toMatchObject({ count: 5, more: true });
    expect(await client.kv.count(between('a/2', 'a/4'))).toBe(2);
    expect(await client.kv.count(fromKey('a/3'))).toBe(3);
    const scanned: string[] = [];
    for await (const kv of client.kv.scan(prefix('a/'), { pageSize: 2 })) {
      if (scanned.length === 1) await client.kv.put('a/9', 'after the scan began');
      scanned.push(kv.name);
    }
    expect(scanned).toEqual(['a/1', 'a/2', 'a/3', 'a/4', 'a/5']);
    const gone = await client.kv.delete(prefix('a/'), { previous: true });
    expect(gone.deleted).toBe(6);
    expect(gone.previous.map((kv) => kv.name)).toEqual(['a/1', 'a/2', 'a/3', 'a/4', 'a/5', 'a/9']);
  });

  test('keys and values are any bytes', async () => {
    const key = Uint8Array.of(0xff, 0, 1);
    const value = Uint8Array.from({ length: 256 }, (_, i) => i);
    await client.kv.put(key, value);
    expect((await client.kv.get(key))?.value).toEqual(value);
    await client.kv.delete(key);
  });

  test('a transaction runs the branch its conditions choose', async () => {
    const lock = (owner: string) =>
      client.kv
        .txn()
        .if(compare.version('lock', '=', 0))
        .do(op.put('lock', owner), op.get('lock'))
        .else(op.get('lock'), op.txn(client.kv.txn().do(op.delete('nothing'))))
        .commit();
    const first = await lock('me');
    expect(first.succeeded).toBe(true);
    expect(first.responses.map((r) => r.kind)).toEqual(['put', 'range']);
    const second = await lock('you');
    expect(second.succeeded).toBe(false);
    const [held, inner] = second.responses;
    expect(held?.kind === 'range' && held.kvs[0]?.text).toBe('me');
    expect(inner?.kind === 'txn' && inner.responses[0]?.kind).toBe('delete');
    await client.kv.delete('lock');
  });

  test('err-ErrGRPCCompacted err-ErrGRPCFutureRev err-ErrGRPCEmptyKey err-ErrGRPCDuplicateKey: typed by their text', async () => {
    const { header } = await client.kv.put('c', '1');
    await client.kv.put('c', '2');
    await client.kv.compact(header.revision + 1, { physical: true });
    expect(await code(client.kv.get('c', { revision: header.revision }))).toBe('COMPACTED');
    expect(await code(client.kv.compact(header.revision))).toBe('COMPACTED');
    expect(await code(client.kv.get('c', { revision: 10_000_000 }))).toBe('FUTURE_REVISION');
    expect(await code(client.kv.put('', 'x'))).toBe('EMPTY_KEY');
    expect(await code(client.kv.txn().do(op.put('k', '1'), op.put('k', '2')).commit())).toBe('DUPLICATE_KEY');
    expect(await code(client.kv.put('k', 'v', { lease: 12345n }))).toBe('LEASE_NOT_FOUND');
    expect(await code(client.kv.put('big', new Uint8Array(1_600_000)))).toBe('REQUEST_TOO_LARGE');
  });

  test('a watch sees what comes, with filters, previous values and progress', async () => {
    await client.kv.put('w/a', '0');
    const all = client.watch(prefix('w/'), { previous: true });
    const deletes = client.watch(prefix('w/'), { without: 'puts' });
    const { revision } = await all.created;
    await deletes.created;
    await client.kv.put('w/a', '1');
    await client.kv.delete('w/a');
    expect(await take(all, 2)).toEqual([`put w/a=1@${revision + 1}`, `delete w/a=@${revision + 2}`]);
    expect(await take(deletes, 1)).toEqual([`delete w/a=@${revision + 2}`]);

    const watch = client.watch('w/b', { startRevision: revision });
    await watch.created;
    client.requestWatchProgress();
    const batches = watch[Symbol.asyncIterator]();
    const progress = (await batches.next()).value as WatchBatch;
    expect(progress.events).toEqual([]);
    expect(progress.header.revision).toBe(revision + 2);
    watch.cancel();
    expect((await batches.next()).done).toBe(true);
  });

  test('progress that is asked for before there is a stream is told when there is one', async () => {
    await using fresh = connect(server.endpoint);
    const watch = fresh.watch('w/nothing');
    fresh.requestWatchProgress();
    const { value } = await watch[Symbol.asyncIterator]().next();
    expect((value as WatchBatch).events).toEqual([]);
    expect((value as WatchBatch).header.revision).toBe((await watch.created).revision);
  });

  test('sem-111 a watch from a compacted revision ends with the compact revision', async () => {
    const { header } = await client.kv.put('x', '1');
    const { header: later } = await client.kv.put('x', '2');
    await client.kv.compact(later.revision);
    const watch = client.watch('x', { startRevision: header.revision });
    const failure = await take(watch, 1).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WatchCanceledError);
    expect((failure as WatchCanceledError).compactRevision).toBe(later.revision);
  });

  test('a watch on an empty range is refused', async () => {
    expect(await code(take(client.watch(between('b', 'a')), 1))).toBe('WATCHER_RANGE_EMPTY');
  });

  test('sem-118 a revision in fragments arrives as one batch', async () => {
    const value = 'x'.repeat(300_000);
    const watch = client.watch(prefix('f/'), { fragment: true, previous: true });
    await watch.created;
    // Each put stays under the request limit; the one deletion of all is several fragments of previous values.
    for (let i = 0; i < 20; i++) await client.kv.put(`f/${i}`, value);
    await client.kv.delete(prefix('f/'));
    let batch: WatchBatch | undefined;
    for await (batch of watch) if (batch.events[0]?.type === 'delete') break;
    expect(batch?.events).toHaveLength(20);
    expect(batch?.events.every((event) => event.previous?.value.length === value.length)).toBe(true);
  });

  test('a consumer that does not read is parked and misses nothing', async () => {
    const watch = client.watch(prefix('p/'));
    const { revision } = await watch.created;
    const puts = 10_500;
    // Transactions of 100 puts: 105 batches, more events than the buffer holds.
    for (let i = 0; i < puts / 100; i++)
      await client.kv
        .txn()
        .do(...Array.from({ length: 100 }, (_, j) => op.put(`p/${j}`, `${i}`)))
        .commit();
    // Seen by another watch: so the server has sent everything to the first one, too.
    await take(client.watch(prefix('p/'), { startRevision: revision + puts / 100 }), 1);
    await client.kv.put('p/last', '');
    const revisions: number[] = [];
    for await (const batch of watch) {
      revisions.push(...batch.events.map((event) => event.kv.modRevision));
      if (batch.events.at(-1)?.kv.name === 'p/last') break;
    }
    expect(revisions).toHaveLength(puts + 1);
    expect(new Set(revisions).size).toBe(puts / 100 + 1);
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
  });

  test('leases: grant, attach, time to live, list, keep alive, revoke', async () => {
    const { id, ttlSec } = await client.lease.grant(60);
    expect(ttlSec).toBe(60);
    await client.kv.put('leased', 'x', { lease: id });
    const info = await client.lease.timeToLive(id, { keys: true });
    expect(info.keys.map(toText)).toEqual(['leased']);
    expect(info.grantedSec).toBe(60);
    expect(await client.lease.list()).toContain(id);
    expect((await client.lease.keepAliveOnce(id)).ttlSec).toBe(60);
    const alive = client.lease.keepAlive(id);
    for await (const renewal of alive) {
      expect(renewal.ttlSec).toBe(60);
      break;
    }
    await client.lease.revoke(id);
    expect(await client.kv.get('leased')).toBeNull();
    expect(await code(client.lease.revoke(id))).toBe('LEASE_NOT_FOUND');
    expect(await code(client.lease.keepAliveOnce(id))).toBe('LEASE_NOT_FOUND');
    expect((await client.lease.timeToLive(id)).remainingSec).toBe(-1);
    alive.stop();
  });

  test('sem-212 a lease kept alive outlives its time to live, and its loss is told', async () => {
    const { id, ttlSec } = await client.lease.grant(1);
    const alive = client.lease.keepAlive(id);
    let renewals = 0;
    for await (const _ of alive) if (++renewals * (ttlSec / 3) > ttlSec * 1.5) break;
    expect((await client.lease.timeToLive(id)).remainingSec).toBeGreaterThanOrEqual(0);
    await client.lease.revoke(id);
    expect(await code(alive.lost)).toBe('LEASE_NOT_FOUND');
  });

  test('members and maintenance', async () => {
    const { members } = await client.cluster.memberList();
    expect(members).toHaveLength(1);
    expect(members[0]?.clientUrls).toEqual([`http://${server.endpoint}`]);
    const status = await client.maintenance.status();
    expect(status.leader).toBe(members[0]?.id);
    expect(status.dbSizeBytes).toBeGreaterThan(0);
    expect((await client.maintenance.hashKv()).hash).toBe((await client.maintenance.hashKv()).hash);
    expect((await client.maintenance.hash()).hash).toBeGreaterThan(0);
    await client.maintenance.defragment();
    expect(await client.maintenance.alarms()).toEqual([]);
    expect(await client.maintenance.disarm()).toEqual([]);
  });

  test('calls end at their deadline and at their signal', async () => {
    const abort = new AbortController();
    abort.abort();
    expect(await code(client.kv.get('k', { signal: abort.signal }))).toBe('CANCELLED');
    const watching = new AbortController();
    const watch = client.watch('k', { signal: watching.signal });
    await watch.created;
    watching.abort();
    expect(await code(take(watch, 1))).toBe('CANCELLED');
  });

  test('a thousand calls at once', async () => {
    await Promise.all(Array.from({ length: 1000 }, (_, i) => client.kv.put(`many/${i}`, `${i}`)));
    expect(await client.kv.count(prefix('many/'))).toBe(1000);
  });

  test('a closed client ends everything with CLOSED', async () => {
    const other = connect(server.endpoint);
    const watch = other.watch(allKeys());
    await watch.created;
    const lease = await other.lease.grant(10);
    const alive = other.lease.keepAlive(lease.id);
    const next = take(watch, 1);
    other.close();
    expect(await code(next)).toBe('CLOSED');
    expect(await code(alive.lost)).toBe('CLOSED');
    expect(await code(other.kv.get('k'))).toBe('CLOSED');
    expect(await code(take(other.watch('k'), 1))).toBe('CLOSED');
  });
});

describe.skipIf(!installed)('when servers go away', () => {
  test('sem-207 reads and writes go to the endpoint that is there', async () => {
    const server = await startEtcd();
    const [nobody] = await freePorts(1);
    const client = connect({ endpoints: [`127.0.0.1:${nobody}`, server.endpoint] });
    try {
      for (let i = 0; i < 6; i++) await client.kv.put('k', `${i}`);
      expect((await client.kv.get('k'))?.text).toBe('5');
    } finally {
      client.close();
      await server.stop();
    }
  });

  test('sem-210 a watch resumes after a restart: no gap, nothing twice', async () => {
    const first = await startEtcd();
    const port = Number(first.endpoint.split(':')[1]);
    const client = connect(first.endpoint);
    try {
      const watch = client.watch(prefix('r/'));
      const { revision } = await watch.created;
      await client.kv.put('r/1', '');
      await client.kv.put('r/2', '');
      const batches = watch[Symbol.asyncIterator]();
      const seen: string[] = [];
      await collect(batches, seen, 1);
      // r/2 may wait in the client's queue, or be on its way, when the server dies.
      await first.end('SIGKILL');
      // Whether the client has heard of the death yet decides which of the two it is.
      const lost = await code(client.kv.put('r/lost', '', { timeoutMs: 300 }));
      expect(['CONNECTION_FAILED', 'CONNECTION_LOST']).toContain(lost);
      const second = await startEtcd({ dataDirectory: first.dataDirectory, clientPort: port });
      try {
        await client.kv.put('r/3', '');
        await collect(batches, seen, 3);
        expect(seen).toEqual([1, 2, 3].map((i) => `r/${i}@${revision + i}`));
      } finally {
        watch.cancel();
        await second.stop();
      }
    } finally {
      client.close();
      await first.stop();
    }
  });

  /** Reads on until there are `count`. (Not `for await`: leaving the loop would cancel the watch.) */
  async function collect(batches: AsyncIterator<WatchBatch>, seen: string[], count: number): Promise<void> {
    while (seen.length < count) {
      const { value } = await batches.next();
      for (const event of (value as WatchBatch).events) seen.push(`${event.kv.name}@${event.kv.modRevision}`);
    }
  }
});

describe.skipIf(!installed)('with authentication', () => {
  test('sem-208 a token that the server forgot is replaced, for calls and for watches', async () => {
    const server = await startEtcd({ flags: ['--auth-token-ttl=1'] });
    const admin = connect(server.endpoint);
    const { services } = await import('@quorate/proto');
    const auth = services['etcdserverpb.Auth'];
    try {
      await admin.call(auth.UserAdd, { name: 'root', password: 'secret' }, 'write');
      await admin.call(auth.RoleAdd, { name: 'root' }, 'write');
      await admin.call(auth.UserGrantRole, { user: 'root', role: 'root' }, 'write');
      await admin.call(auth.AuthEnable, {}, 'write');
      expect(await code(admin.kv.get('k'))).toBe('USER_EMPTY');
      const client = connect({ endpoints: server.endpoint, auth: { username: 'root', password: 'secret' } });
      const stranger = connect({ endpoints: server.endpoint, auth: { username: 'root', password: 'no' } });
      expect(await code(stranger.kv.get('k'))).toBe('AUTH_FAILED');
      stranger.close();
      await client.kv.put('k', '1');
      // A restart forgets every token; the client does not notice.
      await server.end('SIGTERM');
      const again = await startAuthenticated(server);
      try {
        await client.kv.put('k', '2');
        const watch = client.watch('k', { startRevision: 1 });
        expect(await take(watch, 2)).toEqual(['put k=1@2', 'put k=2@3']);
      } finally {
        client.close();
        await again.end('SIGKILL');
      }
    } finally {
      admin.close();
      await server.stop();
    }
  });

  /** A server with authentication refuses the probe of `startEtcd`, so this one is started without it. */
  async function startAuthenticated(
    stopped: ServerProcess,
  ): Promise<{ end(signal: NodeJS.Signals): Promise<unknown> }> {
    const url = `http://${stopped.endpoint}`;
    const [peerPort] = await freePorts(1);
    const args = [
      `--data-dir=${stopped.dataDirectory}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
    ];
    const child = spawnBound('etcd', [...args, `--listen-peer-urls=http://127.0.0.1:${peerPort}`], {
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    return {
      end(signal) {
        child.kill(signal);
        return ended;
      },
    };
  }
});
