/**
 * A run of consecutive records in memory, in revision order, as bytes in a few large chunks and numbers in typed arrays.
 *
 * One segment is *active* and takes new records. It is *sealed* when its records go to the writer, *flushed* when `log`
 * holds them durably; flushed segments stay a while as the ring that serves watch resumptions and fresh values. Chunks never
 * change or move, so views into them may be handed out and kept (a kept view keeps its chunk of at most 256 KiB, or its own record).
 */
import { type RecordFields, recordBytes, writeRecord } from '../log-record.ts';
import { REVISION_KEY_BYTES, writeRevisionKey, writeUint32 } from '../revision.ts';
import type { RecordFrame } from '../stored-record.ts';

const FIRST_CHUNK_BYTES = 16 << 10;
const CHUNK_BYTES = 256 << 10;
/** A record of this size that does not fit into the chunk gets one of its own: a few of them would leave much of a chunk unused. */
const LARGE_RECORD_BYTES = 32 << 10;
/** A record's revision key and length, in front of it: chunks are what the writer gets, as they are. */
const FRAME_BYTES = REVISION_KEY_BYTES + 4;
/** What a record costs besides its own bytes. */
const INDEX_BYTES = 24;

export class RecordSegment {
  #chunks: Uint8Array[] = [];
  #chunk: Uint8Array = new Uint8Array(0);
  #used = 0;
  #count = 0;
  #bytes = 0;
  #main = new Float64Array(64);
  #sub = new Uint32Array(64);
  #chunkOf = new Uint32Array(64);
  #start = new Uint32Array(64);
  #end = new Uint32Array(64);

  get count(): number {
    return this.#count;
  }

  /** Memory that the records take, index included. */
  get bytes(): number {
    return this.#bytes;
  }

  get firstMain(): number {
    return this.#count === 0 ? 0 : this.#main[0]!;
  }

  get lastMain(): number {
    return this.#count === 0 ? 0 : this.#main[this.#count - 1]!;
  }

  main(index: number): number {
    return this.#main[index]!;
  }

  sub(index: number): number {
    return this.#sub[index]!;
  }

  frame(index: number): RecordFrame {
    return {
      bytes: this.#chunks[this.#chunkOf[index]!]!,
      start: this.#start[index]!,
      end: this.#end[index]!,
    };
  }

  /**
   * All records framed one after the other, `{ revision key, length 4 bytes, record }*`.
   * @param bufferOf where they go: a buffer of at least so many bytes, which nobody else uses
   */
  pack(bufferOf: (bytes: number) => ArrayBuffer): Uint8Array<ArrayBuffer> {
    const length = this.#bytes - this.#count * INDEX_BYTES;
    const packed = new Uint8Array(bufferOf(length), 0, length);
    let at = 0;
    for (let chunk = 0, index = 0; chunk < this.#chunks.length; chunk++) {
      // The last record of a chunk tells how much of it is used.
      let end = 0;
      for (; index < this.#count && this.#chunkOf[index] === chunk; index++) end = this.#end[index]!;
      packed.set(this.#chunks[chunk]!.subarray(0, end), at);
      at += end;
    }
    return packed;
  }

  append(fields: RecordFields): void {
    const length = recordBytes(fields);
    const size = FRAME_BYTES + length;
    if (this.#chunk.length - this.#used < size) this.#addChunk(size);
    if (this.#count === this.#main.length) this.#grow();
    const index = this.#count++;
    this.#main[index] = fields.main;
    this.#sub[index] = fields.sub;
    this.#chunkOf[index] = this.#chunks.length - 1;
    writeRevisionKey(this.#chunk, this.#used, fields.main, fields.sub);
    writeUint32(this.#chunk, this.#used + REVISION_KEY_BYTES, length);
    this.#start[index] = this.#used + FRAME_BYTES;
    this.#used = writeRecord(this.#chunk, this.#used + FRAME_BYTES, fields);
    this.#end[index] = this.#used;
    this.#bytes += size + INDEX_BYTES;
  }

  /** Forgets the records from `count` on: an aborted transaction. Nobody may hold views of them. */
  truncate(count: number): void {
    while (this.#count > count) {
      const index = --this.#count;
      this.#bytes -= this.#end[index]! - this.#start[index]! + FRAME_BYTES + INDEX_BYTES;
      this.#chunks.length = this.#chunkOf[index]! + 1;
      this.#chunk = this.#chunks[this.#chunks.length - 1]!;
      this.#used = this.#start[index]! - FRAME_BYTES;
    }
  }

  /** Index of the first record at or above a revision: `count` when there is none. */
  lowerBound(main: number, sub: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.#main[middle]!;
      if (at < main || (at === main && this.#sub[middle]! < sub)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @returns -1 when it is not here */
  find(main: number, sub: number): number {
    const index = this.lowerBound(main, sub);
    return index < this.#count && this.#main[index] === main && this.#sub[index] === sub ? index : -1;
  }

  #addChunk(size: number): void {
    const usual = this.#chunks.length === 0 ? FIRST_CHUNK_BYTES : CHUNK_BYTES;
    const bytes = size >= LARGE_RECORD_BYTES ? size : Math.max(usual, size);
    // Not cleared: nothing is read that was not written. A plain Uint8Array, like all bytes of a store.
    this.#chunk = new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
    this.#chunks.push(this.#chunk);
    this.#used = 0;
  }

  #grow(): void {
    const capacity = this.#main.length * 2;
    this.#main = grown(this.#main, new Float64Array(capacity));
    this.#sub = grown(this.#sub, new Uint32Array(capacity));
    this.#chunkOf = grown(this.#chunkOf, new Uint32Array(capacity));
    this.#start = grown(this.#start, new Uint32Array(capacity));
    this.#end = grown(this.#end, new Uint32Array(capacity));
  }
}

function grown<T extends Float64Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
