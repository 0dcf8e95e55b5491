/**
 * A run of keys as it goes on the wire: the live records of `[from, to)` in key order, ready to be sent, and where each of them begins.
 *
 *   bytes   12 len KeyValue | 12 len KeyValue | 12 len KeyValue
 *   start   0                 58                117               175
 *   word    "a/01"            "a/07"            "b/00"
 *
 * A range within the run is two binary searches and a view of `bytes`. An image never changes: a change in the run makes it worthless.
 *
 * All keys of the run begin with the same bytes; `word` is the four that follow in each, as one number, zeros where a key ends. A search goes by the words, which lie together,
 * and looks at keys, which are strewn over hundreds of kilobytes, only where words are equal.
 */
import { readVarint, varintEnd } from '../../varint.ts';

/** What an image costs besides its arrays. */
const OBJECT_BYTES = 400;

export class RunImage {
  readonly #bytes: Uint8Array;
  readonly #start: Uint32Array;
  readonly #words: Uint32Array;
  /** Bytes that all keys begin with. */
  readonly #common: number;
  /** Where a key ends, left by `#keyStart`. */
  #keyEnd = 0;

  /** @param start offset of each record, and at last the length of `bytes` */
  constructor(bytes: Uint8Array, start: Uint32Array) {
    this.#bytes = bytes;
    this.#start = start;
    this.#words = new Uint32Array(this.count);
    this.#common = this.count === 0 ? 0 : commonBytes(this.key(0), this.key(this.count - 1));
    for (let i = 0; i < this.count; i++) {
      const at = this.#keyStart(i);
      this.#words[i] = wordAt(bytes, at + this.#common, this.#keyEnd);
    }
  }

  get count(): number {
    return this.#start.length - 1;
  }

  /** Memory that it takes. */
  get size(): number {
    return this.#bytes.length + this.#start.byteLength + this.#words.byteLength + OBJECT_BYTES;
  }

  /** The first record whose key is not below `key`; `count` when there is none. */
  lowerBound(key: Uint8Array): number {
    const { count } = this;
    if (count === 0) return 0;
    const order = this.#compareCommon(key);
    if (order !== 0) return order < 0 ? count : 0;
    const word = wordAt(key, this.#common, key.length);
    const words = this.#words;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = words[middle]!;
      if (at < word || (at === word && this.#compare(middle, key) < 0)) low = middle + 1;
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

  /** Leaves the end in `#keyEnd`. Every key has at least one byte, so each `KeyValue` begins with its key. */
  #keyStart(index: number): number {
    readVarint(this.#bytes, this.#start[index]! + 1);
    const keyBytes = readVarint(this.#bytes, varintEnd + 1);
    this.#keyEnd = varintEnd + keyBytes;
    return varintEnd;
  }

  /** Order of what all keys begin with against `key`: 0 when it begins with that too. */
  #compareCommon(key: Uint8Array): number {
    const start = this.#keyStart(0);
    for (let i = 0; i < this.#common; i++) {
      const difference = this.#bytes[start + i]! - (key[i] ?? -1);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #compare(index: number, key: Uint8Array): number {
    const bytes = this.#bytes;
    const start = this.#keyStart(index);
    const length = this.#keyEnd - start;
    const shorter = Math.min(length, key.length);
    for (let i = this.#common; i < shorter; i++) {
      const difference = bytes[start + i]! - key[i]!;
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }
}

function commonBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  let common = 0;
  while (common < shorter && a[common] === b[common]) common++;
  return common;
}

/** Up to four bytes from `at` on, the first one greatest. */
function wordAt(bytes: Uint8Array, at: number, end: number): number {
  let word = 0;
  for (let i = 0; i < 4; i++) word = word * 256 + (at + i < end ? bytes[at + i]! : 0);
  return word;
}
