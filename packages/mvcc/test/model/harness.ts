/** A store in this thread with a hand-cranked loop and clock, beside its model and the model's past. */
import { expect } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { BackendError } from '../../src/backend/backend.ts';
import type { MemoryBackend } from '../../src/backend/memory.ts';
import { memoryBackend } from '../../src/backend/memory.ts';
import type { StoreLimits } from '../../src/options.ts';
import { type MvccStore, openStore } from '../../src/store.ts';
import {
  type KeyRecord,
  type RangePage,
  type RangeResult,
  StoreBusyError,
  type WriteTransaction,
} from '../../src/types.ts';
import { bytesOf, encodeKeyValue, type ModelRecord, ModelStore, textOf } from './model-store.ts';

/** So small that every mechanism is at work after a few writes. */
export const TINY: Partial<StoreLimits> = {
  memtableBytes: 1 << 20,
  flushBytes: 400,
  flushAfterMs: 500,
  headEntries: 5,
  headLagRecords: 12,
  headPartEntries: 2,
  ringBytes: 300,
  sliceMs: 2,
  removeSliceRecords: 3,
  removePassRecords: 7,
  blockKeys: 4,
  imageBytes: 1_500,
  imageKeys: 3,
};

export class Harness {
  backend: MemoryBackend;
  store: MvccStore;
  model = new ModelStore();
  /** The model after each applied entry: what a crash may go back to. */
  past = new Map<number, ModelStore>([[0, new ModelStore()]]);
  turns: (() => void)[] = [];
  nowMs = 0;
  fatal: Error | null = null;
  /** An image is open, or may be: removal waits for it. */
  imageOpen = false;
  /** Images of runs that were there at once: whether there were any. */
  mostImages = 0;
  /** Long reads under way, each with what it must answer. */
  readonly reads: { name: string; done: boolean }[] = [];
  readonly limits: Partial<StoreLimits>;
  readonly #mutate: (backend: Backend) => Backend;

  /** @param mutate breaks the backend on purpose: to see that the comparison notices */
  constructor(limits: Partial<StoreLimits> = TINY, mutate: (backend: Backend) => Backend = (b) => b) {
    this.limits = limits;
    this.#mutate = mutate;
    this.backend = memoryBackend();
    this.store = this.open();
  }

