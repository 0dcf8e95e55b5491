/**
 * Every call to the disk fails once: not made at all, made and reported as failed all the same, or half made. Whatever call it is, and
 * whether the process or the machine ends with it, nothing acknowledged is lost, nothing is acknowledged behind a
 * failure, and the log opens and goes on.
 */
import { isDeepStrictEqual } from 'node:util';
import { Random, SimDisk } from '@quorate/testing';
import { describe, expect, it } from 'vitest';
import {
  type Disk,
  DiskError,
  type DiskFile,
  type OpenedWal,
  openWalInline,
  type WalFailedError,
} from '../src/index.ts';
import {
  applyBatch,
  EMPTY_STATE,
  type ModelState,
  modelVisible,
  randomBatch,
  visibleState,
} from './log-model.ts';

type How = 'not made' | 'made' | 'half made';

/** A disk whose call number `failAt` fails. */
class FaultyDisk implements Disk {
  readonly #disk: SimDisk;
  readonly #failAt: number;
  readonly #how: How;
  readonly #code: string;
  #calls = 0;
  /** The call that failed. */
  struck = '';

  constructor(disk: SimDisk, fault: { failAt: number; how: How; code: string }) {
    this.#disk = disk;
    this.#failAt = fault.failAt;
    this.#how = fault.how;
    this.#code = fault.code;
  }

  #call<T>(operation: string, path: string, make: () => T, half: () => void = () => {}): T {
    if (++this.#calls !== this.#failAt) return make();
    this.struck = operation;
    if (this.#how === 'made') make();
    if (this.#how === 'half made') half();
    throw new DiskError({ code: this.#code, operation, path });
  }

  open(path: string, mode: 'create' | 'write' | 'read'): DiskFile {
    const file = this.#call('open', path, () => this.#disk.open(path, mode));
    return {
      path,
      write: (data, offset) =>
        this.#call(
          'write',
          path,
          () => file.write(data, offset),
          // Whole sectors: what is cut off within one is beyond what the format promises to tell from damage.
          () => file.write(data.subarray(0, Math.floor(data.length / 1024) * 512), offset),
        ),
      read: (offset, length) => this.#call('read', path, () => file.read(offset, length)),
      size: () => this.#call('size', path, () => file.size()),
      truncate: (length) => this.#call('truncate', path, () => file.truncate(length)),
      preallocate: (length) =>
        this.#call(
          'preallocate',
          path,
          () => file.preallocate(length),
          () => file.preallocate(Math.floor((file.size() + length) / 2)),
        ),
      sync: () =>
        this.#call(
          'sync',
          path,
          () => file.sync(),
          () => {
            // A sync that failed forgets what it did not write.
            this.#disk.inject({ operation: 'sync', code: this.#code });
            file.sync();
          },
        ),
      close: () => this.#call('close', path, () => file.close()),
    };
  }

  makeDirectory(path: string): void {
    this.#call('make directory', path, () => this.#disk.makeDirectory(path));
  }

  list(path: string): string[] {
    return this.#call('list', path, () => this.#disk.list(path));
  }

  exists(path: string): boolean {
    return this.#disk.exists(path);
  }

  rename(from: string, to: string): void {
    this.#call('rename', from, () => this.#disk.rename(from, to));
  }

  remove(path: string): void {
    this.#call('remove', path, () => this.#disk.remove(path));
  }

  syncDirectory(path: string): void {
    this.#call('sync directory', path, () => this.#disk.syncDirectory(path));
  }

  lock(path: string): { release(): void } {
    return this.#call('lock', path, () => this.#disk.lock(path));
  }
}

function open(disk: Disk, onFatal?: (error: WalFailedError) => void): OpenedWal {
  return openWalInline({
    directory: '/d/wal',
    metadata: Buffer.from('cluster 1 member 2'),
    segmentBytes: 8192,
    spareSegments: 1,
    disk,
    ...(onFatal === undefined ? {} : { onFatal }),
  });
}

/** A disk and what its log may hold. */
interface Start {
  readonly disk: SimDisk;
  readonly states: readonly ModelState[];
  readonly released: number;
}

/** What was appended, state by state, and how far it was acknowledged. */
class Life {
  states: ModelState[];
  acked = 0;
  released: number;
  readonly #random = new Random('life', 'batches');

