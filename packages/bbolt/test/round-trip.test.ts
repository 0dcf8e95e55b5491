/** What is written is read back, and bbolt's own check finds nothing to object to. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '@quorate/testing';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { BoltFile, BoltWriter, bytesSource, checkFile } from '../src/index.ts';
import { MemorySink, readTree, type Tree, writeTree } from './support.ts';

const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);
const folder = mkdtempSync(join(tmpdir(), 'bbolt-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Trees are plain objects here, in which this one name means something else.
const key = fc
  .oneof(
    fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 8 }),
    fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 300 }),
  )
  .filter((name) => name !== '__proto__');
const value = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 20_000 }).map((length) => 'v'.repeat(length)) },
);
const { bucket } = fc.letrec<{ bucket: Tree }>((tie) => ({
  bucket: fc.dictionary(key, fc.oneof({ depthSize: 'small', withCrossShrink: true }, value, tie('bucket')), {
    maxKeys: 60,
    noNullPrototype: true,
  }),
}));
const file = fc.dictionary(key, bucket, { maxKeys: 6, noNullPrototype: true });
const pageBytes = fc.constantFrom(512, 1024, 4096, 16_384);

describe('round trip', () => {
  test('any tree of buckets reads back as it was written, and every page has one owner', () => {
    fc.assert(
      fc.property(file, pageBytes, (tree, bytes) => {
        const written = writeTree(tree, bytes);
        expect(readTree(written)).toEqual(tree);
        const contents = checkFile(new BoltFile(bytesSource(written)));
        expect(contents.pageCount * bytes).toBe(written.length);
        expect(contents.freePageCount).toBe(0);
      }),
      { numRuns: 50 * scale },
    );
  });

  test('seek lands where a search in the sorted keys lands', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { maxLength: 200 }),
        fc.array(key, { maxLength: 30 }),
        (keys, probes) => {
          const sorted = keys.sort((a, b) =>
            Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')),
          );
          const tree = { b: Object.fromEntries(sorted.map((name) => [name, 'x'.repeat(name.length)])) };
          const bucket = new BoltFile(bytesSource(writeTree(tree, 512))).bucket('b')!;
          for (const probe of [...probes, ...sorted.slice(0, 5)]) {
            const cursor = bucket.cursor();
            const wanted = sorted.findIndex(
              (name) => Buffer.compare(Buffer.from(name, 'latin1'), Buffer.from(probe, 'latin1')) >= 0,
            );
            const rest: string[] = [];
            const more = cursor.seek(Buffer.from(probe, 'latin1'));
            for (let go = more; go && rest.length < 3; go = cursor.next())
              rest.push(Buffer.from(cursor.key).toString('latin1'));
            expect(rest).toEqual(wanted < 0 ? [] : sorted.slice(wanted, wanted + 3));
          }
        },
      ),
      { numRuns: 40 * scale },
    );
  });

  test('a branch page of keys longer than itself still has two children', () => {
    const long = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`${i + 10}`.padEnd(9_000, 'k'), 'v']),
    );
    const written = writeTree({ long }, 512);
    expect(readTree(written)).toEqual({ long });
    checkFile(new BoltFile(bytesSource(written)));
  });

  test('get tells a missing key, a value and a bucket apart', () => {
    const { root } = new BoltFile(bytesSource(writeTree({ a: { b: 'c', d: {} } })));
    const a = root.bucket(Buffer.from('a'))!;
    expect(a.get(Buffer.from('x'))).toBeNull();
    expect(a.get(Buffer.from('b'))).toEqual(Buffer.from('c'));
    expect(() => a.get(Buffer.from('d'))).toThrow('a bucket was read as a value');
    expect(() => a.bucket(Buffer.from('b'))).toThrow('a value was read as a bucket');
  });

  test('keys out of order, empty or too long, and values outside buckets are refused', () => {
    const writer = () => {
      const fresh = new BoltWriter(new MemorySink());
      fresh.beginBucket(Buffer.from('b'));
      return fresh;
    };
    const twice = writer();
    twice.put(Buffer.from('k'), Buffer.from(''));
    expect(() => twice.put(Buffer.from('k'), Buffer.from(''))).toThrow('keys must ascend');
    expect(() => writer().put(Buffer.alloc(0), Buffer.from(''))).toThrow('a key has 1 to 32768 bytes');
    expect(() => writer().put(Buffer.alloc(32_769), Buffer.from(''))).toThrow('a key has 1 to 32768 bytes');
    expect(() => new BoltWriter(new MemorySink()).put(Buffer.from('k'), Buffer.from(''))).toThrow(
      'into a bucket',
    );
    expect(() => writer().finish()).toThrow('still open');
  });

  const etcdctl = findProgram('etcdctl');
  test.skipIf(etcdctl === null)("bbolt's own check accepts what is written (needs etcdctl)", () => {
    // `snapshot status` runs bbolt's check over every page. Its "key" bucket must hold revisions; others may hold anything.
    const revision = (main: number): string => {
      const bytes = Buffer.alloc(17);
      bytes.writeUInt32BE(main, 4);
      bytes[8] = 0x5f;
      return bytes.toString('latin1');
    };
    const many = Object.fromEntries(
      Array.from({ length: 30_000 }, (_, i) => [revision(i), 'v'.repeat(i % 90)]),
    );
    const tree = {
      empty: {},
      inline: { a: 'b' },
      key: { ...many, [revision(40_000)]: 'v'.repeat(100_000) },
      nested: { inner: { x: 'y'.repeat(5_000), innermost: { p: 'q' } }, plain: 'z' },
    };
    const path = join(folder, 'status.db');
    writeFileSync(path, writeTree(tree));
    const status = JSON.parse(
      execFileSync('etcdctl', ['snapshot', 'status', path, '-w', 'json'], { encoding: 'utf8' }),
    );
    expect(status.revision).toBe(40_000);
  });

  test('buckets nest as deep as they can be read', () => {
    const sink = new MemorySink();
    const writer = new BoltWriter(sink);
    for (let depth = 0; depth < 1_000; depth++) writer.beginBucket(Buffer.from('b'));
    expect(() => writer.beginBucket(Buffer.from('b'))).toThrow('buckets are nested more than 1000 deep');
    writer.put(Buffer.from('k'), Buffer.from('v'));
    for (let depth = 0; depth < 1_000; depth++) writer.endBucket();
    writer.finish();
    expect(checkFile(new BoltFile(bytesSource(sink.bytes)))).toMatchObject({
      bucketCount: 1_000,
      entryCount: 1,
    });
  });
});
