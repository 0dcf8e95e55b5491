/**
 * A run of keys as it goes on the wire: the live records of `[from, to)` in key order, ready to be sent, and where each of them begins.
 *
 *   bytes   12 len KeyValue | 12 len KeyValue | 12 len KeyValue
 *   start   0                 58                117               175
 *
 * A range within the run is two binary searches and a view of `bytes`. An image never changes: a change in the run makes it worthless.
 */
import { readVarint, varintEnd } from '../../varint.ts';

/** What an image costs besides its arrays. */
const OBJECT_BYTES = 400;

export class RunImage {
  readonly #bytes: Uint8Array;
  readonly #start: Uint32Array;

  /** @param start offset of each record, and at last the length of `bytes` */
  constructor(bytes: Uint8Array, start: Uint32Array) {
    this.#bytes = bytes;
    this.#start = start;
  }

  get count(): number {
    return this.#start.length - 1;
  }

  /** Memory that it takes. */
  get size(): number {
    return this.#bytes.length + this.#start.byteLength + OBJECT_BYTES;
  }

  /** The first record whose key is not below `key`; `count` when there is none. */
  lowerBound(key: Uint8Array): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(middle, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Records `[first, end)` as they go on the wire. */
  slice(first: number, end: number): Uint8Array {
    return this.#bytes.subarray(this.#start[first]!, this.#start[end]!);
  }

  key(index: number): Uint8Array {
    const start = this.#keyStart(index);
    return this.#bytes.subarray(start, this.#keyEnd);
  }

  #keyEnd = 0;

  /** Leaves the end in `#keyEnd`. Every key has at least one byte, so each `KeyValue` begins with its key. */
  #keyStart(index: number): number {
    readVarint(this.#bytes, this.#start[index]! + 1);
    const keyBytes = readVarint(this.#bytes, varintEnd + 1);
    this.#keyEnd = varintEnd + keyBytes;
    return varintEnd;
  }

  #compare(index: number, key: Uint8Array): number {
    const bytes = this.#bytes;
    const start = this.#keyStart(index);
    const length = this.#keyEnd - start;
    const shorter = Math.min(length, key.length);
    for (let i = 0; i < shorter; i++) {
      const difference = bytes[start + i]! - key[i]!;
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }
}
