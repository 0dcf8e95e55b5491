/**
 * Keys of any length over tables whose keys are bounded.
 *
 * LMDB's keys end at 1,978 bytes. A key of up to 1,900 bytes is its own table key. Longer ones live in a *bucket*: one table
 * entry, whose key is their first 1,900 bytes and a zero byte (1,901 bytes, a length no short key has), and whose value
 * lists what follows those 1,900 bytes, in order:
 *
 *   bucket value = { varint suffix length, suffix, varint value length, value }*
 *
 * Order is kept: for a prefix P of 1,900 bytes, `P` < the bucket `P 00` = every longer key that begins with P < every
 * short key above P. Every table of keys uses this codec, after an optional fixed prefix (a lease, a table's name).
 */

import type { BackendReader, BackendTransaction, TableName } from './backend/backend.ts';
import { compareBytes, concat, copyBytes, EMPTY, equalBytes } from './bytes.ts';
import { readVarint, varintBytes, varintEnd, writeVarint } from './varint.ts';

export const MAX_SHORT_KEY_BYTES = 1_900;

export function isLongKey(key: Uint8Array): boolean {
  return key.length > MAX_SHORT_KEY_BYTES;
}

/** Table key under which `key` is found: itself, or its bucket. */
export function tableKey(key: Uint8Array): Uint8Array {
  if (key.length <= MAX_SHORT_KEY_BYTES) return key;
  const bucket = new Uint8Array(MAX_SHORT_KEY_BYTES + 1);
  bucket.set(key.subarray(0, MAX_SHORT_KEY_BYTES));
  return bucket;
}

interface BucketItem {
  suffix: Uint8Array;
  value: Uint8Array;
}

function readBucket(bytes: Uint8Array): BucketItem[] {
  const items: BucketItem[] = [];
  for (let at = 0; at < bytes.length; ) {
    const suffixBytes = readVarint(bytes, at);
    const suffix = bytes.subarray(varintEnd, varintEnd + suffixBytes);
    const valueBytes = readVarint(bytes, varintEnd + suffixBytes);
    at = varintEnd + valueBytes;
    items.push({ suffix, value: bytes.subarray(varintEnd, at) });
  }
  return items;
}

function writeBucket(items: readonly BucketItem[]): Uint8Array {
  let size = 0;
  for (const { suffix, value } of items) {
    size += varintBytes(suffix.length) + suffix.length + varintBytes(value.length) + value.length;
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const { suffix, value } of items) {
    at = writeVarint(bytes, at, suffix.length);
    bytes.set(suffix, at);
    at = writeVarint(bytes, at + suffix.length, value.length);
    bytes.set(value, at);
    at += value.length;
  }
  return bytes;
}

/** Value of one item, without reading those behind it. */
function findInBucket(bytes: Uint8Array, suffix: Uint8Array): Uint8Array | undefined {
  for (let at = 0; at < bytes.length; ) {
    const suffixBytes = readVarint(bytes, at);
    const start = varintEnd;
    const valueBytes = readVarint(bytes, start + suffixBytes);
    at = varintEnd + valueBytes;
    const order = compareBytes(bytes.subarray(start, start + suffixBytes), suffix);
    if (order === 0) return bytes.subarray(varintEnd, at);
    if (order > 0) return undefined;
  }
  return undefined;
}

/** A bucket taken apart, for several changes. */
class OpenBucket {
  readonly #items: BucketItem[];
  changed = false;

  constructor(bytes: Uint8Array | undefined) {
    this.#items = bytes === undefined ? [] : readBucket(copyBytes(bytes));
  }

  get(suffix: Uint8Array): Uint8Array | undefined {
    const item = this.#items[this.#lowerBound(suffix)];
    return item !== undefined && equalBytes(item.suffix, suffix) ? item.value : undefined;
  }

  put(suffix: Uint8Array, value: Uint8Array): void {
    const at = this.#lowerBound(suffix);
    const item = this.#items[at];
    const there = item !== undefined && equalBytes(item.suffix, suffix);
    this.#items.splice(at, there ? 1 : 0, { suffix: copyBytes(suffix), value: copyBytes(value) });
    this.changed = true;
  }

  remove(suffix: Uint8Array): boolean {
    const at = this.#lowerBound(suffix);
    const item = this.#items[at];
    if (item === undefined || !equalBytes(item.suffix, suffix)) return false;
    this.#items.splice(at, 1);
    this.changed = true;
    return true;
  }

  /** @returns the bytes to store; null: nothing is left */
  pack(): Uint8Array | null {
    return this.#items.length === 0 ? null : writeBucket(this.#items);
  }

  #lowerBound(suffix: Uint8Array): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(this.#items[middle]!.suffix, suffix) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * A transaction that takes each bucket apart once and puts it together once, however many of its keys change: without it four thousand keys of one bucket
 * would be four thousand rewrites of all of it. Scans see what was settled only.
 */
export class BucketTransaction {
  readonly inner: BackendTransaction;
  readonly #open = new Map<string, { table: TableName; physical: Uint8Array; bucket: OpenBucket }>();

  constructor(inner: BackendTransaction) {
    this.inner = inner;
  }

