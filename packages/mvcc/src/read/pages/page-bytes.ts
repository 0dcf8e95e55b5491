/**
 * The bytes of a page under construction: records as fields of a `RangeResponse`, one after the other.
 *
 *   chunk 1: own bytes      chunk 2: part of an image      chunk 3: own bytes
 *   12 len KeyValue ...     12 len KeyValue ...            12 len KeyValue ...
 *
 * Records are copied once, from where they are stored into the page; parts of run images are not copied at all. Chunks that were made never move, so a page may be
 * kept as long as anybody likes.
 */
import { varintBytes, writeVarint } from '../../varint.ts';

/** Field 2 of `RangeResponse`, length-delimited. */
const RECORD_TAG = 0x12;
const FIRST_CHUNK_BYTES = 8 << 10;
const CHUNK_BYTES = 64 << 10;

export class PageBytes {
  readonly #chunks: Uint8Array[] = [];
  #chunk: Buffer = NOTHING;
  /** What of the chunk is in the list already. */
  #start = 0;
  #used = 0;
  #closedBytes = 0;

  get bytes(): number {
    return this.#closedBytes + this.#used - this.#start;
  }

  /** Copies the `KeyValue` in `[start, end)` of `source`. @returns the bytes it takes as a field */
  record(source: Uint8Array, start: number, end: number): number {
    const length = end - start;
    const size = 1 + varintBytes(length) + length;
    if (this.#chunk.length - this.#used < size) this.#nextChunk(size);
    const chunk = this.#chunk;
    chunk[this.#used] = RECORD_TAG;
    const at = writeVarint(chunk, this.#used + 1, length);
    copyInto(chunk, at, source, start, end);
    this.#used += size;
    return size;
  }

  /** Takes bytes that never change as they are. */
  share(bytes: Uint8Array): void {
    this.#close();
    this.#chunks.push(bytes);
    this.#closedBytes += bytes.length;
  }

  finish(): readonly Uint8Array[] {
    this.#close();
    return this.#chunks;
  }

  #close(): void {
    if (this.#used === this.#start) return;
    this.#chunks.push(this.#chunk.subarray(this.#start, this.#used));
    this.#closedBytes += this.#used - this.#start;
    this.#start = this.#used;
  }

  #nextChunk(size: number): void {
    this.#close();
    const usual = this.#closedBytes === 0 ? FIRST_CHUNK_BYTES : CHUNK_BYTES;
    this.#chunk = Buffer.allocUnsafeSlow(Math.max(usual, size));
    this.#start = this.#used = 0;
  }
}

const NOTHING = Buffer.alloc(0);

/** A native copy costs about 50 ns before the first byte: short records are copied here. */
const NATIVE_COPY_FROM = 48;

function copyInto(target: Buffer, at: number, source: Uint8Array, start: number, end: number): void {
  if (end - start >= NATIVE_COPY_FROM) {
    Buffer.prototype.copy.call(source, target, at, start, end);
    return;
  }
  for (let i = start; i < end; i++) target[at++] = source[i]!;
}
