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
  get(reader: Pick<BackendReader, 'get'>, key: Uint8Array): Uint8Array | undefined {
    const bytes = reader.get(this.name, this.#physical(key));
    if (bytes === undefined || !isLongKey(key)) return bytes;
    const suffix = key.subarray(MAX_SHORT_KEY_BYTES);
    return readBucket(bytes).find((item) => equalBytes(item.suffix, suffix))?.value;
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

  put(transaction: BackendTransaction, key: Uint8Array, value: Uint8Array): void {
    const physical = this.#physical(key);
    if (!isLongKey(key)) {
      transaction.put(this.name, physical, value);
      return;
    }
    const items = this.#bucketItems(transaction, physical);
    const suffix = key.subarray(MAX_SHORT_KEY_BYTES);
    const at = items.findIndex((item) => compareBytes(item.suffix, suffix) >= 0);
    if (at === -1) items.push({ suffix, value });
    else if (equalBytes(items[at]!.suffix, suffix)) items[at] = { suffix, value };
    else items.splice(at, 0, { suffix, value });
    transaction.put(this.name, physical, writeBucket(items));
  }

  /** @returns whether the key was there */
  remove(transaction: BackendTransaction, key: Uint8Array): boolean {
    const physical = this.#physical(key);
    if (!isLongKey(key)) return transaction.remove(this.name, physical);
    const items = this.#bucketItems(transaction, physical);
    const suffix = key.subarray(MAX_SHORT_KEY_BYTES);
    const at = items.findIndex((item) => equalBytes(item.suffix, suffix));
    if (at === -1) return false;
    items.splice(at, 1);
    if (items.length === 0) transaction.remove(this.name, physical);
    else transaction.put(this.name, physical, writeBucket(items));
    return true;
  }

  #bucketItems(transaction: BackendTransaction, physical: Uint8Array): BucketItem[] {
    const bytes = transaction.get(this.name, physical);
    return bytes === undefined ? [] : readBucket(copyBytes(bytes));
  }
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
