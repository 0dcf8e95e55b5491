/**
 * The log over a disk that loses what was not synced: random batches, releases, crashes, kills and failures, compared
 * with `log-model.ts` after every reopening. One seed is one history; a failure names its seed.
 *
 * case-22 in its simulated form; the recorded form, over real files, is in `process.test.ts`.
 */
import { isDeepStrictEqual } from 'node:util';
import { Random, SimDisk } from '@quorate/testing';
import { describe, expect, it } from 'vitest';
import {
  type OpenedWal,
  openWalInline,
  WAL_FAILPOINTS,
  type WalBatch,
  type WalFailpointName,
} from '../src/index.ts';
import {
  applyBatch,
  EMPTY_STATE,
  type ModelState,
  modelVisible,
  randomBatch,
  visibleState,
} from './log-model.ts';

const SCALE = Number(process.env.QUORATE_TEST_SCALE ?? '1');
const HISTORIES = Math.ceil(60 * SCALE);
const metadata = Buffer.from('cluster 1 member 2');

interface Totals {
  crashes: number;
  repairs: number;
  torn: number;
  lostNames: number;
  images: number;
  batchesLost: number;
  cuts: number;
  releases: number;
  failures: number;
  visited: Set<WalFailpointName>;
}

function noTotals(): Totals {
  const counts = { crashes: 0, repairs: 0, torn: 0, lostNames: 0, images: 0, batchesLost: 0 };
  return { ...counts, cuts: 0, releases: 0, failures: 0, visited: new Set() };
}

class History {
  readonly #random: Random;
  readonly #seed: number;
  readonly #totals: Totals;
  readonly #noSync: boolean;
  disk: SimDisk;
  #opened: OpenedWal;
  #flushes: (() => void)[] = [];
  /** `states[k]` is the log after batch k; the last acknowledged one is `states[acked]`. */
  #states: ModelState[] = [EMPTY_STATE];
  #acked = 0;
  #released = 0;
  #failed = false;

