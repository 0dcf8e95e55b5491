/**
 * Pages by id, read when first asked for and kept in a cache of bounded size.
 *
 * The least recently used go first; a page of more than a quarter of the bound is not kept. Keys and values are views into
 * pages: one that is kept by its user outlives the cache's interest in it, and keeps its page in memory.
 */
import { BoltError, damaged } from './errors.ts';
import { PAGE_HEADER_BYTES } from './format.ts';
import type { Meta } from './meta.ts';
import { checkPage, type Page, type PageHeader, readHeader } from './page.ts';
import type { BoltSource } from './source.ts';

export class PageStore {
  readonly meta: Meta;
  readonly #source: BoltSource;
  readonly #maxBytes: number;
  readonly #pages = new Map<number, Page>();
  #bytes = 0;

  constructor(source: BoltSource, meta: Meta, cacheBytes: number) {
    this.#source = source;
    this.meta = meta;
    this.#maxBytes = cacheBytes;
  }

  /** A page of a tree. @throws BoltError */
  page(id: number): Page {
    const known = this.#pages.get(id);
    if (known !== undefined) {
      this.#pages.delete(id);
      this.#pages.set(id, known);
      return known;
    }
    const { header, bytes } = this.raw(id);
    const page = checkPage(id, header, bytes, this.meta.highWater);
    if (bytes.length <= this.#maxBytes / 4) this.#keep(id, page);
    return page;
  }

  /** A page of any kind with its overflow. @throws BoltError */
  raw(id: number): { header: PageHeader; bytes: Uint8Array } {
    const { pageBytes, highWater } = this.meta;
    if (id < 2 || id >= highWater) throw damaged(id, `outside [2, ${highWater})`);
    const first = this.#read(id, pageBytes);
    const header = readHeader(first);
    if (header.id !== id) throw damaged(id, `says that it is page ${header.id ?? 'beyond 2^53'}`);
    if (header.overflow === 0) return { header, bytes: first };
    if (id + header.overflow >= highWater)
      throw damaged(id, `its ${header.overflow} overflow pages end outside [2, ${highWater})`);
    return { header, bytes: this.#read(id, (1 + header.overflow) * pageBytes) };
  }

  #read(id: number, length: number): Uint8Array {
    const bytes = this.#source.read(id * this.meta.pageBytes, length);
    if (bytes.length !== length || length < PAGE_HEADER_BYTES)
      throw new BoltError('damaged', id, 'the file ends inside it');
    return bytes;
  }

  #keep(id: number, page: Page): void {
    this.#pages.set(id, page);
    this.#bytes += page.bytes.length;
    for (const [oldest, { bytes }] of this.#pages) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#pages.delete(oldest);
      this.#bytes -= bytes.length;
    }
  }
}