  constructor({ states, released }: Start) {
    this.states = [...states];
    this.released = released;
  }

  /** Opens, writes and releases until the end or a failure. */
  async live(disk: Disk, batches: number): Promise<void> {
    let failed = false;
    const { wal } = open(disk, () => {
      failed = true;
    });
    for (let count = 0; count < batches && !failed; count++) {
      const batch = randomBatch(this.#random, this.states.at(-1)!, this.released, 1200);
      const number = this.states.push(applyBatch(this.states.at(-1)!, batch)) - 1;
      wal.append(batch, (error) => {
        if (error !== null) return;
        expect(failed, 'nothing is acknowledged behind a failure').toBe(false);
        this.acked = number;
      });
      wal.pump();
      if (!failed && count % 7 === 6) {
        this.released = Math.max(this.released, wal.lastIndex() - 3);
        wal.release(this.released);
        wal.pump();
      }
      if (!failed) expect(this.acked).toBe(number);
    }
    expect(wal.failure !== null).toBe(failed);
    if (failed) {
      wal.append({ entries: [], hardState: null, mustSync: true }, (error) => expect(error).not.toBeNull());
      wal.pump();
    }
    await expect(wal.close(), 'close resolves also after a failure').resolves.toBeUndefined();
  }

  /** Finds the state that the log is in, which has to be one of those it may be in. */
  check({ wal, recovered }: OpenedWal, when: string): void {
    const found = visibleState(wal, recovered);
    const first = wal.firstIndex();
    const at = this.states.findLastIndex(
      (state, number) =>
        number >= this.acked &&
        (first <= state.firstIndex || first <= this.released + 1) &&
        isDeepStrictEqual(found, modelVisible(state, first)),
    );
    if (at < 0) expect(found, when).toEqual(modelVisible(this.states[this.acked]!, first));
    expect(at, when).toBeGreaterThanOrEqual(this.acked);
    this.states = [this.states[at]!];
    this.acked = 0;
  }
}

/** A new disk. */
const EMPTY: Start = { disk: new SimDisk(new Random('new', 'disk')), states: [EMPTY_STATE], released: 0 };

/** A disk with a log that has lived and died in the midst of a write. */
async function used(): Promise<Start> {
  const life = new Life(EMPTY);
  const disk = EMPTY.disk.copy(new Random('used', 'disk'));
  await life.live(disk, 30);
  await life.live(new FaultyDisk(disk, { failAt: 40, how: 'half made', code: 'EIO' }), 20);
  disk.crash();
  life.check(open(disk.copy(new Random('used', 'copy'))), 'before');
  return { disk, states: life.states, released: life.released };
}

describe.each([
  ['not made', 'EIO'],
  ['made', 'EIO'],
  ['half made', 'EIO'],
  ['not made', 'ENOSPC'],
] as const)('every call is %s once, and fails with %s', (how, code) => {
  it.each([
    ['a new log', async () => EMPTY],
    ['a log that died in a write', used],
  ] as const)('case-16 case-17 case-18 %s', { timeout: 120_000 }, async (_name, prepare) => {
    const start = await prepare();
    const struck = new Set<string>();
    for (let failAt = 1; ; failAt++) {
      let last = '';
      for (const end of ['kill', 'crash'] as const) {
        const life = new Life(start);
        const disk = start.disk.copy(new Random(failAt, end));
        const faulty = new FaultyDisk(disk, { failAt, how, code });
        const when = `call ${failAt}, then ${end}`;
        try {
          await life.live(faulty, 16);
        } catch (error) {
          // While opening: the caller is told which call it was.
          expect(error, when).toMatchObject({ name: 'DiskError', code });
        }
        last = faulty.struck;
        if (end === 'kill') disk.kill();
        else disk.crash();
        const opened = open(disk);
        life.check(opened, `${last}, ${when}`);
        await opened.wal.close();
        await life.live(disk, 3);
        disk.crash();
        life.check(open(disk), `${last}, ${when}, and after another life`);
      }
      if (last === '') break;
      struck.add(last);
    }
    for (const operation of ['open', 'write', 'sync', 'rename', 'sync directory', 'close']) {
      expect(struck).toContain(operation);
    }
  });
});
