/** Snapshot files with rows that a friendly server does not write: many large ones, and damaged ones. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageRecord, StoreBuilder } from '@quorate/mvcc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeRevisionKey } from '../../src/etcd-image/schema.ts';
import { withImage } from '../../src/offline/etcd-image.ts';
import { restoreSnapshot, snapshotStatus } from '../../src/offline/index.ts';
import { type Rows, writeBolt } from './etcd-files.ts';

let folder: string;
let made = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-image-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = (value: string) => Buffer.from(value);

function image(buckets: Record<string, Rows>): string {
  const path = join(folder, `${made++}.db`);
  writeBolt(path, buckets);
  return path;
}

/** `mvccpb.KeyValue` of key `a`, with a value of so many bytes. */
function keyValue(revision: number, valueBytes: number): Uint8Array {
  const head = [0x0a, 1, 0x61, 0x10, revision, 0x18, revision, 0x20, 1];
  const length = [0x2a, (valueBytes & 0x7f) | 0x80, ((valueBytes >>> 7) & 0x7f) | 0x80, valueBytes >>> 14];
  return Buffer.concat([Buffer.from([...head, ...length]), Buffer.alloc(valueBytes, 7)]);
}

const restore = (snapshotPath: string) =>
  restoreSnapshot({
    snapshotPath,
    skipHashCheck: true,
    bumpRevision: 0,
    markCompacted: false,
    dataDirectory: join(folder, `data-${made++}`),
    walDirectory: null,
    name: 'default',
    initialCluster: [{ name: 'default', peerUrls: ['http://localhost:2380'] }],
    initialClusterToken: 't',
    peerUrls: ['http://localhost:2380'],
  });

test('large records are taken in a few mebibytes at a time, small ones by the thousand', async () => {
  const mib = 1 << 20;
  const large: Rows = Array.from({ length: 24 }, (_, i) => [
    encodeRevisionKey(i + 2, 0, false),
    keyValue(i + 2, mib),
  ]);
  const small: Rows = Array.from({ length: 2_500 }, (_, i) => [
    encodeRevisionKey(i + 100, 0, false),
    keyValue(5, 16_384),
  ]);
  const batches: { count: number; bytes: number }[] = [];
  const builder = {
    putMeta: () => {},
    addRecords: (records: readonly ImageRecord[]) => {
      batches.push({
        count: records.length,
        bytes: records.reduce((sum, { encoded }) => sum + encoded.length, 0),
      });
    },
  } as unknown as StoreBuilder;
  await withImage(image({ key: [...large, ...small] }), (from) => from.copyTo(builder));
  expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(2_524);
  for (const { count, bytes } of batches) {
    expect(count).toBeLessThanOrEqual(1_000);
    expect(bytes).toBeLessThan(6 * mib);
  }
});

describe('damaged rows are refused with the file, by status and by restore', () => {
  const at = (main: number, tombstone = false) => encodeRevisionKey(main, 0, tombstone);
  const good = [at(2), keyValue(2, 16_384)] as const;
  const cases: [string, Record<string, Rows>, { status: boolean }][] = [
    [
      'a record that ends in the length of its key',
      { key: [good, [at(3), Buffer.of(0x0a, 0x80)]] },
      { status: true },
    ],
    ['a key that is no revision', { key: [good, [text('x'), keyValue(3, 16_384)]] }, { status: true }],
    [
      'a revision beyond 2^53',
      { key: [good, [Buffer.alloc(17, 0x5f), keyValue(3, 16_384)]] },
      { status: true },
    ],
    ['a tombstone without its key', { key: [good, [at(3, true), Buffer.of(0x0a, 9)]] }, { status: true }],
    ['a record that is none', { key: [good, [at(3), Buffer.of(0xff, 0xff, 0xff)]] }, { status: false }],
    [
      'a lease that is none',
      { key: [good], lease: [[Buffer.alloc(8, 1), Buffer.of(0x08)]] },
      { status: false },
    ],
    ['an alarm that is none', { alarm: [[Buffer.of(0x08, 0x80), text('')]], key: [good] }, { status: false }],
    [
      'a compaction that is no revision',
      { key: [good], meta: [[text('finishedCompactRev'), text('x')]] },
      { status: false },
    ],
  ];
  test.each(cases)('%s', async (_, buckets, refusedBy) => {
    const path = image(buckets);
    if (refusedBy.status) await expect(snapshotStatus(path)).rejects.toMatchObject({ code: 'bad-source' });
    await expect(restore(path)).rejects.toMatchObject({
      code: 'bad-source',
      message: expect.stringContaining(path),
    });
  });
});
