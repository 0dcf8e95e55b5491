/** Entries in key order against a plain sorted list. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { someKey } from '../../test/some-key.ts';
import { compareBytes } from '../bytes.ts';
import { KeyArena } from './key-arena.ts';
import { SortedEntries } from './sorted-entries.ts';

/** A plan of keys to insert and of keys to look for. */
const plan = fc.tuple(
  fc.uniqueArray(someKey, { selector: (key) => Buffer.from(key).toString('latin1'), maxLength: 700 }),
  fc.array(someKey, { minLength: 1, maxLength: 30 }),
);

function check(keys: readonly Uint8Array[], wanted: readonly Uint8Array[]): void {
  const arena = new KeyArena();
  const deltas: number[] = [];
  const sorted = new SortedEntries(arena, (entry) => deltas[entry]!);
  for (const [at, key] of keys.entries()) {
    // Order is asked for now and then, so that tails of all lengths are put in their place.
    if (at % 97 === 0) sorted.scan(wanted[at % wanted.length]!, () => false);
    const entry = arena.add(key);
    deltas[entry] = 0;
    sorted.insert(entry, key);
    const change = (at % 3) - 1;
    deltas[entry] = change;
    sorted.changeDelta(entry, key, change);
    if (at % 61 === 0) expect(sorted.find(keys[at >> 1]!)).toBe(at >> 1);
  }
  const model = keys.map((key, entry) => ({ key, entry })).sort((a, b) => compareBytes(a.key, b.key));
  const from = (low: Uint8Array) => model.filter(({ key }) => compareBytes(key, low) >= 0);
  const sum = (items: typeof model) => items.reduce((total, { entry }) => total + deltas[entry]!, 0);
  for (const key of [...wanted, ...keys.slice(0, 50)]) {
    const visited: number[] = [];
    sorted.scan(key, (entry) => visited.push(entry) > 0);
    expect(visited).toEqual(from(key).map(({ entry }) => entry));
    expect(sorted.find(key)).toBe(model.find((item) => compareBytes(item.key, key) === 0)?.entry ?? -1);
    expect(sorted.deltaBetween(key, null)).toBe(sum(from(key)));
    const high = wanted[0]!;
    if (compareBytes(key, high) <= 0) {
      expect(sorted.deltaBetween(key, high)).toBe(sum(from(key)) - sum(from(high)));
    }
    const { low: lower, high: upper } = sorted.around(key);
    if (lower !== null) expect(arena.compare(lower, key)).toBeLessThanOrEqual(0);
    if (upper !== null) expect(arena.compare(upper, key)).toBeGreaterThan(0);
  }
}

test('finds, scans and sums what a sorted list does, whatever the keys have in common', () => {
  const seed = Number(process.env.MVCC_SEED ?? Date.now() % 2 ** 31);
  fc.assert(
    fc.property(plan, ([keys, wanted]) => check(keys, wanted)),
    { seed, numRuns: 60 },
  );
});

test('keys that shorten the common beginning one byte at a time, more often than it is followed', () => {
  const keys = Array.from(
    { length: 1_100 },
    (_, i) => new Uint8Array(Buffer.from(`${'a'.repeat(1_100 - i)}${i % 2 === 0 ? 'b' : 'A'}`)),
  );
  check(keys, [
    keys[7]!,
    new Uint8Array([0]),
    new Uint8Array([0xff]),
    new Uint8Array(Buffer.from('a'.repeat(150))),
  ]);
});

test('thousands of keys, each a beginning of others, with zeros where they end', () => {
  // 'k', 'k\0', 'k\0\0', ... behind a number: words of five bytes are equal but for where a key ends.
  const keys = Array.from({ length: 4_000 }, (_, i) => {
    const number = Math.imul(i, 7_919) % 4_000;
    return new Uint8Array(
      Buffer.from(`/${number % 7}/${number % 90}/k${'\0'.repeat(number % 400)}`, 'latin1'),
    );
  });
  const distinct = [...new Map(keys.map((key) => [Buffer.from(key).toString('latin1'), key])).values()];
  expect(distinct.length).toBeGreaterThan(2_000);
  check(distinct, [distinct[3]!, new Uint8Array(Buffer.from('/3/')), new Uint8Array([0xff])]);
});
