/**
 * One page of a tree, checked once and then trusted.
 *
 * A page is a header, a row of fixed-size elements, and the keys and values the elements point at:
 *
 *     header  id 8 · flags 2 · count 2 · overflow 4       overflow: how many more pages belong to this one
 *     branch  position 4 · key bytes 4 · child id 8       position: from the element to its key
 *     leaf    flags 4 · position 4 · key bytes 4 · value bytes 4
 *
 * After `checkPage` the following holds, so that readers need not look again: every key and value lies inside the page and
 * behind the elements, none overlaps another, keys ascend strictly, children are ids that may exist.
 */
import { damaged } from './errors.ts';
import {
  BUCKET_ELEMENT,
  compareKeys,
  ELEMENT_BYTES,
  PAGE_HEADER_BYTES,
  PageFlag,
  readUint64,
  view,
} from './format.ts';

export interface PageHeader {
  readonly id: number | null;
  readonly flags: number;
  readonly count: number;
  readonly overflow: number;
}

export function readHeader(bytes: Uint8Array): PageHeader {
  const from = view(bytes);
  return {
    id: readUint64(from, 0),
    flags: from.getUint16(8, true),
    count: from.getUint16(10, true),
    overflow: from.getUint32(12, true),
  };
}

export class Page {
  /** 0 for the page inside an inline bucket. */
  readonly id: number;
  readonly isLeaf: boolean;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(id: number, isLeaf: boolean, count: number, bytes: Uint8Array) {
    this.id = id;
    this.isLeaf = isLeaf;
    this.count = count;
    this.bytes = bytes;
    this.#view = view(bytes);
  }

  key(index: number): Uint8Array {
    const start = this.keyStart(index);
    return this.bytes.subarray(start, start + this.keyBytes(index));
  }

  /** Of a leaf. */
  value(index: number): Uint8Array {
    const start = this.keyStart(index) + this.keyBytes(index);
    return this.bytes.subarray(start, start + this.valueBytes(index));
  }

  isBucket(index: number): boolean {
    return (this.#view.getUint32(elementAt(index), true) & BUCKET_ELEMENT) !== 0;
  }

  /** Of a branch; null when it is no page id at all. */
  child(index: number): number | null {
    return readUint64(this.#view, elementAt(index) + 8);
  }

  keyStart(index: number): number {
    const at = elementAt(index);
    return at + this.#view.getUint32(at + (this.isLeaf ? 4 : 0), true);
  }

  keyBytes(index: number): number {
    return this.#view.getUint32(elementAt(index) + (this.isLeaf ? 8 : 4), true);
  }

  valueBytes(index: number): number {
    return this.isLeaf ? this.#view.getUint32(elementAt(index) + 12, true) : 0;
  }

  /** The first element whose key is not below `key`; `count` when there is none. */
  lowerBound(key: Uint8Array): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.key(middle), key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function elementAt(index: number): number {
  return PAGE_HEADER_BYTES + index * ELEMENT_BYTES;
}

/**
 * @param at the page that errors name
 * @param bytes the page with its overflow
 * @param highWater one past the highest id a child may have
 * @param id 0 for a page inside an inline bucket
 * @throws BoltError
 */
export function checkPage(
  at: number,
  header: PageHeader,
  bytes: Uint8Array,
  highWater: number,
  id: number = at,
): Page {
  const { flags, count } = header;
  if (flags !== PageFlag.branch && flags !== PageFlag.leaf)
    throw damaged(at, `neither branch nor leaf (flags ${flags})`);
  const isLeaf = flags === PageFlag.leaf;
  if (!isLeaf && count === 0) throw damaged(at, 'a branch without children');
  let free = elementAt(count);
  if (free > bytes.length) throw damaged(at, `${count} elements do not fit in ${bytes.length} bytes`);
  const page = new Page(id, isLeaf, count, bytes);
  let previous: Uint8Array | null = null;
  for (let index = 0; index < count; index++) {
    const start = page.keyStart(index);
    const end = start + page.keyBytes(index) + page.valueBytes(index);
    if (start < free) throw damaged(at, `element ${index} overlaps what is before it`);
    if (end > bytes.length) throw damaged(at, `element ${index} ends outside the page`);
    free = end;
    const key = page.key(index);
    if (previous !== null && compareKeys(previous, key) >= 0)
      throw damaged(at, `the key of element ${index} is not above the one before it`);
    previous = key;
    if (isLeaf) continue;
    const child = page.child(index);
    if (child === null || child < 2 || child >= highWater)
      throw damaged(
        at,
        `element ${index} leads to page ${child ?? 'beyond 2^53'}, outside [2, ${highWater})`,
      );
  }
  return page;
}
