/**
 * Header blocks that repeat are decoded once.
 *
 * A client that calls the same method again sends the same bytes again, as long as neither side's dynamic table has
 * moved. A block that leaves the table as it was means the same fields whenever it comes again at that version, so
 * `bytes -> head` may be remembered until the version changes. A client whose blocks always move the table (each with
 * a new `grpc-timeout`, say) never gets an entry, and pays no look-up either.
 */
import type { RequestHead } from './request-head.ts';

const MAX_ENTRIES = 64;
const MAX_BLOCK_BYTES = 512;

export class HeadCache {
  readonly #heads = new Map<string, RequestHead>();
  #version = -1;

  /** @param version of the dynamic table, now */
  find(version: number, bytes: Buffer, start: number, end: number): RequestHead | undefined {
    if (this.#version !== version || end - start > MAX_BLOCK_BYTES) return undefined;
    return this.#heads.get(bytes.toString('latin1', start, end));
  }

  /** @param version of the dynamic table before and after the block was decoded: the block did not change it */
  add(version: number, bytes: Buffer, start: number, end: number, head: RequestHead): void {
    if (end - start > MAX_BLOCK_BYTES) return;
    if (this.#version !== version || this.#heads.size >= MAX_ENTRIES) {
      this.#heads.clear();
      this.#version = version;
    }
    this.#heads.set(bytes.toString('latin1', start, end), head);
  }
}
