/** Damaged files are refused with the page and what is wrong with it; none crashes the reader, none makes it run away. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { PutRequest } from '@quorate/proto';
import { findProgram, Random, startEtcd } from '@quorate/testing';
import { beforeAll, describe, expect, test } from 'vitest';
import { BoltError, BoltFile, bytesSource, checkFile } from '../src/index.ts';
import { readEverything, readTree, writeTree } from './support.ts';

const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);
const seed = Number(process.env.QUORATE_SEED ?? 20_261_121);

/** Pages of 512 bytes: 3, 4, ... leaves of `data`, a branch above them, then the outermost bucket. */
function sample(): Buffer {
  const data = Object.fromEntries(
    Array.from({ length: 60 }, (_, i) => [`key-${String(i).padStart(3, '0')}`, `value ${i}`.repeat(3)]),
  );
  return writeTree({ data: { ...data, 'key-999': 'long'.repeat(500) }, small: { a: '1' } }, 512);
}

function broken(change: (bytes: Buffer) => void): Buffer {
  const bytes = sample();
  change(bytes);
  return bytes;
}

function refusal(bytes: Uint8Array): string {
  try {
    readEverything(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(BoltError);
    return (error as BoltError).message;
  }
  return 'accepted';
}

/** Makes bucket `name` begin at another page. */
function repoint(bytes: Buffer, name: string, from: number, to: number): void {
  const entry = Buffer.alloc(name.length + 8);
  entry.write(name);
  entry.writeUInt32LE(from, name.length);
  const at = bytes.indexOf(entry);
  expect(at).toBeGreaterThan(0);
  bytes.writeUInt32LE(to, at + name.length);
}

/** One element a leaf, and every leaf claims all pages behind it as its own. */
function overlapping(leaves: number): Buffer {
  const names = Array.from({ length: leaves }, (_, i) => `k${String(i).padStart(4, '0')}`);
  const bytes = writeTree({ many: Object.fromEntries(names.map((name) => [name, 'v'.repeat(400)])) }, 512);
  const highWater = bytes.length / 512;
  for (let id = 3; id < 3 + leaves; id++) bytes.writeUInt32LE(highWater - id - 1, id * 512 + 12);
  return bytes;
}

const LEAF = 3 * 512;
/** The branch of `data`: its first page with the flag of a branch. */
function branchOf(bytes: Buffer): number {
  for (let at = 3 * 512; at < bytes.length; at += 512) if (bytes.readUInt16LE(at + 8) === 1) return at;
  throw new Error('the sample has no branch page');
}

describe('damaged pages', () => {
  test('the sample itself is accepted', () => {
    expect(refusal(sample())).toBe('accepted');
  });

  const cases: [string, (bytes: Buffer) => void, string | RegExp][] = [
    ['a page that says it is another', (b) => b.writeUInt32LE(9, LEAF), 'page 3: says that it is page 9'],
    [
      'a page of no kind',
      (b) => b.writeUInt16LE(0x30, LEAF + 8),
      'page 3: neither branch nor leaf (flags 48)',
    ],
    [
      'a count that lies',
      (b) => b.writeUInt16LE(60_000, LEAF + 10),
      'page 3: 60000 elements do not fit in 512 bytes',
    ],
    [
      'an overflow that lies',
      (b) => b.writeUInt32LE(2 ** 31, LEAF + 12),
      /page 3: its 2147483648 overflow pages end outside/,
    ],
    [
      'a position into the elements',
      (b) => b.writeUInt32LE(1, LEAF + 16 + 4),
      'page 3: element 0 overlaps what is before it',
    ],
    [
      'a position outside',
      (b) => b.writeUInt32LE(2 ** 32 - 1, LEAF + 16 + 4),
      'page 3: element 0 ends outside the page',
    ],
    [
      'a value length that lies',
      (b) => b.writeUInt32LE(2 ** 32 - 1, LEAF + 16 + 12),
      'page 3: element 0 ends outside the page',
    ],
    [
      'overlapping elements',
      (b) => b.writeUInt32LE(b.readUInt32LE(LEAF + 36) - 16, LEAF + 36),
      'page 3: element 1 overlaps what is before it',
    ],
    [
      'a child that cannot be',
      (b) => b.writeUInt32LE(1, branchOf(b) + 24),
      /element 0 leads to page 1, outside \[2, /,
    ],
    ['a child beyond 2^53', (b) => b.writeUInt32LE(2 ** 31, branchOf(b) + 28), /leads to page beyond 2\^53/],
    [
      'a cycle',
      (b) => b.writeUInt32LE(branchOf(b) / 512, branchOf(b) + 24 + 16),
      /its first key is below|its last key is not below/,
    ],
    [
      'a page with two parents',
      (b) => b.writeUInt32LE(3, branchOf(b) + 24 + 16),
      'page 3: its first key is below the one that leads to it',
    ],
  ];
  test.each(cases)('%s is refused', (_, change, message) => {
    expect(refusal(broken(change))).toMatch(message);
  });

  test('a bucket that contains itself is refused', () => {
    const bytes = writeTree({ outer: { inner: { v: 'x'.repeat(900) }, other: 'y'.repeat(900) } }, 512);
    const outer = new BoltFile(bytesSource(bytes)).bucket('outer')!;
    const inner = outer.bucket(Buffer.from('inner'))!;
    repoint(bytes, 'inner', inner.rootPageId, outer.rootPageId);
    expect(() => readTree(bytes)).toThrow(`page ${outer.rootPageId}: a bucket contains itself`);
  });

  test('buckets within buckets without end are refused, however small they are', () => {
    // Each one inline in the one around it: header, a page of one element, the key, and the next.
    const [levels, size] = [20_000, 49];
    const inner = Buffer.alloc(levels * size);
    for (let level = 0; level < levels; level++) {
      const at = level * size;
      const rest = inner.length - at - size;
      inner.writeUInt16LE(2, at + 24);
      inner.writeUInt16LE(1, at + 26);
      inner.writeUInt32LE(rest === 0 ? 0 : 1, at + 32);
      inner.writeUInt32LE(16, at + 36);
      inner.writeUInt32LE(1, at + 40);
      inner.writeUInt32LE(rest, at + 44);
    }
    const bytes = writeTree({ a: { b: inner.toString('latin1') } });
    bytes.writeUInt32LE(1, 3 * 4096 + 16);
    for (const walk of [() => checkFile(new BoltFile(bytesSource(bytes))), () => readTree(bytes)])
      expect(walk).toThrow(/^page 0: buckets are nested more than 1000 deep$/);
  });

  test('leaves that all reach to the end of the file are refused after one file of bytes', () => {
    const bytes = overlapping(1_000);
    let read = 0;
    const source = {
      size: bytes.length,
      read(offset: number, length: number) {
        read += length;
        return bytes.subarray(offset, offset + length);
      },
    };
    const bucket = new BoltFile(source).bucket('many')!;
    expect(() => [...bucket.entries()]).toThrow(/overlap: they are larger than the file/);
    expect(read).toBeLessThan(4 * bytes.length);
  });

  test('a page used twice and a page used by nobody are found by checkFile', () => {
    const shared = writeTree({ a: { v: 'x'.repeat(900) }, b: { v: 'x'.repeat(900) } }, 512);
    const a = new BoltFile(bytesSource(shared)).bucket('a')!.rootPageId;
    const b = new BoltFile(bytesSource(shared)).bucket('b')!.rootPageId;
    repoint(shared, 'b', b, a);
    expect(() => checkFile(new BoltFile(bytesSource(shared)))).toThrow(`page ${a}: is used twice`);
    const lost = sample();
    lost.writeUInt16LE(1, 2 * 512 + 10);
    lost.writeUInt32LE(3, 2 * 512 + 16);
    expect(() => checkFile(new BoltFile(bytesSource(lost)))).toThrow('page 3: is used twice');
  });
});

describe('meta pages', () => {
  test('either of the two is enough', () => {
    for (const page of [0, 1]) {
      const bytes = sample();
      bytes.fill(0xff, page * 512, page * 512 + 100);
      expect(refusal(bytes)).toBe('accepted');
    }
  });

  test('without both the file is none', () => {
    const bytes = sample();
    bytes.fill(0, 0, 1024);
    expect(refusal(bytes)).toMatch('not a bbolt file: neither meta page can be used (wrong magic number)');
    expect(refusal(Buffer.alloc(0))).toMatch('not a bbolt file');
    expect(refusal(Buffer.from('hello'))).toMatch('not a bbolt file');
  });

  test('a flipped bit in one is seen', () => {
    for (let bit = 0; bit < 64 * 8; bit++) {
      const bytes = sample();
      bytes[16 + (bit >> 3)]! ^= 1 << (bit & 7);
      expect(new BoltFile(bytesSource(bytes)).meta.transactionId).toBe(1);
    }
  });

  test('a file cut short is refused at once', () => {
    const bytes = sample();
    expect(refusal(bytes.subarray(0, bytes.length - 512))).toMatch('the file is too short');
  });
});

describe('mutations', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bbolt-damage-'));
  let real: Buffer | null = null;

  beforeAll(async () => {
    if (findProgram('etcd') !== null) {
      const etcd = await startEtcd();
      const client = new Client(etcd.endpoint, credentials.createInsecure());
      for (let i = 0; i < 200; i++) {
        const request = PutRequest.encode({
          key: Buffer.from(`key-${i % 50}`),
          value: Buffer.alloc(i * 5, i),
        });
        await new Promise<void>((resolve, reject) => {
          const same = (bytes: Uint8Array) => Buffer.from(bytes);
          client.makeUnaryRequest('/etcdserverpb.KV/Put', same, same, Buffer.from(request), (error) =>
            error === null ? resolve() : reject(error),
          );
        });
      }
      client.close();
      await etcd.end('SIGTERM');
      copyFileSync(join(etcd.dataDirectory, 'member/snap/db'), join(folder, 'db'));
      await etcd.stop();
      real = readFileSync(join(folder, 'db'));
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test("a real etcd's file reads whole (where etcd is installed)", () => {
    const tree = real === null ? readTree(sample()) : readTree(real);
    expect(Object.keys(tree)).toEqual(expect.arrayContaining([real === null ? 'data' : 'key']));
    if (real !== null) expect(Object.keys(tree.key as object)).toHaveLength(200);
  });

  test(`changed bytes are refused or read, never crash (seed ${seed})`, () => {
    const random = new Random(seed);
    const outcomes = { accepted: 0, refused: 0 };
    for (const [original, runs] of [
      [sample(), 1_500],
      ...(real === null ? [] : [[real, 300] as const]),
    ] as const) {
      const pages = Math.floor(original.length / 512);
      for (let run = 0; run < runs * scale; run++) {
        const bytes = Buffer.from(original);
        const changes = 1 + random.int(4);
        for (let i = 0; i < changes; i++) {
          const at = random.int(pages) * 512 + (random.int(3) === 0 ? random.int(512) : random.int(48));
          const kind = random.int(4);
          if (kind === 0) bytes[at]! ^= 1 << random.int(8);
          else if (kind === 1) bytes[at] = random.int(256);
          else if (kind === 2) bytes.writeUInt16LE(random.int(0x10000), Math.min(at, bytes.length - 2));
          else original.copy(bytes, at & ~511, random.int(pages) * 512, random.int(pages) * 512 + 512);
        }
        if (refusal(bytes) === 'accepted') outcomes.accepted++;
        else outcomes.refused++;
      }
    }
    expect(outcomes.refused).toBeGreaterThan(300);
    expect(outcomes.accepted).toBeGreaterThan(50);
  });
});