  open(): MvccStore {
    const store = openStore({
      storage: { backend: this.#mutate(this.backend) },
      // Every look at the clock costs a tenth of a millisecond, so long work is cut into slices.
      monotonicMs: () => (this.nowMs += 0.1),
      afterPoll: (callback) => this.turns.push(callback),
      limits: this.limits,
    });
    store.onFatal((error) => {
      this.fatal = error;
    });
    return store;
  }

  /** Begins an entry; while the store is busy the loop turns, as a server waits for its disk. */
  begin(index: number): WriteTransaction {
    for (;;) {
      try {
        return this.store.begin(index, 1);
      } catch (error) {
        if (!(error instanceof StoreBusyError)) throw error;
        expect(this.turns.length).toBeGreaterThan(0);
        this.turn(1);
      }
    }
  }

  /** Runs up to `count` turns of the loop. */
  turn(count: number): void {
    for (let i = 0; i < count && this.turns.length > 0; i++) this.turns.shift()!();
  }

  /** Runs turns until `until` holds. */
  settle(until: () => boolean = () => this.turns.length === 0): void {
    for (let i = 0; i < 100_000 && !until(); i++) {
      if (this.turns.length === 0) throw new Error('the loop is empty and nothing came of it');
      this.turn(1);
    }
    expect(until()).toBe(true);
  }

  remember(): void {
    this.past.set(this.model.index, this.model.clone());
  }

  /** The writer's next transaction but `skip` fails, as on a full disk: the store must stop, and a restart must find whole entries. */
  crashInWriter(skip: number): void {
    let left = skip;
    this.backend.beforeCommit = () => {
      if (left-- === 0) throw new BackendError('ENOSPC', 'the disk is full');
    };
    for (let i = 0; i < 50 && this.fatal === null && this.turns.length > 0; i++) this.turn(1);
    this.backend.beforeCommit = null;
    this.fatal = null;
    this.crash();
  }

  /** Loses what only memory had. The durable entries, and nothing half-way, must come back. */
  crash(): void {
    const promised = this.store.durableIndex;
    this.turns = [];
    for (const read of this.reads) read.done = true;
    this.backend = this.backend.reopen();
    this.store = this.open();
    expect(this.store.appliedIndex).toBeGreaterThanOrEqual(promised);
    const survived = this.past.get(this.store.appliedIndex);
    expect(survived).toBeDefined();
    this.model = survived!.clone();
  }

  expectRecord(actual: KeyRecord | null, wanted: ModelRecord | null): void {
    expect(actual === null ? null : describeRecord(actual)).toEqual(
      wanted === null ? null : describeModel(wanted),
    );
  }

  expectRange(actual: RangeResult, wanted: readonly ModelRecord[], limit: number): void {
    expect(actual.records.map(describeRecord)).toEqual(
      (limit > 0 ? wanted.slice(0, limit) : wanted).map(describeModel),
    );
    expect(actual.count).toBe(wanted.length);
  }

  expectPage(actual: RangePage, wanted: readonly ModelRecord[], limit: number): void {
    const shown = limit > 0 ? wanted.slice(0, limit) : wanted;
    const bytes = Buffer.concat(actual.chunks);
    const fields = Buffer.concat(shown.map((record) => recordField(encodeKeyValue(record))));
    if (!bytes.equals(fields)) expect(bytes.toString('hex')).toBe(fields.toString('hex'));
    expect([actual.bytes, actual.records, actual.count]).toEqual([
      actual.chunks.reduce((sum, chunk) => sum + chunk.length, 0),
      shown.length,
      wanted.length,
    ]);
    const last = shown[shown.length - 1];
    expect(actual.lastKey === null ? undefined : textOf(actual.lastKey)).toBe(last?.key);
  }

  /** What every answer rests on: all keys now, their number, and the two numbers of the store. */
  expectSame(): void {
    const { store, model } = this;
    expect(this.fatal).toBeNull();
    expect([store.revision, store.compactRevision, store.appliedIndex]).toEqual([
      model.revision,
      model.compactRevision,
      model.index,
    ]);
    const range = { key: bytesOf('\0'), end: bytesOf('\0'), revision: 0, limit: 0 };
    const wanted = model.range('\0', '\0', model.revision);
    this.expectRange(store.rangeSync(range), wanted, 0);
    this.expectPage(store.rangePageSync(range), wanted, 0);
    const { count, bytes } = store.images;
    this.mostImages = Math.max(this.mostImages, count);
    expect(bytes).toBeLessThanOrEqual(store.limits.imageBytes);
  }
}

/** A `KeyValue` as field 2 of a response. */
function recordField(keyValue: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let rest = keyValue.length; ; rest >>>= 7) {
    length.push(rest < 128 ? rest : (rest & 127) | 128);
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from([0x12, ...length]), keyValue]);
}

/** A record as one line; long keys in short. */
export function describeRecord(record: KeyRecord): string {
  const { createRevision, modRevision, version, lease } = record;
  const fields = `${shortOf(textOf(record.key))} c${createRevision} m${modRevision} v${version} l${lease}`;
  return `${fields} "${textOf(record.value)}" ${digest(record.encoded)}`;
}

export function describeModel(record: ModelRecord): string {
  const fields = `${shortOf(record.key)} c${record.create} m${record.main} v${record.version} l${record.lease}`;
  return `${fields} "${record.value}" ${digest(encodeKeyValue(record))}`;
}

export function shortOf(key: string): string {
  return key.length > 60 ? `${key.slice(0, 4)}..(${key.length})..${key.slice(-4)}` : JSON.stringify(key);
}

function digest(bytes: Uint8Array): string {
  return Buffer.from(bytes.length > 60 ? bytes.subarray(bytes.length - 60) : bytes).toString('hex');
}
