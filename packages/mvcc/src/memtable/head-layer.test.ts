/** A layer that is loaded in bulk, as a start does, against one that is built record by record. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { someKey } from '../../test/some-key.ts';
import { compareBytes } from '../bytes.ts';
import type { HeadEntry } from '../head-entry.ts';
import { HeadLayer } from './head-layer.ts';
import { hashKey } from './key-arena.ts';

interface Change {
  readonly key: Uint8Array;
  readonly liveBelow: boolean;
  readonly tombstone: boolean;
  readonly lease: number;
}

const someChange = fc.record<Change>({
  key: someKey,
  liveBelow: fc.boolean(),
  tombstone: fc.boolean(),
  lease: fc.nat(2),
});

const headOf = ({ tombstone, lease }: Change, at: number): HeadEntry => ({
  main: at + 2,
  sub: at % 3,
  createRevision: tombstone ? 0 : at + 1,
  version: tombstone ? 0 : at + 3,
  lease: tombstone ? 0n : BigInt(lease),
  tombstone,
  past: at % 5 === 0,
  depth: at % 7,
  jumpMain: at % 4,
  jumpSub: at % 2,
});

function oneByOne(layer: HeadLayer, changes: readonly Change[], from: number): void {
  for (const [at, change] of changes.entries()) {
    let entry = layer.find(change.key);
    if (entry === -1) entry = layer.addOver(change.key, change.liveBelow);
    layer.set(entry, headOf(change, from + at));
  }
}

/** Keys lie somewhere in a larger buffer, as in a record. */
function inBulk(layer: HeadLayer, changes: readonly Change[], expected: number): void {
  layer.load(expected, () => {
    for (const [at, change] of changes.entries()) {
      const source = new Uint8Array(change.key.length + 5).fill(0x2f);
      source.set(change.key, 2);
      layer.set(layer.loadEntry(source, 2, 2 + change.key.length, change.liveBelow), headOf(change, at));
    }
  });
}

function expectSame(loaded: HeadLayer, built: HeadLayer, keys: readonly Uint8Array[]): void {
  const all = (layer: HeadLayer, low: Uint8Array): unknown[] => {
    const seen: unknown[] = [];
    layer.scan(low, (entry) => {
      const { lease, ...head } = layer.head(entry)!;
      const key = Buffer.from(layer.key(entry)).toString('hex');
      seen.push(`${key} ${Object.values(head)} ${lease} ${layer.dirty(entry)}`);
      return seen.length < 20 || low.length === 0;
    });
    return seen;
  };
  const everything = new Uint8Array(0);
  expect(all(loaded, everything)).toEqual(all(built, everything));
  expect([loaded.count, loaded.bytes, loaded.dirtyCount]).toEqual([
    built.count,
    built.bytes,
    built.dirtyCount,
  ]);
  expect(loaded.deltaBetween(everything, null)).toBe(built.deltaBetween(everything, null));
  const wrong = keys.filter((key) => {
    const entry = loaded.find(key);
    return entry === -1 ? built.find(key) !== -1 : compareBytes(loaded.key(entry), key) !== 0;
  });
  expect(wrong).toEqual([]);
  for (const [at, key] of keys.entries()) {
    if (at % Math.ceil(keys.length / 40) !== 0) continue;
    expect(all(loaded, key)).toEqual(all(built, key));
    const other = keys[(at * 7) % keys.length]!;
    const [low, high] = compareBytes(key, other) <= 0 ? [key, other] : [other, key];
    expect(loaded.deltaBetween(low, high)).toBe(built.deltaBetween(low, high));
  }
  for (const lease of [0n, 1n, 2n]) {
    const keysOf = (layer: HeadLayer): string[] => {
      const found: string[] = [];
      layer.entriesOfLease(lease, (entry) => found.push(Buffer.from(layer.key(entry)).toString('hex')));
      return found.sort();
    };
    expect(keysOf(loaded)).toEqual(keysOf(built));
  }
}

function check(changes: readonly Change[], later: readonly Change[], expected: number): void {
  const built = new HeadLayer();
  oneByOne(built, changes, 0);
  const loaded = new HeadLayer();
  inBulk(loaded, changes, expected);
  const keys = [...changes, ...later].map(({ key }) => key);
  expectSame(loaded, built, keys);
  for (const layer of [built, loaded]) oneByOne(layer, later, changes.length);
  expectSame(loaded, built, keys);
}

test('a layer loaded in bulk equals one built record by record, and goes on as that one does', () => {
  const seed = Number(process.env.MVCC_SEED ?? Date.now() % 2 ** 31);
  fc.assert(
    fc.property(
      fc.array(someChange, { maxLength: 700 }),
      fc.array(someChange, { maxLength: 200 }),
      fc.nat(2_000),
      check,
    ),
    { seed, numRuns: 60 },
  );
});

const changesOf = (count: number, keyOf: (at: number) => string): Change[] =>
  Array.from({ length: count }, (_, at) => ({
    key: new Uint8Array(Buffer.from(keyOf(at), 'latin1')),
    liveBelow: at % 3 === 0,
    tombstone: at % 4 === 0,
    lease: at % 3,
  }));

/** A fixed sequence of numbers in no order. */
const mixed = (at: number): number => Math.imul(at + 1, 0x9e3779b1) >>> 0;

test.each([
  ['numbers at the end', (at: number) => `/registry/pods/pod-${String(mixed(at) % 9_000).padStart(10, '0')}`],
  [
    'two beginnings',
    (at: number) => `${at % 2 === 0 ? 'pods/namespace-' : 'leases/some/longer/'}${mixed(at) % 9_000}`,
  ],
  [
    'binary',
    (at: number) => Buffer.from([mixed(at), mixed(at) >>> 8, 0, mixed(at) >>> 16]).toString('latin1'),
  ],
  // Each a beginning of others, by zeros: digits of an ended key and of a zero byte must differ.
  ['zeros where they end', (at: number) => `/${mixed(at) % 5}/k${'\0'.repeat(mixed(at) % 700)}`],
  ['a common beginning that shortens', (at: number) => 'a'.repeat(1_100 - (mixed(at) % 1_100)) + (at % 2)],
])('thousands of records: %s', (_name, keyOf) => {
  const changes = changesOf(9_000, keyOf);
  check(changes.slice(0, 8_000), changes.slice(8_000), 100);
});

test('keys made to collide while a layer is loaded', () => {
  const colliding: string[] = [];
  for (let at = 0; colliding.length < 120; at++) {
    const key = Buffer.from(`key ${at}`);
    if ((hashKey(key, 0, key.length) & 0xfff) === 0x123) colliding.push(key.toString());
  }
  const changes = changesOf(600, (at) =>
    at % 2 === 0 ? `other ${mixed(at) % 500}` : colliding[mixed(at) % 120]!,
  );
  check(changes.slice(0, 500), changes.slice(500), 0);
});
