/**
 * Both ways between this server and a real etcd, as processes: random histories with leases, deletes, transactions and compactions must come
 * back with every revision. HashKV, which covers all of them, is compared at every revision that can be read.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect, op, prefix } from '@quorate/client';
import { findProgram, Random, type ServerProcess, startEtcd, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  migrateFromEtcd,
  type RestoreOptions,
  restoreSnapshot,
  snapshotStatus,
} from '../../src/offline/index.ts';
import { withStore } from '../../src/offline/new-folder.ts';

const installed = findProgram('etcd') !== null && findProgram('etcdctl') !== null;
const seed = Number(process.env.QUORATE_SEED ?? 20_261_121);
const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);

/** From source, on a busy machine, a start takes its time. */
const readyTimeoutMs = 60_000;

let folder: string;
let made = 0;
beforeAll(() => {
  process.env.QUORATE_FROM_SOURCE = '1';
  folder = mkdtempSync(join(tmpdir(), 'quorate-etcd-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const name = (what: string) => join(folder, `${what}-${made++}`);

function etcdctl(...args: string[]): string {
  return execFileSync('etcdctl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

/** A random history. */
async function fill(client: Client, random: Random, operations: number): Promise<void> {
  const key = () => `key-${random.int(40)}`;
  const leases: bigint[] = [];
  let revision = 1;
  let compacted = 1;
  for (let i = 0; i < operations; i++) {
    const value = Buffer.alloc(random.chance(0.02) ? 30_000 : random.int(200), 97 + random.int(26));
    switch (
      random.weighted({
        put: 10,
        leased: 3,
        delete: 3,
        range: 1,
        txn: 3,
        grant: 1,
        revoke: 0.5,
        compact: 0.5,
      })
    ) {
      case 'put':
        revision = (await client.kv.put(key(), value)).header.revision;
        break;
      case 'leased':
        if (leases.length === 0) break;
        revision = (await client.kv.put(key(), value, { lease: random.pick(leases) })).header.revision;
        break;
      case 'delete':
        revision = (await client.kv.delete(key())).header.revision;
        break;
      case 'range':
        revision = (await client.kv.delete(prefix(`key-${1 + random.int(3)}`))).header.revision;
        break;
      case 'txn': {
        const [first, second] = [key(), key()];
        if (first === second) break;
        const result = await client.kv.txn().do(op.put(first, value), op.delete(second)).commit();
        revision = result.header.revision;
        break;
      }
      case 'grant':
        leases.push((await client.lease.grant(1_000 + random.int(1_000))).id);
        break;
      case 'revoke': {
        const lease = leases.pop();
        if (lease !== undefined) await client.lease.revoke(lease);
        break;
      }
      case 'compact':
        if (revision - 5 <= compacted) break;
        compacted = revision - 5;
        await client.kv.compact(compacted, { physical: true });
    }
  }
}

interface History {
  readonly revision: number;
  readonly compactRevision: number;
  /** HashKV at every revision above the compact one: at that one 3.4 refuses to hash. */
  readonly hashes: ReadonlyMap<number, number>;
  /** Current keys with all their fields, and leases with their keys (which etcd tells in no order). */
  readonly state: unknown;
}

async function historyOf(client: Client): Promise<History> {
  const now = await client.maintenance.hashKv(0);
  const { compactRevision } = now;
  const { revision } = now.header;
  const hashes = new Map<number, number>();
  for (let at = Math.max(1, compactRevision + 1); at <= revision; at++)
    hashes.set(at, (await client.maintenance.hashKv(at)).hash);
  const keys = [];
  for await (const kv of client.kv.scan(prefix('key-'))) keys.push(plain(kv));
  const leases = [];
  for (const id of (await client.lease.list()).toSorted((a, b) => (a < b ? -1 : 1))) {
    const { grantedSec, keys: attached } = await client.lease.timeToLive(id, { keys: true });
    leases.push({ id, grantedSec, attached: attached.map((key) => Buffer.from(key).toString()).sort() });
  }
  return { revision, compactRevision, hashes, state: { keys, leases } };
}

function plain(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([field, item]) => [
      field,
      item instanceof Uint8Array ? Buffer.from(item).toString('latin1') : item,
    ]),
  );
}

async function withClient<T>(server: ServerProcess, work: (client: Client) => Promise<T>): Promise<T> {
  const client = connect(server.endpoint);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

const plan: Omit<RestoreOptions, 'snapshotPath' | 'dataDirectory'> = {
  walDirectory: null,
  name: 'default',
  initialCluster: [{ name: 'default', peerUrls: ['http://localhost:2380'] }],
  initialClusterToken: 'etcd-cluster',
  peerUrls: ['http://localhost:2380'],
  skipHashCheck: false,
  bumpRevision: 0,
  markCompacted: false,
};

describe.skipIf(!installed)('a way in and a way back (needs etcd and etcdctl)', () => {
  test(`case-51 etcd, migrated, and back to etcd: every revision is there (seed ${seed})`, async () => {
    const random = new Random(seed);
    const dataDirectory = name('etcd');
    mkdirSync(dataDirectory, { mode: 0o700 });

    // The database of an etcd that stopped cleanly has all of its log.
    let etcd = await startEtcd({ dataDirectory, readyTimeoutMs });
    await withClient(etcd, (client) => fill(client, random, 60 * scale));
    const saved = name('saved');
    etcdctl(`--endpoints=${etcd.endpoint}`, 'snapshot', 'save', saved);
    const atSnapshot = await withClient(etcd, historyOf);
    await etcd.end('SIGTERM');
    const database = join(dataDirectory, 'member/snap/db');
    const older = name('db');
    copyFileSync(database, older);

    // Its snapshot restores to the same history, and its status is what etcdctl says.
    const restored = name('restored');
    await restoreSnapshot({ ...plan, snapshotPath: saved, dataDirectory: restored });
    await withStore(join(restored, 'store'), async (store) => {
      for (const [revision, hash] of atSnapshot.hashes) {
        const found = await new Promise<number | undefined>((resolve) =>
          store.hashKv(revision, (_, result) => resolve(result?.hash)),
        );
        expect([revision, found]).toEqual([revision, hash]);
      }
    });
    const status = JSON.parse(etcdctl('snapshot', 'status', saved, '-w', 'json'));
    const { hash, revision, totalSize } = await snapshotStatus(saved);
    expect({ hash, revision, totalSize }).toEqual({
      hash: status.hash,
      revision: status.revision,
      totalSize: status.totalSize,
    });

    // More writes, a kill, and the older database: all of them are in the log alone.
    etcd = await startEtcd({ dataDirectory, readyTimeoutMs });
    await withClient(etcd, (client) => fill(client, random, 40 * scale));
    const before = await withClient(etcd, historyOf);
    const inUse = name('in-use');
    await expect(
      migrateFromEtcd({
        ...plan,
        etcdDirectory: dataDirectory,
        etcdWalDirectory: null,
        dataDirectory: inUse,
      }),
    ).rejects.toThrow('an etcd server uses');
    await etcd.end('SIGKILL');
    copyFileSync(older, database);
    const source = name('copy');
    cpSync(dataDirectory, source, { recursive: true });
    const migrated = name('migrated');
    const outcome = await migrateFromEtcd({
      ...plan,
      etcdDirectory: source,
      etcdWalDirectory: null,
      dataDirectory: migrated,
    });
    expect(outcome.replayedEntries).toBeGreaterThan(10);
    expect(outcome.revision).toBe(before.revision);

    const ours = await startQuorate({ dataDirectory: migrated, readyTimeoutMs });
    const back = name('back');
    try {
      const here = await withClient(ours, historyOf);
      expect(here).toEqual(before);
      etcdctl(`--endpoints=${ours.endpoint}`, 'snapshot', 'save', back);
    } finally {
      await ours.stop();
    }

    const returned = name('returned');
    etcdctl('snapshot', 'restore', back, `--data-dir=${returned}`);
    const again = await startEtcd({ dataDirectory: returned, readyTimeoutMs });
    try {
      expect(await withClient(again, historyOf)).toEqual(before);
      await withClient(again, async (client) => {
        expect((await client.kv.put('after', '1')).header.revision).toBe(before.revision + 1);
      });
    } finally {
      await again.stop();
    }
  }, 120_000);
});
