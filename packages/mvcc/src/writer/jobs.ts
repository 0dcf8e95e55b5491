/**
 * What the main thread asks of the writer, and the encodings of what goes along.
 *
 * Jobs are done one after the other, each in a transaction of its own. Buffers are transferred, not shared: once sent, the main
 * thread does not have them any more.
 */

import { readUint32, writeUint32 } from '../revision.ts';
import type { AppliedState } from '../state.ts';

export type WriterJob =
  /** Records, meta changes and the applied state, all in one transaction. */
  | { kind: 'log'; records: Uint8Array; meta: readonly MetaChange[]; state: AppliedState }
  /** Heads in key order: one part of a flush. The last part moves the watermark. */
  | {
      kind: 'heads';
      entries: Uint8Array;
      flushId: string;
      progress: Uint8Array;
      watermark: number;
      last: boolean;
    }
  /** One slice of physical removal up to the compact revision `target`: so many records are looked at, or removed. */
  | { kind: 'remove'; target: number; maxRecords: number; passRecords: number }
  /** Rewrites the file without free pages. */
  | { kind: 'defragment' }
  /** The fresh database `name`, sealed, becomes the store. */
  | { kind: 'install'; name: string }
  /** The main thread reads the new file now: the writer, which held still since it moved, may go on. */
  | { kind: 'resume' }
  | { kind: 'close' };

export type MetaChange = readonly [table: string, key: Uint8Array, value: Uint8Array | null];

export type WriterResult =
  | { kind: 'done' }
  /** A flush of heads is complete: the count index as it is now. */
  | { kind: 'heads'; blocks: Uint8Array; longKeys: boolean }
  | { kind: 'removed'; finished: boolean }
  /** From now on the writer works on a new generation of the file. */
  | { kind: 'moved' };

/** Frames byte strings one after the other: `{ length 4 bytes, bytes }*`. */
export class FrameWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #used = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  get used(): number {
    return this.#used;
  }

  byte(value: number): void {
    this.#ensure(1);
    this.#bytes[this.#used++] = value;
  }

  uint32(value: number): void {
    this.#ensure(4);
    writeUint32(this.#bytes, this.#used, value);
    this.#used += 4;
  }

  frame(source: Uint8Array, start: number, end: number): void {
    this.uint32(end - start);
    this.#ensure(end - start);
    this.#bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.#used);
    this.#used += end - start;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#used);
  }

  #ensure(size: number): void {
    if (this.#bytes.length - this.#used >= size) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#used + size));
    larger.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = larger;
  }
}

export class FrameReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.#at++]!;
  }

  frame(): Uint8Array {
    const length = readUint32(this.#bytes, this.#at);
    const start = this.#at + 4;
    this.#at = start + length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** The next `length` bytes. */
  take(length: number): Uint8Array {
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }
}
