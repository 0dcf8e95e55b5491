/**
 * An ordered walk through one bucket.
 *
 * A stack of (page, index) from the root down. On the way down each page must fit between its parent's keys; so no page can
 * be met twice in a walk, whatever the file claims, and every walk ends. Pages may still claim the same overflow pages: a walk that
 * has read more bytes than the file has ends there.
 */
import { damaged } from './errors.ts';
import { compareKeys, MAX_DEPTH } from './format.ts';
import type { Page } from './page.ts';
import type { PageStore } from './page-store.ts';

interface Level {
  readonly page: Page;
  index: number;
  /** Keys of this page are below it; null: no bound. */
  readonly high: Uint8Array | null;
}

export class BoltCursor {
  readonly #pages: PageStore;
  readonly #root: Page;
  readonly #stack: Level[] = [];
  /** Bytes of all pages entered since the walk began. */
  #walkedBytes = 0;

  /** `BoltBucket.cursor` makes one. */
  constructor(pages: PageStore, root: Page) {
    this.#pages = pages;
    this.#root = root;
  }

  /** Moves to the first element. @returns whether there is one @throws BoltError on a damaged page */
  first(): boolean {
    return this.#start(() => 0);
  }

  /** Moves to the first element whose key is not below `key`. @returns whether there is one @throws BoltError */
  seek(key: Uint8Array): boolean {
    return this.#start((page) => {
      const at = page.lowerBound(key);
      if (page.isLeaf) return at;
      // The child that may hold `key` is the last one that begins at or before it.
      return at < page.count && compareKeys(page.key(at), key) === 0 ? at : Math.max(0, at - 1);
    });
  }

  /** @returns whether there is a further element @throws BoltError */
  next(): boolean {
    const leaf = this.#stack.at(-1);
    if (leaf === undefined) return false;
    leaf.index++;
    return this.#settle();
  }

  /** Of the element the cursor is at. A view into its page. */
  get key(): Uint8Array {
    const { page, index } = this.#leaf();
    return page.key(index);
  }

  /** For a bucket: its header, and its page when it is inline. */
  get value(): Uint8Array {
    const { page, index } = this.#leaf();
    return page.value(index);
  }

  get isBucket(): boolean {
    const { page, index } = this.#leaf();
    return page.isBucket(index);
  }

  /** The page it is on, for messages; 0: inside another one. */
  get pageId(): number {
    return this.#leaf().page.id;
  }

  #start(choose: (page: Page) => number): boolean {
    this.#stack.length = 0;
    this.#walkedBytes = 0;
    this.#push(this.#root, null, null, choose);
    this.#descend(choose);
    return this.#settle();
  }

  #leaf(): Level {
    const leaf = this.#stack.at(-1);
    if (leaf === undefined) throw new RangeError('the cursor is at no element');
    return leaf;
  }

  /** From an index that may be past its leaf to an element, or to an empty stack. */
  #settle(): boolean {
    for (;;) {
      const top = this.#stack.at(-1);
      if (top === undefined) return false;
      if (top.index < top.page.count) {
        if (top.page.isLeaf) return true;
        this.#descend(() => 0);
        continue;
      }
      this.#stack.pop();
      const parent = this.#stack.at(-1);
      if (parent !== undefined) parent.index++;
    }
  }

  /** From the top of the stack to a leaf; `choose` says where to go in each page that is entered. */
  #descend(choose: (page: Page) => number): void {
    for (let top = this.#stack.at(-1)!; !top.page.isLeaf; top = this.#stack.at(-1)!) {
      const { page, index } = top;
      const high = index + 1 < page.count ? page.key(index + 1) : top.high;
      this.#push(this.#pages.page(page.child(index)!), page.key(index), high, choose);
    }
  }

  #push(page: Page, low: Uint8Array | null, high: Uint8Array | null, choose: (page: Page) => number): void {
    if (this.#stack.length >= MAX_DEPTH) throw damaged(page.id, `the tree is deeper than ${MAX_DEPTH} pages`);
    this.#walkedBytes += page.bytes.length;
    if (this.#walkedBytes > this.#pages.meta.highWater * this.#pages.meta.pageBytes)
      throw damaged(page.id, 'the pages up to it overlap: they are larger than the file');
    if (low !== null && page.count === 0) throw damaged(page.id, 'an empty leaf inside a tree');
    if (low !== null && compareKeys(page.key(0), low) < 0)
      throw damaged(page.id, 'its first key is below the one that leads to it');
    if (high !== null && compareKeys(page.key(page.count - 1), high) >= 0)
      throw damaged(page.id, 'its last key is not below the next page of its parent');
    this.#stack.push({ page, index: choose(page), high });
  }
}
