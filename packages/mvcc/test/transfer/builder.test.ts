/** What a builder makes of records: stores that equal one that lived through the same entries, and refusals of what no store could have had. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { memoryBackend } from '../../src/backend/memory.ts';
import { keyValueBytes, writeKeyValue } from '../../src/key-value.ts';
import { buildStore } from '../../src/transfer/store-builder.ts';
import type { ImageRecord, StoreBuilder, StoreImage } from '../../src/transfer/types.ts';
import { asked, compact, dump, open, put, remove, settled } from './stores.ts';

const seed = Number(process.env.MVCC_SEED ?? 20261121);
const directory = mkdtempSync(join(tmpdir(), 'mvcc-builder-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const afterPoll = (callback: () => void): void => void setImmediate(callback);
const builder = (): StoreBuilder => buildStore({ storage: { backend: memoryBackend() }, afterPoll });

function encoded(
  key: string,
  create: number,
  mod: number,
  version: number,
  value = 'v',
  lease = 0n,
): Uint8Array {
  const [keyBytes, valueBytes] = [Buffer.from(key, 'latin1'), Buffer.from(value)];
  const bytes = new Uint8Array(
    keyValueBytes(keyBytes.length, create, mod, version, valueBytes.length, lease),
  );
  writeKeyValue(bytes, 0, keyBytes, create, mod, version, valueBytes, lease);
  return bytes;
}

/** `5.0=a 4 2`: a put of a at 5.0, created at 4, version 2. `5.0-a`: a tombstone. */
function record(text: string): ImageRecord {
  const [, main, sub, what, key, create, version] = /^(\d+)\.(\d+)([=-])(\w+)(?: (\d+) (\d+))?$/.exec(text)!;
  const tombstone = what === '-';
  const mod = Number(main);
  const bytes = tombstone
    ? encoded(key!, 0, mod, 0, '')
    : encoded(key!, Number(create), mod, Number(version));
  return { main: mod, sub: Number(sub), tombstone, encoded: bytes };
}

const INFO = { appliedIndex: 7, appliedTerm: 2, revision: 20, compactRevision: 9 };

function refusal(records: readonly string[], info = INFO): Promise<string> {
  const build = builder();
  try {
    build.addRecords(records.map(record));
  } catch (error) {
    return Promise.resolve((error as Error).message);
  }
  return settled((done) => build.finish(info, done)).then(
    () => 'accepted',
    (error: Error) => error.message,
  );
}

describe('case-23 records that no store could have had are refused', () => {
  const CASES: { why: string; records: string[]; says: RegExp; info?: typeof INFO }[] = [
    {
      why: 'out of order',
      records: ['5.0=a 5 1', '4.0=b 4 1'],
      says: /record 4\.0 is refused: it comes after 5\.0/,
    },
    { why: 'the same revision twice', records: ['5.0=a 5 1', '5.0=b 5 1'], says: /it comes after 5\.0/ },
    { why: 'sub revisions out of order', records: ['5.1=a 5 1', '5.0=b 5 1'], says: /it comes after 5\.1/ },
    { why: 'revision 0', records: ['0.0=a 0 1'], says: /out of range/ },
    { why: 'a version left out', records: ['5.0=a 5 1', '6.0=a 5 3'], says: /does not follow version 1/ },
    { why: 'another create revision', records: ['5.0=a 5 1', '6.0=a 4 2'], says: /does not follow/ },
    { why: 'a second birth', records: ['5.0=a 5 1', '6.0=a 6 1'], says: /does not follow/ },
    {
      why: 'a life that goes on after its end',
      records: ['5.0=a 5 1', '6.0-a', '7.0=a 5 2'],
      says: /do not belong together/,
    },
    { why: 'a second death', records: ['5.0=a 5 1', '6.0-a', '7.0-a'], says: /deleted already/ },
    { why: 'version 1 that was created before', records: ['5.0=a 4 1'], says: /do not belong together/ },
    { why: 'version 0', records: ['5.0=a 5 0'], says: /do not belong together/ },
    { why: 'created in the future', records: ['5.0=a 6 2'], says: /do not belong together/ },
    { why: 'a life without its beginning above C', records: ['10.0=a 4 2'], says: /lacks the one before it/ },
    { why: 'a tombstone above C for no key', records: ['10.0-a'], says: /lacks the one before it/ },
    { why: 'records beyond the revision', records: ['21.0=a 21 1'], says: /beyond revision 20/ },
    {
      why: 'C beyond the revision',
      records: [],
      says: /beyond revision 20/,
      info: { ...INFO, compactRevision: 21 },
    },
    {
      why: 'a term that is no number',
      records: [],
      says: /out of range/,
      info: { ...INFO, appliedTerm: 0.5 },
    },
  ];
  test.each(CASES)('$why', async ({ records, says, info }) => {
    expect(await refusal(records, info)).toMatch(says);
  });

  test('what lies at or below C may begin in the middle of a life', async () => {
    expect(await refusal(['5.0=a 4 2', '9.0=b 3 7', '9.1-c', '10.0=a 4 3'])).toBe('accepted');
  });

  test('bytes that are no KeyValue of the record', () => {
    const good = encoded('key', 5, 5, 1, 'value', -1n);
    const bad = (bytes: Uint8Array, says: RegExp, tombstone = false): void => {
      expect(() => builder().addRecords([{ main: 5, sub: 0, tombstone, encoded: bytes }])).toThrow(says);
    };
    builder().addRecords([{ main: 5, sub: 0, tombstone: false, encoded: good }]);
    // Without its value or its lease it would be whole too.
    const whole = [encoded('key', 5, 5, 1, '').length, encoded('key', 5, 5, 1, 'value').length];
    for (let length = 0; length < good.length; length++) {
      if (!whole.includes(length)) bad(good.subarray(0, length), /is refused/);
    }
    bad(Buffer.concat([good, Buffer.from([0])]), /not in order/);
    bad(Buffer.concat([good, Buffer.from([0x38, 1])]), /unknown field/);
    bad(Buffer.concat([good, Buffer.from([0x0a, 0])]), /not in order/);
    bad(encoded('key', 5, 6, 1), /another revision/);
    bad(encoded('', 5, 5, 1), /no key/);
    // The same number in more bytes than it needs.
    bad(Buffer.from([0x0a, 0x81, 0x00, 0x61, 0x10, 5, 0x18, 5, 0x20, 1]), /not encoded as/);
    bad(Buffer.from([0x0a, 1, 0x61, 0x10, 5, 0x18, 5, 0x20, 1, 0x30, 0]), /not encoded as/);
    bad(Buffer.concat([Buffer.from([0x0a]), Buffer.alloc(10, 0xff)]), /cut short or too long/);
    bad(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x61]), /cut short/);
    bad(good, /a tombstone has a key/, true);
  });

  test(`any bytes at all are either refused or a KeyValue (seed ${seed})`, () => {
    const good = encoded('key', 5, 5, 1, 'value', 3n);
    const flip = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), flip), (what) => {
        const bytes = what instanceof Uint8Array ? what : good.slice();
        if (!(what instanceof Uint8Array)) for (const [at, value] of what) bytes[at] = value;
        try {
          builder().addRecords([{ main: 5, sub: 0, tombstone: false, encoded: bytes }]);
        } catch (error) {
          expect((error as { code?: string }).code).toBe('REFUSED_RECORD');
        }
      }),
      { seed, numRuns: 1_000 },
    );
  });

  test('a refused record aborts the builder and leaves nothing in the folder', async () => {
    const build = buildStore({ storage: { directory: join(directory, 'refused') }, afterPoll });
    build.addRecords([record('5.0=a 5 1')]);
    expect(() => build.addRecords([record('4.0=a 5 1')])).toThrow('refused');
    expect(() => build.addRecords([record('6.0=b 6 1')])).toThrow('the builder has ended');
    await expect(settled((done) => build.finish(INFO, done))).rejects.toThrow('the builder has ended');
    expect(readdirSync(join(directory, 'refused')).filter((name) => !name.endsWith('-lock'))).toEqual([]);
  });
});

