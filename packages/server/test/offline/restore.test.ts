/** Restoring from our own snapshots: what comes back, what is refused, and that failures leave nothing behind. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type Store } from '@quorate/mvcc';
import { Random } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ImageFolder } from '../../src/etcd-image/image-folder.ts';
import { encodeRevisionKey, encodeUint64 } from '../../src/etcd-image/schema.ts';
import { Lease, leaseRow } from '../../src/lease/lease.ts';
import { initialCluster } from '../../src/membership/bootstrap.ts';
import { nodeEnv } from '../../src/node/env.ts';
import {
  hashFile,
  OfflineError,
  type RestoreOptions,
  restoreSnapshot,
  snapshotStatus,
} from '../../src/offline/index.ts';
import { makeFolder } from '../../src/offline/new-folder.ts';
import { writeBolt } from './etcd-files.ts';

let folder: string;
/** Of the store below, with its trailer. */
let snapshot: string;
let store: Store;
let made = 0;

const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);
const env = nodeEnv({ log() {} });
const open = (directory: string) =>
  openStore({ storage: { directory }, monotonicMs: env.monotonicMs, afterPoll: env.afterPoll });
const text = (value: string) => Buffer.from(value);
const done = <T>(run: (callback: (error: Error | null, value?: T | null) => void) => void): Promise<T> =>
  new Promise((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value as T))));

function withTrailer(file: Uint8Array): Buffer {
  return Buffer.concat([file, createHash('sha256').update(file).digest()]);
}

/** The store's image as a file. */
async function imageOf(source: Store): Promise<Buffer> {
  const images = new ImageFolder(join(folder, `images-${made++}`), env);
  let job = { close(): void {} };
  const file = await new Promise<{
    sizeBytes: number;
    next: (max: number, done: (error: Error | null, bytes: Uint8Array) => void) => void;
  }>((resolve, reject) => {
    job = images.create(source, (error, opened) => (opened === null ? reject(error) : resolve(opened)));
  });
  const bytes = await new Promise<Uint8Array>((resolve, reject) =>
    file.next(file.sizeBytes, (error, read) => (error ? reject(error) : resolve(read))),
  );
  job.close();
  return Buffer.from(bytes);
}

function options(change: Partial<RestoreOptions> = {}): RestoreOptions {
  return {
    snapshotPath: snapshot,
    dataDirectory: join(folder, `data-${made++}`),
    walDirectory: null,
    name: 'default',
    initialCluster: [{ name: 'default', peerUrls: ['http://localhost:2380'] }],
    initialClusterToken: 'etcd-cluster',
    peerUrls: ['http://localhost:2380'],
    skipHashCheck: false,
    bumpRevision: 0,
    markCompacted: false,
    ...change,
  };
}

async function withRestored<T>(given: RestoreOptions, look: (restored: Store) => T | Promise<T>): Promise<T> {
  const restored = open(join(given.dataDirectory, 'store'));
  try {
    return await look(restored);
  } finally {
    await restored.close();
  }
}

const hashOf = (of: Store, revision: number) =>
  done<{ hash: number; compactRevision: number }>((callback) => of.hashKv(revision, callback));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-restore-'));
  store = open(join(folder, 'origin'));
  let index = 0;
  const entry = (work: (transaction: ReturnType<Store['begin']>) => void): void => {
    const transaction = store.begin(++index, 3);
    work(transaction);
    transaction.commit();
  };
  for (let i = 0; i < 200; i++) entry((t) => t.put(text(`k${i % 40}`), text(`v${i}`), i % 7 === 0 ? 9n : 0n));
  entry((t) => t.deleteRange({ key: text('k1'), end: text('k2') }));
  entry((t) => {
    t.put(text('x'), Buffer.alloc(100_000, 'x'), 0n);
    t.put(text('x'), text('again'), 0n);
    t.deleteRange({ key: text('k30'), end: null });
  });
  entry((t) => t.compact(150));
  entry((t) => {
    t.putMeta('leases', encodeUint64(9), leaseRow(new Lease(9n, 60, 20)));
    t.putMeta('alarms', Buffer.concat([encodeUint64(5), Buffer.from([0, 0, 0, 1])]), Buffer.alloc(0));
    t.putMeta('auth', text('authRevision'), encodeUint64(4));
    t.putMeta('authUsers', text('root'), text('a user'));
    t.putMeta(
      'members',
      encodeUint64(77),
      text('{"name":"old","peerUrls":["http://old:1"],"clientUrls":[],"isLearner":false}'),
    );
  });
  snapshot = join(folder, 'snapshot.db');
  writeFileSync(snapshot, withTrailer(await imageOf(store)));
});

afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('restore', () => {
  test('every key, revision, lease, alarm and user comes back; members are new', async () => {
    const given = options();
    const restored = await restoreSnapshot(given);
    // As etcd names a cluster with these flags.
    expect(restored.memberId.toString(16)).toBe('8e9e05c52164694d');
    expect(restored.clusterId.toString(16)).toBe('cdf818194e3a8c32');
    expect(restored).toMatchObject({ revision: store.revision, compactRevision: 150, authEnabled: false });
    await withRestored(given, async (found) => {
      for (let revision = 150; revision <= store.revision; revision++)
        expect(await hashOf(found, revision)).toEqual(await hashOf(store, revision));
      for (const table of ['leases', 'alarms', 'auth', 'authUsers']) {
        const rows = (of: Store) => {
          const all: string[] = [];
          of.scanMeta(
            table,
            (key, value) =>
              all.push(`${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`) > 0,
          );
          return all;
        };
        expect(rows(found)).toEqual(rows(store));
      }
      expect(found.leaseKeys(9n).map(String)).toEqual(store.leaseKeys(9n).map(String));
      const members: string[] = [];
      found.scanMeta('members', (key) => members.push(Buffer.from(key).toString('hex')) > 0);
      expect(members).toEqual(['8e9e05c52164694d']);
      expect(found.appliedIndex).toBe(1);
    });
  });

  test('several members from one snapshot have equal stores, and differ in who they are', async () => {
    const initialMembers = ['a', 'b', 'c'].map((name, i) => ({
      name,
      peerUrls: [`http://127.0.0.1:${2380 + i}`],
    }));
    const members = [];
    for (const { name, peerUrls } of initialMembers) {
      const given = options({ name, peerUrls, initialCluster: initialMembers });
      const restored = await restoreSnapshot(given);
      const hash = await withRestored(given, (found) => done<number>((callback) => found.hash(callback)));
      members.push({ ...restored, hash });
    }
    expect(new Set(members.map(({ clusterId }) => clusterId)).size).toBe(1);
    expect(new Set(members.map(({ hash }) => hash)).size).toBe(1);
    expect(new Set(members.map(({ memberId }) => memberId)).size).toBe(3);
  });

  test('case-51 a raised and compacted revision ends every old watch with "compacted"', async () => {
    const given = options({ bumpRevision: 1_000, markCompacted: true });
    const { revision, compactRevision } = await restoreSnapshot(given);
    expect(revision).toBe(store.revision + 1_000);
    expect(compactRevision).toBe(revision);
    await withRestored(given, (found) => {
      for (const from of [1, 150, store.revision, store.revision + 1, revision - 1])
        expect(() => found.readEvents(from, 1024)).toThrow('compacted');
      expect(found.readEvents(revision, 1024)).toEqual({ batches: [], next: revision + 1 });
      const range = (of: Store) =>
        of
          .rangeSync({ key: text('\0'), end: text('\0'), revision: 0, limit: 0 })
          .records.map(({ encoded }) => Buffer.from(encoded).toString('hex'));
      expect(range(found)).toEqual(range(store));
      const transaction = found.begin(found.appliedIndex + 1, 2);
      transaction.put(text('new'), text('1'), 0n);
      expect(transaction.commit()?.revision).toBe(revision + 1);
    });
  });

  test('until it is whole the folder says so, and then no more', async () => {
    const { dataDirectory } = options();
    const { initialCluster: initialMembers } = options();
    await makeFolder({ dataDirectory, walDirectory: null }, initialCluster('default', initialMembers, 't'), {
      sizeBytes: 0,
      fill() {
        expect(readdirSync(dataDirectory)).toContain('restoring');
        return { appliedIndex: 1, appliedTerm: 1, revision: 1, compactRevision: -1 };
      },
      async continue() {
        expect(readdirSync(dataDirectory)).toContain('restoring');
        return { index: 1, term: 1 };
      },
    });
    expect(readdirSync(dataDirectory).sort()).toEqual(['lock', 'store', 'wal']);
  });

  test('one of the two alone is refused, as by etcdutl', async () => {
    const message = '--mark-compacted required if --revision-bump > 0';
    await expect(restoreSnapshot(options({ bumpRevision: 5 }))).rejects.toThrow(message);
    await expect(restoreSnapshot(options({ markCompacted: true }))).rejects.toThrow(message);
  });

  test('a folder that holds something is refused, an empty one is taken', async () => {
    const given = options();
    mkdirSync(given.dataDirectory);
    writeFileSync(join(given.dataDirectory, 'precious'), '1');
    await expect(restoreSnapshot(given)).rejects.toThrow(
      `data-dir "${given.dataDirectory}" not empty or could not be read`,
    );
    expect(readdirSync(given.dataDirectory)).toEqual(['precious']);
    rmSync(join(given.dataDirectory, 'precious'));
    await restoreSnapshot(given);
    const elsewhere = options({ walDirectory: folder });
    await expect(restoreSnapshot(elsewhere)).rejects.toThrow(`wal-dir "${folder}" exists`);
  });

  test('flags that contradict each other are refused', async () => {
    await expect(restoreSnapshot(options({ name: 'x' }))).rejects.toThrow('couldn\'t find local name "x"');
    await expect(restoreSnapshot(options({ peerUrls: ['http://localhost:1'] }))).rejects.toThrow(
      '--initial-cluster has default=http://localhost:2380 but missing from --initial-advertise-peer-urls=http://localhost:1',
    );
    await expect(restoreSnapshot(options({ peerUrls: ['ftp://localhost:1'] }))).rejects.toThrow('URL scheme');
  });
});

