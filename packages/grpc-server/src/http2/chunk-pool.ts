/**
 * Memory for outgoing frames, used again as soon as the socket has taken what was in it.
 *
 * A hundred watchers on ten connections need ten chunks for every event: taken from the heap, each is a page that the
 * kernel has to clear and a buffer that the garbage collector has to find. Here the chunk that was given back last is
 * taken first, so it is still in the processor's cache.
 *
 * Chunks are never slices of Node's shared slabs: whoever keeps a small slice for long (the log keeps the newest
 * entries) would keep the chunks beside it too.
 */

const SMALLEST_LOG2 = 9;
export const MIN_CHUNK_BYTES = 1 << SMALLEST_LOG2;
export const MAX_CHUNK_BYTES = 64 * 1024;
/** What may wait to be used again. */
const KEPT_BYTES = 1024 * 1024;

export class ChunkPool {
  /** By size, from 512 bytes in powers of two; newest last. */
  readonly #free: Buffer[][] = [];
  #freeBytes = 0;

  /** @returns a chunk of at least `bytes` (at most `MAX_CHUNK_BYTES` may be asked for), with anything in it */
  take(bytes: number): Buffer {
    const log2 = sizeLog2(bytes);
    const chunk = this.#free[log2 - SMALLEST_LOG2]?.pop();
    if (chunk === undefined) return Buffer.allocUnsafeSlow(1 << log2);
    this.#freeBytes -= chunk.length;
    return chunk;
  }

  /** Nobody may look at the chunk any more. */
  giveBack(chunk: Buffer): void {
    if (this.#freeBytes + chunk.length > KEPT_BYTES) return;
    this.#freeBytes += chunk.length;
    const size = sizeLog2(chunk.length) - SMALLEST_LOG2;
    this.#free[size] ??= [];
    this.#free[size].push(chunk);
  }
}

function sizeLog2(bytes: number): number {
  return bytes <= MIN_CHUNK_BYTES ? SMALLEST_LOG2 : 32 - Math.clz32(bytes - 1);
}
