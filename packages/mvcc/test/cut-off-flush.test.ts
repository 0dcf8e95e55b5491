/** Starts after flushes of heads that crashes cut off, several of them before one came to its end. */
import { expect, test } from 'vitest';
import { memoryBackend } from '../src/backend/memory.ts';
import { readProgress } from '../src/state.ts';
import { type MvccStore, openStore } from '../src/store.ts';

const KEYS = 300;
const everything = { key: Buffer.from('\0'), end: Buffer.from('\0'), revision: 0, limit: 0 };
const keyOf = (at: number): string => `key ${String(at).padStart(4, '0')}`;

class World {
  backend = memoryBackend();
  turns: (() => void)[] = [];
  store: MvccStore = this.open();
  /** Value and lease of each live key. */
  readonly model = new Map<string, string>();
  #number: number;

  constructor(seed: number) {
    this.#number = seed;
  }

  random(bound: number): number {
    this.#number = (Math.imul(this.#number, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#number / 2 ** 32) * bound);
  }

  open(): MvccStore {
    this.turns = [];
    return openStore({
      storage: { backend: this.backend },
      monotonicMs: () => 0,
      afterPoll: (callback) => this.turns.push(callback),
      limits: { headEntries: 1_000, headLagRecords: 5_000, headPartEntries: 10, blockKeys: 8 },
    });
  }

  change(count: number): void {
    for (let i = 0; i < count; i++) {
      const entry = this.store.begin(this.store.appliedIndex + 1, 1);
      const key = keyOf(this.random(KEYS));
      const lease = this.random(3);
      if (this.random(3) === 0) {
        entry.deleteRange({ key: Buffer.from(key), end: null });
        this.model.delete(key);
      } else {
        const value = `value ${this.random(1_000)}`;
        entry.put(Buffer.from(key), Buffer.from(value), BigInt(lease));
        this.model.set(key, `${value} ${lease}`);
      }
      entry.commit();
    }
  }

  turn(count: number): void {
    for (let i = 0; i < count && this.turns.length > 0; i++) this.turns.shift()!();
  }

  /** Records are on disk, of the heads so many parts. */
  flushSome(parts: number): void {
    this.store.flush(() => {});
    this.turn(100);
    this.store.flushHeads(() => {});
    this.turn(parts);
  }

  crash(): void {
    this.backend = this.backend.reopen();
    this.store = this.open();
  }

  expectSame(): void {
    const live = [...this.model].sort(([a], [b]) => (a < b ? -1 : 1));
    const { records, count } = this.store.rangeSync(everything);
    expect(count).toBe(live.length);
    expect(
      records.map(({ key, value, lease }) => [Buffer.from(key).toString(), `${Buffer.from(value)} ${lease}`]),
    ).toEqual(live);
    for (let i = 0; i < 40; i++) {
      const low = keyOf(this.random(KEYS));
      const high = keyOf(this.random(KEYS));
      const range = { ...everything, key: Buffer.from(low), end: Buffer.from(high), limit: 1 };
      expect(this.store.rangeSync(range).count).toBe(live.filter(([key]) => key >= low && key < high).length);
    }
    for (const lease of [1, 2]) {
      const keys = live.filter(([, value]) => value.endsWith(` ${lease}`)).map(([key]) => key);
      expect(this.store.leaseKeys(BigInt(lease)).map((key) => Buffer.from(key).toString())).toEqual(keys);
    }
  }

  marks(): number {
    const reader = this.backend.openReader();
    const { length } = readProgress(reader);
    reader.close();
    return length;
  }
}

test('what a start finds does not depend on where flushes of heads were cut off', () => {
  const seed = Number(process.env.MVCC_SEED ?? Date.now() % 2 ** 31);
  console.info(`MVCC_SEED=${seed}`);
  let most = 0;
  for (let run = 0; run < 8; run++) {
    const world = new World(seed + run);
    for (let round = 0; round < 12; round++) {
      world.change(1 + world.random(250));
      // Fewer parts each time leave several marks; now and then a flush comes to its end.
      world.flushSome(round % 6 === 5 ? 200 : world.random(16 >> (round % 6)));
      if (world.random(3) > 0) {
        world.change(world.random(30));
        world.store.flush(() => {});
        world.turn(world.random(3));
        // What no flush reached would be gone: the model cannot go back.
        world.store.flush(() => {});
        while (world.store.durableIndex < world.store.appliedIndex) world.turn(1);
      }
      most = Math.max(most, world.marks());
      world.crash();
      world.expectSame();
      world.change(world.random(40));
      world.expectSame();
    }
  }
  // Otherwise nothing above had more than one flush to tell apart.
  expect(most).toBeGreaterThan(1);
});