describe('buildStore', () => {
  test('a store built from an image equals its origin, in a folder of its own', async () => {
    const from = open({ backend: memoryBackend() });
    for (let i = 0; i < 50; i++) {
      put(from, { [`key ${i % 9}`]: String(i), [`${'k'.repeat(1901)}${i % 3}`]: 'long' }, BigInt(i % 3));
      if (i % 6 === 5) remove(from, `key ${i % 9}`);
      if (i === 30) compact(from, from.revision - 3);
    }
    const transaction = from.begin(from.appliedIndex + 1, 3);
    transaction.putMeta('m', Buffer.from('row'), Buffer.from('x'));
    transaction.putMeta('t', Buffer.from('r'.repeat(3000)), Buffer.from('y'));
    transaction.commit();
    const image = (await asked<StoreImage>((done) => from.openImage(done)))!;
    expect(image.metaTables).toEqual(['m', 't']);
    const where = { directory: join(directory, 'built') };
    const build = buildStore({ storage: where, afterPoll });
    for (const table of image.metaTables) {
      image.scanMeta(table, (key, value) => {
        build.putMeta(table, key, value);
        return true;
      });
    }
    for (let records = image.readRecords(500); records.length > 0; records = image.readRecords(500)) {
      build.addRecords(records);
    }
    await settled((done) => build.finish(image, done));
    image.close();
    image.close();
    expect(() => image.readRecords(1)).toThrow('closed');
    expect(readdirSync(where.directory).filter((name) => name.includes('tmp'))).toEqual([]);
    expect(() => buildStore({ storage: where, afterPoll })).toThrow('holds a store already');
    const built = open(where);
    expect(await dump(built)).toEqual(await dump(from));
    await Promise.all([from.close(), built.close()]);
  });

  test('records that a removal under way would have taken are accepted, and the store removes them', async () => {
    const history = ['2.0=a 2 1', '3.0=a 2 2', '4.0=b 4 1', '5.0-b', '6.0=c 6 1', '9.0-c', '12.0=a 2 3'];
    const clean = ['3.0=a 2 2', '9.0-c', '12.0=a 2 3'];
    const stores = [];
    for (const records of [history, clean]) {
      const backend = memoryBackend();
      const build = buildStore({ storage: { backend }, afterPoll });
      build.addRecords(records.map(record));
      await settled((done) => build.finish(INFO, done));
      const store = open({ backend });
      await settled((done) => store.whenCompacted(9, done));
      const revisions: number[] = [];
      backend
        .openReader()
        .scan('log', { low: new Uint8Array(0), high: null }, (key) => revisions.push(key[7]!) > 0);
      expect(revisions).toEqual([3, 9, 12]);
      stores.push(store);
    }
    expect(await dump(stores[0]!)).toEqual(await dump(stores[1]!));
    await Promise.all(stores.map((store) => store.close()));
  });

  test('an empty store', async () => {
    const backend = memoryBackend();
    const build = buildStore({ storage: { backend }, afterPoll });
    await settled((done) =>
      build.finish({ appliedIndex: 5, appliedTerm: 1, revision: 1, compactRevision: -1 }, done),
    );
    const store = open({ backend });
    expect([store.revision, store.appliedIndex, store.durableIndex]).toEqual([1, 5, 5]);
    await store.close();
  });
});
