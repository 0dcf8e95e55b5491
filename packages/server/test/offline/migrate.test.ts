/** Which entries of an etcd's log are replayed, and what stops a migration. Against a real etcd: `etcd.test.ts`. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutRequest } from '@quorate/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeRevisionKey, encodeUint64 } from '../../src/etcd-image/schema.ts';
import { type MigrateOptions, migrateFromEtcd } from '../../src/offline/index.ts';
import { withStore } from '../../src/offline/new-folder.ts';
import { entry, LogWriter, type Rows, state, union, writeBolt } from './etcd-files.ts';

let folder: string;
let made = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-migrate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = (value: string) => Buffer.from(value);
const put = (key: string) => union(4, PutRequest.encode({ key: text(key), value: text('v') }));
const AUTH_ENABLE = 1000;

/** An etcd that has applied entry 3 of a log: the put of `a`. */
function etcd(source: {
  voters: number;
  auth?: boolean;
  scheduledCompact?: number;
  log: (log: LogWriter) => void;
}): MigrateOptions {
  const etcdDirectory = join(folder, `etcd-${made++}`);
  mkdirSync(join(etcdDirectory, 'member/snap'), { recursive: true });
  mkdirSync(join(etcdDirectory, 'member/wal'));
  const keyValue = (revision: number, version: number) =>
    Buffer.from([0x0a, 1, 0x61, 0x10, 2, 0x18, revision, 0x20, version, 0x2a, 1, 0x76]);
  const members: Rows = Array.from({ length: source.voters }, (_, i) => [
    text(`${i + 1}`),
    text(`{"id":${i + 1},"peerURLs":["http://h:${i}"]}`),
  ]);
  const scheduled: Rows =
    source.scheduledCompact === undefined
      ? []
      : [[text('scheduledCompactRev'), encodeRevisionKey(source.scheduledCompact, 0, false)]];
  writeBolt(join(etcdDirectory, 'member/snap/db'), {
    auth: source.auth === true ? [[text('authEnabled'), Buffer.from([1])]] : [],
    key: [
      [encodeRevisionKey(2, 0, false), keyValue(2, 1)],
      [encodeRevisionKey(3, 0, false), keyValue(3, 2)],
    ],
    members,
    meta: [[text('consistent_index'), encodeUint64(3)], ...scheduled],
  });
  const log = new LogWriter(join(etcdDirectory, 'member/wal'));
  log.record(2, entry(1, 1, [], 1));
  log.record(2, entry(2, 1, put('a')));
  log.record(2, entry(3, 1, put('a')));
  source.log(log);
  log.cut();
  return {
    etcdDirectory,
    etcdWalDirectory: null,
    dataDirectory: join(folder, `data-${made++}`),
    walDirectory: null,
    name: 'default',
    initialCluster: [{ name: 'default', peerUrls: ['http://localhost:2380'] }],
    initialClusterToken: 't',
    peerUrls: ['http://localhost:2380'],
  };
}

async function keysOf(options: MigrateOptions): Promise<string[]> {
  return withStore(join(options.dataDirectory, 'store'), async (store) =>
    store
      .rangeSync({ key: text('\0'), end: text('\0'), revision: 0, limit: 0 })
      .records.map(({ key, modRevision }) => `${Buffer.from(key)}@${modRevision}`),
  );
}

describe('what is replayed', () => {
  test('alone, a member has committed all that its log has', async () => {
    const options = etcd({
      voters: 1,
      log: (log) =>
        void log
          .record(2, entry(4, 2, []))
          .record(2, entry(5, 2, put('b')))
          .record(3, state(3)),
    });
    expect(await migrateFromEtcd(options)).toMatchObject({
      revision: 4,
      replayedEntries: 1,
      authEnabled: false,
    });
    expect(await keysOf(options)).toEqual(['a@3', 'b@4']);
  });

  test('among others, only what it was told is committed', async () => {
    const options = etcd({
      voters: 3,
      log: (log) =>
        void log
          .record(2, entry(4, 2, put('b')))
          .record(2, entry(5, 2, put('c')))
          .record(3, state(4)),
    });
    expect(await migrateFromEtcd(options)).toMatchObject({ revision: 4, replayedEntries: 1 });
    expect(await keysOf(options)).toEqual(['a@3', 'b@4']);
  });

  test('a log that was just cut lacks nothing', async () => {
    const options = etcd({ voters: 1, log: (log) => void log.record(3, state(3)).cut(4) });
    expect(await migrateFromEtcd(options)).toMatchObject({ revision: 3, replayedEntries: 0 });
    expect(await keysOf(options)).toEqual(['a@3']);
  });

  test('with nothing to replay authentication is no obstacle', async () => {
    const options = etcd({ voters: 1, auth: true, log: (log) => void log.record(2, entry(4, 2, [])) });
    expect(await migrateFromEtcd(options)).toMatchObject({
      revision: 3,
      replayedEntries: 0,
      authEnabled: true,
    });
  });

  test('authentication that the database has on already is not to be switched on again', async () => {
    // etcd 3.4 does not note that entry as applied, however cleanly it stops.
    const enabled = union(AUTH_ENABLE, Buffer.alloc(0));
    const options = etcd({ voters: 1, auth: true, log: (log) => void log.record(2, entry(4, 2, enabled)) });
    expect(await migrateFromEtcd(options)).toMatchObject({ replayedEntries: 0, authEnabled: true });
  });

  test('a compaction that was only planned is done', async () => {
    const options = etcd({ voters: 1, scheduledCompact: 3, log: () => {} });
    expect(await migrateFromEtcd(options)).toMatchObject({ revision: 3, compactRevision: 3 });
    await withStore(join(options.dataDirectory, 'store'), async (store) => {
      await new Promise<void>((resolve) => store.whenCompacted(3, () => resolve()));
      expect(() => store.getAt(text('a'), 2)).toThrow('compacted');
      expect(store.get(text('a'))?.version).toBe(2);
    });
  });
});

describe('what stops a migration', () => {
  const cases: [string, Parameters<typeof etcd>[0], RegExp][] = [
    [
      'a change of users that is in the log alone',
      { voters: 1, log: (log) => void log.record(2, entry(4, 2, union(AUTH_ENABLE, Buffer.alloc(0)))) },
      /entry 4 of the log, which switches authentication on, cannot be replayed: stop etcd cleanly and try again, or use "snapshot save"/,
    ],
    [
      'a write with authentication on',
      { voters: 1, auth: true, log: (log) => void log.record(2, entry(4, 2, put('b'))) },
      /entry 4 of the log was written with authentication on and cannot be replayed/,
    ],
    [
      'a commit that the log does not reach',
      { voters: 3, log: (log) => void log.record(2, entry(4, 2, [])).record(3, state(6)) },
      /entry 6 is committed, and the log ends at 4: stop etcd cleanly and try again/,
    ],
    [
      'a gap in the log',
      { voters: 1, log: (log) => void log.record(2, entry(5, 2, [])) },
      /the log lacks entry 4/,
    ],
  ];
  test.each(cases)('%s', async (_, source, message) => {
    const options = etcd(source);
    await expect(migrateFromEtcd(options)).rejects.toThrow(message);
    expect(existsSync(options.dataDirectory) ? readdirSync(options.dataDirectory) : []).toEqual([]);
  });

  test('case-25 a database that is ahead of its log', async () => {
    const options = etcd({ voters: 1, log: (log) => void log.record(2, entry(2, 2, [])) });
    await expect(migrateFromEtcd(options)).rejects.toThrow(
      'the database has applied entry 3, the log ends at 2: they do not belong together',
    );
  });
});
