/**
 * A bbolt file, read.
 *
 *     const source = openFile('/var/lib/etcd/member/snap/db');
 *     const file = new BoltFile(source);
 *     for (const { key, value } of file.bucket('key')!.entries()) ...
 *
 * Nothing is read but the pages that are asked for, and of those only a bounded number is kept. The file is taken as it was
 * when opened: somebody who writes to it at the same time can make reads fail, never succeed with something that never was
 * in it. Read next: `cursor.ts`, `page.ts`.
 */
import { BoltBucket } from './bucket.ts';
import { damaged } from './errors.ts';
import { findMeta, type Meta } from './meta.ts';
import { PageStore } from './page-store.ts';
import type { BoltSource } from './source.ts';

export interface BoltFileOptions {
  /** Most bytes of pages kept in memory. Default 8 MiB. */
  readonly cacheBytes?: number;
}

const DEFAULT_CACHE_BYTES = 8 * 1024 * 1024;

export class BoltFile {
  readonly meta: Meta;
  /** The outermost bucket: holds nothing but buckets. */
  readonly root: BoltBucket;
  /** For `check.ts`. */
  readonly pages: PageStore;

  /** @throws BoltError */
  constructor(source: BoltSource, options: BoltFileOptions = {}) {
    this.meta = findMeta(source);
    this.pages = new PageStore(source, this.meta, options.cacheBytes ?? DEFAULT_CACHE_BYTES);
    const { rootPageId, rootSequence } = this.meta;
    if (rootPageId === 0) throw damaged(0, 'the outermost bucket has no page');
    this.root = new BoltBucket(this.pages, this.pages.page(rootPageId), rootSequence, []);
  }

  /** Bytes that the pages in use and the free ones among them take. */
  get usedBytes(): number {
    return this.meta.highWater * this.meta.pageBytes;
  }

  /** @returns null when there is none @throws BoltError */
  bucket(name: string | Uint8Array): BoltBucket | null {
    return this.root.bucket(typeof name === 'string' ? Buffer.from(name) : name);
  }

  /** Names of the outermost buckets, in order. */
  bucketNames(): Uint8Array[] {
    return [...this.root.entries()].filter((entry) => entry.isBucket).map((entry) => entry.key);
  }
}
