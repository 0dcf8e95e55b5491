/**
 * A bucket: a sorted map of keys to values, some of which are buckets themselves.
 *
 * Its value in the parent is a header (root page id 8, sequence 8). Root 0 means *inline*: a small leaf page follows the
 * header instead of having a page of its own.
 */
import { BoltCursor } from './cursor.ts';
import { BoltError, damaged } from './errors.ts';
import {
  BUCKET_HEADER_BYTES,
  compareKeys,
  MAX_NESTING,
  PAGE_HEADER_BYTES,
  readUint64,
  view,
} from './format.ts';
import { checkPage, type Page, readHeader } from './page.ts';
import type { PageStore } from './page-store.ts';

export interface BoltEntry {
  readonly key: Uint8Array;
  /** Empty for a bucket. */
  readonly value: Uint8Array;
  readonly isBucket: boolean;
}

export class BoltBucket {
  /** A counter of its users' own. */
  readonly sequence: number;
  readonly #pages: PageStore;
  readonly #root: Page;
  /** Root pages of the buckets around this one: one of them inside it would make the file endless. */
  readonly #around: readonly number[];

  /** `BoltFile.root` is the outermost; `bucket()` leads to the others. */
  constructor(pages: PageStore, root: Page, sequence: number, around: readonly number[]) {
    this.#pages = pages;
    this.#root = root;
    this.sequence = sequence;
    this.#around = around;
  }

  /** Page the bucket begins at; 0: inline. */
  get rootPageId(): number {
    return this.#root.id;
  }

  cursor(): BoltCursor {
    return new BoltCursor(this.#pages, this.#root);
  }

  /** @returns null when there is none @throws BoltError on damage, or when `key` is a bucket */
  get(key: Uint8Array): Uint8Array | null {
    const cursor = this.#find(key);
    if (cursor === null) return null;
    if (cursor.isBucket) throw new BoltError('wrong-kind', cursor.pageId, 'a bucket was read as a value');
    return cursor.value;
  }

  /** @returns null when there is none @throws BoltError on damage, or when `name` is a value */
  bucket(name: Uint8Array): BoltBucket | null {
    const cursor = this.#find(name);
    return cursor === null ? null : this.open(cursor);
  }

  /** The bucket at which `cursor` is. */
  open(cursor: BoltCursor): BoltBucket {
    const { pageId, value } = cursor;
    if (!cursor.isBucket) throw new BoltError('wrong-kind', pageId, 'a value was read as a bucket');
    if (value.length < BUCKET_HEADER_BYTES) throw damaged(pageId, 'a bucket is shorter than its header');
    const header = view(value);
    const rootId = readUint64(header, 0);
    const sequence = readUint64(header, 8);
    if (rootId === null || sequence === null) throw damaged(pageId, 'a number of a bucket is out of range');
    if (this.#around.length >= MAX_NESTING)
      throw damaged(pageId, `buckets are nested more than ${MAX_NESTING} deep`);
    const around = [...this.#around, this.#root.id];
    if (rootId !== 0) {
      if (around.includes(rootId)) throw damaged(rootId, 'a bucket contains itself');
      return new BoltBucket(this.#pages, this.#pages.page(rootId), sequence, around);
    }
    const bytes = value.subarray(BUCKET_HEADER_BYTES);
    if (bytes.length < PAGE_HEADER_BYTES)
      throw damaged(pageId, 'an inline bucket is shorter than a page header');
    const root = checkPage(pageId, readHeader(bytes), bytes, this.#pages.meta.highWater, 0);
    if (!root.isLeaf) throw damaged(pageId, 'an inline bucket is not a leaf');
    return new BoltBucket(this.#pages, root, sequence, around);
  }

  /** Everything in it, in key order. */
  *entries(from?: Uint8Array): Generator<BoltEntry> {
    const cursor = this.cursor();
    for (let more = from === undefined ? cursor.first() : cursor.seek(from); more; more = cursor.next()) {
      const { isBucket } = cursor;
      yield { key: cursor.key, value: isBucket ? NOTHING : cursor.value, isBucket };
    }
  }

  #find(key: Uint8Array): BoltCursor | null {
    const cursor = this.cursor();
    return cursor.seek(key) && compareKeys(cursor.key, key) === 0 ? cursor : null;
  }
}

const NOTHING = new Uint8Array(0);
