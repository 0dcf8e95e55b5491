/**
 * Ranges as bytes against ranges as records, with thousands of keys: runs cut by leaves of the active layer and by the count index, images that come and go,
 * lists at old revisions while other things change. The model test has the same comparison with a dozen keys and crashes.
 */
import { expect, test } from 'vitest';
import { memoryBackend } from '../src/backend/memory.ts';
import type { StoreLimits } from '../src/options.ts';
import { type MvccStore, openStore } from '../src/store.ts';
import type { PageOptions } from '../src/types.ts';

const seed = Number(process.env.MVCC_SEED ?? 20261121);
const KEYS = 3_000;

/** Numbers in [0, below), the same for the same seed. */
function random(from: number): (below: number) => number {
  let state = from >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const keyOf = (i: number): Buffer => Buffer.from(`/registry/${i % 3}/${String(i).padStart(5, '0')}`);

class World {
  readonly turns: (() => void)[] = [];
  readonly store: MvccStore;
  nowMs = 0;

  constructor(limits: Partial<StoreLimits>) {
    this.store = openStore({
      storage: { backend: memoryBackend() },
      monotonicMs: () => (this.nowMs += 0.05),
      afterPoll: (callback) => this.turns.push(callback),
      limits,
    });
  }

  turn(count: number): void {
    for (let i = 0; i < count && this.turns.length > 0; i++) this.turns.shift()!();
  }

  change(next: (below: number) => number, keys: number): void {
    const transaction = this.store.begin(this.store.appliedIndex + 1, 1);
    for (let i = 0; i < keys; i++) {
      const key = keyOf(next(KEYS));
      if (next(5) === 0) transaction.deleteRange({ key, end: null });
      else transaction.put(key, Buffer.alloc(next(60), 'v'), BigInt(next(2)));
    }
    if (next(10) === 0) transaction.abort();
    else transaction.commit();
  }

  /** Both ways, and the same way again: the second and third read may make images and use them. */
  compare(options: PageOptions): void {
    const wanted = this.store.rangeSync(options);
    const fields = Buffer.concat(
      wanted.records.map(({ encoded }) => Buffer.concat([lengthOf(encoded), encoded])),
    );
    for (let i = 0; i < 2; i++) {
      const page = this.store.rangePageSync(options);
      expect(Buffer.concat(page.chunks).equals(fields)).toBe(true);
      expect([page.records, page.count, page.revision, page.bytes]).toEqual([
        wanted.records.length,
        wanted.count,
        wanted.revision,
        fields.length,
      ]);
    }
  }
}

function lengthOf(record: Uint8Array): Buffer {
  const length = record.length;
  return Buffer.from(length < 128 ? [0x12, length] : [0x12, (length & 127) | 128, length >>> 7]);
}

const cases: [name: string, limits: Partial<StoreLimits>][] = [
  ['heads in memory', {}],
  ['heads on disk', { headEntries: 300, headPartEntries: 100, blockKeys: 64, flushBytes: 20_000 }],
  ['little room for images', { headEntries: 300, blockKeys: 64, flushBytes: 20_000, imageBytes: 20_000 }],
  ['small images', { headEntries: 300, blockKeys: 128, flushBytes: 20_000, imageKeys: 20 }],
];

for (const [name, limits] of cases) {
  test(`ranges as bytes are those of the records (${name}, seed ${seed})`, () => {
    const world = new World(limits);
    const next = random(seed);
    for (let i = 0; i < 40; i++) {
      world.change(next, 100);
      world.turn(4);
    }
    let images = 0;
    for (let i = 0; i < 250; i++) {
      const { store } = world;
      if (next(3) === 0) world.change(next, 1 + next(3));
      world.turn(next(3));
      if (next(60) === 0) {
        const transaction = store.begin(store.appliedIndex + 1, 1);
        if (store.revision - 15 > store.compactRevision) transaction.compact(store.revision - 15);
        transaction.commit();
      }
      const back = next(2) === 0 ? 0 : next(15);
      const revision = back === 0 ? 0 : Math.max(store.compactRevision, store.revision - back, 1);
      const key = keyOf(next(4) === 0 ? next(KEYS) : next(300));
      const ends = [Buffer.from([0]), keyOf(next(KEYS)), Buffer.from('/registry/1/'), Buffer.from(`${key}~`)];
      world.compare({ key, end: ends[next(4)]!, revision, limit: [0, 0, 1, 50, 500][next(5)]! });
      images = Math.max(images, store.images.count);
      expect(store.images.bytes).toBeLessThanOrEqual(store.limits.imageBytes);
    }
    expect(images).toBeGreaterThan(3);
  });
}

test('a list in pages goes on at its revision while every run changes', () => {
  const world = new World({ blockKeys: 64, headEntries: 300 });
  const next = random(seed);
  for (let i = 0; i < 30; i++) {
    world.change(next, 100);
    world.turn(4);
  }
  const { store } = world;
  for (let i = 0; i < 4; i++)
    store.rangePageSync({ key: keyOf(0), end: Buffer.from([0]), revision: 0, limit: 0 });
  const { revision } = store;
  const whole = store.rangePageSync({ key: keyOf(0), end: Buffer.from([0]), revision, limit: 0 });
  const pages: Uint8Array[] = [];
  let key: Uint8Array = keyOf(0);
  for (let left = whole.count; left > 0; ) {
    const page = store.rangePageSync({ key, end: Buffer.from([0]), revision, limit: 100 });
    expect(page.count).toBe(left);
    pages.push(...page.chunks);
    left -= page.records;
    key = Buffer.concat([page.lastKey!, Buffer.from([0])]);
    world.change(next, 30);
    world.turn(3);
  }
  expect(Buffer.concat(pages).equals(Buffer.concat(whole.chunks))).toBe(true);
});

test('a page in slices is that of the revision it began at', () => {
  const world = new World({ blockKeys: 64, headEntries: 300, sliceMs: 0.2 });
  const next = random(seed);
  for (let i = 0; i < 30; i++) {
    world.change(next, 100);
    world.turn(4);
  }
  const options = { key: keyOf(0), end: Buffer.from([0]), revision: 0, limit: 0 };
  for (let round = 0; round < 6; round++) {
    const wanted = world.store.rangeSync(options);
    let answer: Buffer | null = null;
    world.store.rangePage(options, (error, page) => {
      expect(error).toBeNull();
      answer = Buffer.concat(page!.chunks);
      expect([page!.count, page!.revision]).toEqual([wanted.count, wanted.revision]);
    });
    let turns = 0;
    while (answer === null) {
      world.change(next, 5);
      world.turn(1);
      turns++;
    }
    expect(turns).toBeGreaterThan(1);
    const fields = wanted.records.map(({ encoded }) => Buffer.concat([lengthOf(encoded), encoded]));
    expect(Buffer.concat(fields).equals(answer)).toBe(true);
  }
});