  constructor(seed: number, totals: Totals, noSync = false) {
    this.#noSync = noSync;
    this.#seed = seed;
    this.#totals = totals;
    this.#random = new Random(seed, 'workload');
    this.disk = new SimDisk(new Random(seed, 'disk'));
    this.#opened = this.#openAtLast();
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step++) {
      const what = this.#random.weighted({
        append: 20,
        flush: 10,
        release: 2,
        crash: 1,
        kill: 1,
        fail: 0.5,
        images: 1,
      });
      if (this.#failed || what === 'crash' || what === 'kill') this.#restart(what);
      else if (what === 'append') this.#append();
      else if (what === 'flush') this.#flush();
      else if (what === 'release') this.#release();
      else if (what === 'images') this.#tryImages();
      else this.#failNext();
    }
    this.#restart('crash');
    this.#totals.crashes += this.disk.tally.crashes;
    this.#totals.torn += this.disk.tally.tornWrites;
    this.#totals.lostNames += this.disk.tally.droppedNames;
  }

  #append(): void {
    const batch: WalBatch = randomBatch(this.#random, this.#states.at(-1)!, this.#released, 600);
    const number = this.#states.push(applyBatch(this.#states.at(-1)!, batch)) - 1;
    this.#opened.wal.append(batch, (error) => {
      if (error === null) {
        expect(number, `seed ${this.#seed}: callbacks come in order`).toBe(this.#acked + 1);
        this.#acked = number;
      }
    });
  }

  #flush(): void {
    const before = this.#opened.wal.segments().length;
    for (const flush of this.#flushes.splice(0)) flush();
    if (!this.#failed) expect(this.#acked).toBe(this.#states.length - 1);
    if (this.#opened.wal.segments().length > before) this.#totals.cuts++;
  }

  #release(): void {
    const { wal } = this.#opened;
    // Only what is committed, as a host would: nothing under way replaces it.
    if (this.#states.length - 1 > this.#acked) return;
    const index = this.#random.between(0, Math.max(wal.lastIndex() - 3, 0));
    this.#released = Math.max(this.#released, index);
    const before = wal.segments().length;
    wal.release(index);
    if (wal.segments().length < before) this.#totals.releases++;
  }

  #failNext(): void {
    const operation = this.#random.pick([
      'write',
      'sync',
      'rename',
      'preallocate',
      'sync directory',
    ] as const);
    const code = this.#random.pick(['EIO', 'ENOSPC']);
    this.disk.inject({ operation, code, nth: this.#random.between(1, 3) });
  }

  /** In the middle of a write, a cut, a release: power losses are tried on copies, and now and then the process ends here. */
  #atFailpoint(name: WalFailpointName): void {
    this.#totals.visited.add(name);
    if (this.#random.chance(0.1)) this.#tryImages();
    if (this.#random.chance(0.02)) throw new Error(`the process ended at ${name}`);
  }

  /** Power losses at this moment, each on a copy. */
  #tryImages(): void {
    for (let i = 0; i < 3; i++) {
      const copy = this.disk.copy(new Random(this.#random.uint32(), 'image'));
      copy.crash();
      this.#check(openWalInline({ directory: '/d/wal', metadata, segmentBytes: 8192, disk: copy }));
      this.#totals.images++;
    }
  }

  #restart(how: string): void {
    this.#flushes = [];
    if (how === 'kill') this.disk.kill();
    else this.disk.crash();
    this.#opened = this.#openAtLast();
    this.#failed = false;
    this.#check(this.#opened, true);
  }

  /** The process may end while opening, too. */
  #openAtLast(): OpenedWal {
    for (let attempt = 0; ; attempt++) {
      try {
        return this.#open(this.disk);
      } catch (error) {
        if (attempt > 20 || !(error instanceof Error) || !error.message.startsWith('the process ended'))
          throw error;
        this.disk.crash();
      }
    }
  }

  #open(disk: SimDisk): OpenedWal {
    return openWalInline({
      directory: '/d/wal',
      metadata,
      segmentBytes: 8192,
      spareSegments: 1,
      unsafeNoSync: this.#noSync,
      disk,
      schedule: (flush) => this.#flushes.push(flush),
      failpoint: (name) => this.#atFailpoint(name),
      onFatal: () => {
        this.#failed = true;
        this.#totals.failures++;
      },
    });
  }

  /** The log must be in a state between the last acknowledged and the last appended batch. */
  #check({ wal, recovered }: OpenedWal, adopt = false): void {
    if (recovered.repaired !== null) this.#totals.repairs++;
    const found = visibleState(wal, recovered);
    const first = wal.firstIndex();
    let matching = -1;
    for (let k = this.#states.length - 1; k >= this.#acked && matching < 0; k--) {
      const state = this.#states[k]!;
      if (first > state.firstIndex && first > this.#released + 1) continue;
      if (isDeepStrictEqual(found, modelVisible(state, first))) matching = k;
    }
    if (matching < 0) {
      // The comparison that explains most: with the last acknowledged state.
      expect(found, `seed ${this.#seed}`).toEqual(modelVisible(this.#states[this.#acked]!, first));
      throw new Error(`seed ${this.#seed}: the log begins at ${first}, released was ${this.#released}`);
    }
    this.#totals.batchesLost += this.#states.length - 1 - matching;
    if (!adopt) return;
    this.#states = [this.#states[matching]!];
    this.#acked = 0;
  }
}

describe('case-22 simulated power loss', () => {
  it(`${HISTORIES} histories end in a state between acknowledged and appended`, { timeout: 600_000 }, () => {
    const totals = noTotals();
    for (let seed = 1; seed <= HISTORIES; seed++) new History(seed, totals).run(300);
    // Green must not be vacuous: the world was unkind in every way it can be.
    const least = Math.floor(HISTORIES / 3);
    const { visited, ...counts } = totals;
    for (const [what, count] of Object.entries(counts)) expect(count, what).toBeGreaterThan(least);
    expect([...visited].sort()).toEqual([...WAL_FAILPOINTS].sort());
  });

  it('the histories bite: a log that skips its syncs is caught', () => {
    let caught = 0;
    for (let seed = 1; seed <= 5; seed++) {
      try {
        new History(seed, noTotals(), true).run(300);
      } catch {
        caught++;
      }
    }
    expect(caught).toBe(5);
  });

  it('the same seed gives the same disk, byte for byte', () => {
    const image = (): unknown => {
      const history = new History(77, noTotals());
      history.run(300);
      const { disk } = history;
      return disk.list('/d/wal').map((name) => {
        const file = disk.open(`/d/wal/${name}`, 'read');
        return [name, Buffer.from(file.read(0, file.size())).toString('base64')];
      });
    };
    expect(image()).toEqual(image());
  });
});
