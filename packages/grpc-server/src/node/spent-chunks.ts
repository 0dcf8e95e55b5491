/**
 * Memory of large socket chunks, freed when the turn that read them ends.
 *
 * Node allocates a chunk for each read, outside of V8's heap. Left to the collector they set its pace: after 64 MiB of such memory V8
 * marks the whole heap, however little lives in it. Nobody may hold bytes of a chunk beyond its turn (`handler.ts`), so it can go at once,
 * and the allocator has the same warm memory for the next read.
 */

/** Smaller ones are cheaper to leave. */
const MIN_BYTES = 16 * 1024;

export class SpentChunks {
  readonly #afterTurn: (callback: () => void) => void;
  #spent: ArrayBuffer[] = [];

  /** @param afterTurn runs a callback when the handlers of this turn have run */
  constructor(afterTurn: (callback: () => void) => void) {
    this.#afterTurn = afterTurn;
  }

  /** @param chunk as a socket gave it: nobody has other bytes of its memory */
  add(chunk: Buffer): void {
    const { buffer } = chunk;
    // Memory that is shared with others is larger than the chunk.
    if (chunk.length < MIN_BYTES || buffer.byteLength !== chunk.length) return;
    if (this.#spent.length === 0) this.#afterTurn(() => this.#free());
    this.#spent.push(buffer as ArrayBuffer);
  }

  #free(): void {
    const spent = this.#spent;
    this.#spent = [];
    for (const buffer of spent) buffer.transfer(0);
  }
}