describe('files that are refused', () => {
  const refused = async (bytes: Uint8Array, change: Partial<RestoreOptions> = {}): Promise<string> => {
    const path = join(folder, `bad-${made++}.db`);
    writeFileSync(path, bytes);
    const given = options({ snapshotPath: path, ...change });
    const error = await restoreSnapshot(given).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(OfflineError);
    expect(existsSync(given.dataDirectory) ? readdirSync(given.dataDirectory) : []).toEqual([]);
    return (error as Error).message;
  };

  test('sem-192 without its checksum, or with a wrong one', async () => {
    const whole = readFileSync(snapshot);
    const bare = whole.subarray(0, whole.length - 32);
    expect(await refused(bare)).toBe('snapshot missing hash but --skip-hash-check=false');
    const flipped = Buffer.from(whole);
    flipped[9_000]! ^= 1;
    expect(await refused(flipped)).toMatch(/^expected sha256 \[\d+( \d+){31}\], got \[\d+( \d+){31}\]$/);
    const given = options({ snapshotPath: join(folder, 'bare.db'), skipHashCheck: true });
    writeFileSync(given.snapshotPath, bare);
    expect((await restoreSnapshot(given)).revision).toBe(store.revision);
    await expect(restoreSnapshot(options({ snapshotPath: join(folder, 'none') }))).rejects.toThrow(
      'there is no file',
    );
  });

  test('no database, and a database of something else', async () => {
    expect(await refused(withTrailer(Buffer.alloc(8192)))).toMatch('not a bbolt file');
    const path = join(folder, 'other.db');
    writeBolt(path, { fruits: [] });
    expect(await refused(withTrailer(readFileSync(path)))).toMatch('it has no bucket "key"');
  });

  const records: [string, [key: Uint8Array, value: Uint8Array][], RegExp][] = [
    ['a key that is no revision', [[text('hello'), text('x')]], /holds "68656c6c6f", which is no revision/],
    [
      'a value that is no key-value',
      [[encodeRevisionKey(2, 0, false), text('garbage')]],
      /record 2\.0 is refused/,
    ],
    [
      'a tombstone without a key',
      [[encodeRevisionKey(2, 0, true), text('x')]],
      /the tombstone at revision 2 has no key/,
    ],
    [
      'a revision beyond the safe integers',
      [[Buffer.from('7fffffffffffffff5f0000000000000000', 'hex'), text('x')]],
      /which is no revision/,
    ],
  ];
  test.each(records)('%s', async (_, rows, message) => {
    const path = join(folder, `rows-${made++}.db`);
    writeBolt(path, { key: rows });
    expect(await refused(withTrailer(readFileSync(path)))).toMatch(message);
  });

  test('a row of a raised revision is no record, and raises it', async () => {
    const path = join(folder, 'bumped.db');
    writeBolt(path, { key: [[encodeRevisionKey(500, 0, false), Buffer.alloc(0)]] });
    expect((await restoreSnapshot(options({ snapshotPath: path, skipHashCheck: true }))).revision).toBe(500);
  });

  const seed = Number(process.env.QUORATE_SEED ?? 20_261_121);
  test(`changed bytes give a store or a refusal, and no rest of either (seed ${seed})`, async () => {
    const random = new Random(seed);
    const whole = readFileSync(snapshot);
    const file = whole.subarray(0, whole.length - 32);
    let refusals = 0;
    for (let run = 0; run < 6 * scale; run++) {
      const bytes = Buffer.from(file);
      // The beginnings of pages, behind the metas: headers and elements, and some of the rows.
      const pages = bytes.length / 4096;
      for (let i = 0; i < 4; i++)
        bytes[4096 * random.between(2, pages - 1) + random.int(400)] = random.int(256);
      const path = join(folder, 'mutant.db');
      writeFileSync(path, bytes);
      const given = options({ snapshotPath: path, skipHashCheck: true });
      try {
        await restoreSnapshot(given);
      } catch (error) {
        expect(error).toBeInstanceOf(OfflineError);
        expect(existsSync(given.dataDirectory)).toBe(false);
        refusals++;
      }
      rmSync(given.dataDirectory, { recursive: true, force: true });
    }
    expect(refusals).toBeGreaterThan(0);
  });
});

describe('looking at files', () => {
  test('status and hash of a snapshot, and the hash of a folder', async () => {
    const status = await snapshotStatus(snapshot);
    const alive = store.rangeSync({ key: text('\0'), end: text('\0'), revision: 0, limit: 0 }).count;
    expect(status).toMatchObject({ revision: store.revision, totalKey: alive, version: '3.6.0' });
    expect(status.totalSize).toBe(readFileSync(snapshot).length - 32);
    const { hash, compactRevision } = await hashOf(store, 180);
    expect(await hashFile(snapshot, 180)).toEqual({ hash, compactRevision, hashRevision: 180 });
    const given = options();
    await restoreSnapshot(given);
    expect(await hashFile(given.dataDirectory, 180)).toMatchObject({ hash });
    await expect(hashFile(snapshot, 149)).rejects.toThrow('compacted');
    await expect(hashFile(folder, 0)).rejects.toThrow('is not the data folder of a member');
  });
});