  bucket(table: TableName, physical: Uint8Array): OpenBucket {
    const name = `${table} ${Buffer.from(physical).toString('latin1')}`;
    let entry = this.#open.get(name);
    if (entry === undefined) {
      entry = { table, physical, bucket: new OpenBucket(this.inner.get(table, physical)) };
      this.#open.set(name, entry);
    }
    return entry.bucket;
  }

  /** Stores what changed. */
  settle(): void {
    for (const { table, physical, bucket } of this.#open.values()) {
      if (!bucket.changed) continue;
      const bytes = bucket.pack();
      if (bytes === null) this.inner.remove(table, physical);
      else this.inner.put(table, physical, bytes);
    }
    this.#open.clear();
  }
}

/** A table (or the part of it after `prefix`) whose keys may be of any length. */
export class KeyTable {
  readonly name: TableName;
  readonly #prefix: Uint8Array;

  constructor(name: TableName, prefix: Uint8Array = EMPTY) {
    this.name = name;
    this.#prefix = prefix;
  }

  #physical(key: Uint8Array): Uint8Array {
    const own = tableKey(key);
    return this.#prefix.length === 0 ? own : concat(this.#prefix, own);
  }

  /** The bytes are valid until the next call on the reader. */
  get(reader: Pick<BackendReader, 'get'> | BucketTransaction, key: Uint8Array): Uint8Array | undefined {
    const physical = this.#physical(key);
    const direct = reader instanceof BucketTransaction ? reader.inner : reader;
    if (!isLongKey(key)) return direct.get(this.name, physical);
    const suffix = key.subarray(MAX_SHORT_KEY_BYTES);
    if (reader instanceof BucketTransaction) return reader.bucket(this.name, physical).get(suffix);
    const bytes = direct.get(this.name, physical);
    return bytes === undefined ? undefined : findInBucket(bytes, suffix);
  }

  /** Visits `[low, high)` in key order until `visit` returns false; views are valid during the call only. */
  scan(
    reader: Pick<BackendReader, 'scan'>,
    low: Uint8Array,
    high: Uint8Array | null,
    visit: (key: Uint8Array, value: Uint8Array) => boolean,
  ): void {
    const prefixBytes = this.#prefix.length;
    reader.scan(this.name, this.physicalRange(low, high), (physical, value) => {
      const own = prefixBytes === 0 ? physical : physical.subarray(prefixBytes);
      if (own.length <= MAX_SHORT_KEY_BYTES) return visit(own, value);
      const head = own.subarray(0, MAX_SHORT_KEY_BYTES);
      for (const item of readBucket(value)) {
        const key = concat(head, item.suffix);
        if (compareBytes(key, low) < 0) continue;
        if (high !== null && compareBytes(key, high) >= 0) return false;
        if (!visit(key, item.value)) return false;
      }
      return true;
    });
  }

  /** Table keys that hold `[low, high)`: exact for short keys; the buckets at its ends may hold others too. */
  physicalRange(low: Uint8Array, high: Uint8Array | null): { low: Uint8Array; high: Uint8Array | null } {
    const from = this.#physical(low);
    if (high !== null) {
      const to = this.#physical(high);
      // A long `high` lies inside its bucket, so the bucket itself is included.
      return { low: from, high: isLongKey(high) ? concat(to, new Uint8Array(1)) : to };
    }
    return { low: from, high: prefixEnd(this.#prefix) };
  }

  put(transaction: BackendTransaction | BucketTransaction, key: Uint8Array, value: Uint8Array): void {
    const physical = this.#physical(key);
    if (!isLongKey(key)) {
      const direct = transaction instanceof BucketTransaction ? transaction.inner : transaction;
      direct.put(this.name, physical, value);
      return;
    }
    const suffix = key.subarray(MAX_SHORT_KEY_BYTES);
    inBuckets(transaction, (buckets) => buckets.bucket(this.name, physical).put(suffix, value));
  }

  /** @returns whether the key was there */
  remove(transaction: BackendTransaction | BucketTransaction, key: Uint8Array): boolean {
    const physical = this.#physical(key);
    if (!isLongKey(key)) {
      const direct = transaction instanceof BucketTransaction ? transaction.inner : transaction;
      return direct.remove(this.name, physical);
    }
    const suffix = key.subarray(MAX_SHORT_KEY_BYTES);
    return inBuckets(transaction, (buckets) => buckets.bucket(this.name, physical).remove(suffix));
  }
}

/** Does one change, at once when the transaction does not gather them. */
function inBuckets<T>(
  transaction: BackendTransaction | BucketTransaction,
  change: (buckets: BucketTransaction) => T,
): T {
  if (transaction instanceof BucketTransaction) return change(transaction);
  const buckets = new BucketTransaction(transaction);
  const result = change(buckets);
  buckets.settle();
  return result;
}

/** Least byte string above everything that begins with `prefix`; null when there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array | null {
  for (let length = prefix.length; length > 0; length--) {
    if (prefix[length - 1]! < 0xff) {
      const end = prefix.slice(0, length);
      end[length - 1]!++;
      return end;
    }
  }
  return null;
}
