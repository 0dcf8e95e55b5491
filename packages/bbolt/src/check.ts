/**
 * Looks at every page of a file: each one must be a meta page, on the freelist, part of the freelist, or reached exactly once.
 *
 * Reading alone finds damage where one looks; this finds it everywhere, and pages that two owners share.
 */
import type { BoltBucket } from './bucket.ts';
import { damaged } from './errors.ts';
import type { BoltFile } from './file.ts';
import { MAX_DEPTH, NO_FREELIST, PAGE_HEADER_BYTES, PageFlag, readUint64, view } from './format.ts';

export interface BoltContents {
  /** Pages below the high-water mark. */
  readonly pageCount: number;
  /** Of those, free; null when the file does not say which. */
  readonly freePageCount: number | null;
  /** Keys and values in all buckets; the buckets themselves are not counted. */
  readonly entryCount: number;
  readonly bucketCount: number;
}

/** @throws BoltError with the first thing that is wrong */
export function checkFile(file: BoltFile): BoltContents {
  const { highWater } = file.meta;
  const walk = new Walk(file);
  walk.claim(0, 1);
  walk.claim(1, 1);
  const free = readFreelist(file, walk);
  walk.bucket(file.root);
  if (free !== null) {
    for (let id = 0; id < highWater; id++) if (!walk.seen(id)) throw damaged(id, 'neither in use nor free');
  }
  return {
    pageCount: highWater,
    freePageCount: free,
    entryCount: walk.entryCount,
    bucketCount: walk.bucketCount,
  };
}

/** @returns how many pages are free; null when there is no list */
function readFreelist(file: BoltFile, walk: Walk): number | null {
  const { freelistPageId } = file.meta;
  if (freelistPageId === NO_FREELIST) return null;
  const { header, bytes } = file.pages.raw(freelistPageId);
  if (header.flags !== PageFlag.freelist) throw damaged(freelistPageId, 'is not the list of free pages');
  walk.claim(freelistPageId, 1 + header.overflow);
  const from = view(bytes);
  const fits = Math.floor((bytes.length - PAGE_HEADER_BYTES) / 8);
  // A count that does not fit in 16 bits stands in front of the ids.
  const extended = header.count === 0xffff;
  const count = extended ? readUint64(from, PAGE_HEADER_BYTES) : header.count;
  const first = extended ? 1 : 0;
  if (count === null || first + count > fits)
    throw damaged(freelistPageId, 'lists more pages than fit in it');
  for (let i = first; i < first + count; i++) {
    const id = readUint64(from, PAGE_HEADER_BYTES + 8 * i);
    if (id === null || id < 2 || id >= file.meta.highWater)
      throw damaged(freelistPageId, 'lists a page outside the file');
    walk.claim(id, 1);
  }
  return count;
}

class Walk {
  readonly #file: BoltFile;
  /** A bit per page. */
  readonly #claimed: Uint8Array;
  entryCount = 0;
  bucketCount = 0;

  constructor(file: BoltFile) {
    this.#file = file;
    this.#claimed = new Uint8Array(Math.ceil(file.meta.highWater / 8));
  }

  seen(id: number): boolean {
    return (this.#claimed[id >>> 3]! & (1 << (id & 7))) !== 0;
  }

  claim(id: number, pages: number): void {
    for (let at = id; at < id + pages; at++) {
      if (this.seen(at)) throw damaged(at, 'is used twice');
      this.#claimed[at >>> 3]! |= 1 << (at & 7);
    }
  }

  bucket(bucket: BoltBucket): void {
    if (bucket.rootPageId !== 0) this.#tree(bucket.rootPageId);
    const cursor = bucket.cursor();
    for (let more = cursor.first(); more; more = cursor.next()) {
      if (!cursor.isBucket) {
        this.entryCount++;
        continue;
      }
      this.bucketCount++;
      this.bucket(bucket.open(cursor));
    }
  }

  /** Claims the pages of one tree before its keys are walked: a shared page is named as such. */
  #tree(id: number, depth = 0): void {
    if (depth === MAX_DEPTH) throw damaged(id, `the tree is deeper than ${MAX_DEPTH} pages`);
    const page = this.#file.pages.page(id);
    const owned = Math.ceil(page.bytes.length / this.#file.meta.pageBytes);
    this.claim(id, owned);
    if (page.isLeaf) return;
    for (let index = 0; index < page.count; index++) this.#tree(page.child(index)!, depth + 1);
  }
}
