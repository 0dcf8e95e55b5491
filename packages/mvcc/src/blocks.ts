/**
 * The count index: the live key space cut into runs of about 512 keys.
 *
 *   run      0            1              2
 *   from     (nothing)    "/pods/m"      "/pods/x"
 *   keys     498          611            530
 *   before   0            498            1109       running sum, made when first asked for
 *
 * The number of keys in a range is the sum over the runs that lie wholly inside, and two short native counts at its ends.
 * Run boundaries are table keys of `head`. The writer keeps the index true to `head` in each transaction; the main thread has a copy as of
 * the last whole flush of heads.
 */
import type { BackendReader, BackendTransaction } from './backend/backend.ts';
import { compareBytes, copyBytes, EMPTY } from './bytes.ts';
import { isLongKey, tableKey } from './key-codec.ts';
import { readUint32, writeUint32 } from './revision.ts';
import { BLOCKS, HEAD } from './tables.ts';

/** `blocks` key of a boundary: the first boundary is empty, and LMDB has no empty keys. */
function blockKey(boundary: Uint8Array): Uint8Array {
  const key = new Uint8Array(boundary.length + 1);
  key[0] = 1;
  key.set(boundary, 1);
  return key;
}

export class BlockIndex {
  readonly #from: Uint8Array[] = [EMPTY];
  readonly #keys: number[] = [0];
  #before: Float64Array | null = null;

  static load(reader: Pick<BackendReader, 'scan'>): BlockIndex {
    const index = new BlockIndex();
    index.#from.length = index.#keys.length = 0;
    reader.scan(BLOCKS, { low: EMPTY, high: null }, (key, value) => {
      index.#from.push(copyBytes(key.subarray(1)));
      index.#keys.push(readUint32(value, 0));
      return true;
    });
    if (index.#from.length === 0) index.#insert(0, EMPTY, 0);
    return index;
  }

  get count(): number {
    return this.#from.length;
  }

  get totalKeys(): number {
    return this.sumBetween(0, this.#from.length);
  }

  from(block: number): Uint8Array {
    return this.#from[block]!;
  }

  /** The run that a table key belongs to. */
  blockOf(key: Uint8Array): number {
    let low = 1;
    let high = this.#from.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(this.#from[middle]!, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Keys in runs `[first, end)`. */
  sumBetween(first: number, end: number): number {
    if (first >= end) return 0;
    this.#before ??= this.#runningSums();
    return this.#before[end]! - this.#before[first]!;
  }

  #runningSums(): Float64Array {
    const sums = new Float64Array(this.#keys.length + 1);
    for (let i = 0; i < this.#keys.length; i++) sums[i + 1] = sums[i]! + this.#keys[i]!;
    return sums;
  }

  #insert(at: number, from: Uint8Array, keys: number): void {
    this.#from.splice(at, 0, from);
    this.#keys.splice(at, 0, keys);
    this.#before = null;
  }

  /** Replaces runs `[first, end)`; the first keeps its boundary. */
  replace(first: number, end: number, runs: readonly { from: Uint8Array; keys: number }[]): void {
    this.#from.splice(first, end - first, ...runs.map((run) => run.from));
    this.#keys.splice(first, end - first, ...runs.map((run) => run.keys));
    this.#before = null;
  }

  change(block: number, delta: number): void {
    this.#keys[block]! += delta;
    this.#before = null;
  }

  keys(block: number): number {
    return this.#keys[block]!;
  }

  /** The whole index in one buffer, for the other thread. */
  pack(): Uint8Array {
    let size = 0;
    for (const from of this.#from) size += 8 + from.length;
    const bytes = new Uint8Array(size);
    let at = 0;
    for (let i = 0; i < this.#from.length; i++) {
      const from = this.#from[i]!;
      writeUint32(bytes, at, from.length);
      writeUint32(bytes, at + 4, this.#keys[i]!);
      bytes.set(from, at + 8);
      at += 8 + from.length;
    }
    return bytes;
  }

  static unpack(bytes: Uint8Array): BlockIndex {
    const index = new BlockIndex();
    index.#from.length = index.#keys.length = 0;
    for (let at = 0; at < bytes.length; ) {
      const length = readUint32(bytes, at);
      index.#keys.push(readUint32(bytes, at + 4));
      index.#from.push(bytes.subarray(at + 8, at + 8 + length));
      at += 8 + length;
    }
    return index;
  }
}

/** Gathers the changes of one transaction on `head`, then brings index and `blocks` up to date. */
export class BlockChanges {
  readonly #index: BlockIndex;
  readonly #runKeys: number;
  readonly #touched = new Map<number, number>();
  #block = 0;

  constructor(index: BlockIndex, runKeys: number) {
    this.#index = index;
    this.#runKeys = runKeys;
  }

  /** Keys come in order, so the run is nearly always that of the key before. */
  change(key: Uint8Array, delta: number): void {
    const physical = tableKey(key);
    const next = this.#block + 1;
    if (
      compareBytes(this.#index.from(this.#block), physical) > 0 ||
      (next < this.#index.count && compareBytes(this.#index.from(next), physical) <= 0)
    ) {
      this.#block = this.#index.blockOf(physical);
    }
    this.#touched.set(this.#block, (this.#touched.get(this.#block) ?? 0) + delta);
  }

  /** From the last run to the first, so that numbers of runs yet to be handled stay true. */
  settle(transaction: BackendTransaction): void {
    const blocks = [...this.#touched].sort(([a], [b]) => b - a);
    for (const [block, delta] of blocks) {
      this.#index.change(block, delta);
      const keys = this.#index.keys(block);
      if (keys > 2 * this.#runKeys) this.#split(transaction, block);
      else if (keys < this.#runKeys / 4 && this.#merge(transaction, block)) continue;
      else putBlock(transaction, this.#index.from(block), keys);
    }
    this.#touched.clear();
  }

  #split(transaction: BackendTransaction, block: number): void {
    const from = this.#index.from(block);
    const end = block + 1 < this.#index.count ? this.#index.from(block + 1) : null;
    const runs = [{ from, keys: 0 }];
    let bucket: Uint8Array = EMPTY;
    HEAD.scan(transaction, from, end, (key) => {
      const physical = tableKey(key);
      const run = runs[runs.length - 1]!;
      // A bucket of long keys is one table key and cannot be cut.
      const sameBucket = isLongKey(key) && compareBytes(physical, bucket) === 0;
      if (run.keys >= this.#runKeys && !sameBucket) runs.push({ from: copyBytes(physical), keys: 1 });
      else run.keys++;
      if (isLongKey(key)) bucket = physical;
      return true;
    });
    this.#index.replace(block, block + 1, runs);
    for (const run of runs) putBlock(transaction, run.from, run.keys);
  }

  /** Joins a run that became small with the next one. @returns whether it did */
  #merge(transaction: BackendTransaction, block: number): boolean {
    if (block + 1 >= this.#index.count) return false;
    const keys = this.#index.keys(block) + this.#index.keys(block + 1);
    if (keys > 1.5 * this.#runKeys) return false;
    transaction.remove(BLOCKS, blockKey(this.#index.from(block + 1)));
    this.#index.replace(block, block + 2, [{ from: this.#index.from(block), keys }]);
    putBlock(transaction, this.#index.from(block), keys);
    return true;
  }
}

function putBlock(transaction: BackendTransaction, from: Uint8Array, keys: number): void {
  const value = new Uint8Array(4);
  writeUint32(value, 0, keys);
  transaction.put(BLOCKS, blockKey(from), value);
}
