/**
 * Appends on their way to one follower, bounded by count and by bytes.
 *
 * A ring of (last index, bytes) in the order sent. An answer that covers an index frees everything up to it; a full
 * ring stops the sender until the follower answers (thesis §10.2.1: pipelining needs a window).
 */
import { assert } from '../errors.ts';

export class Inflights {
  readonly #maxCount: number;
  readonly #maxBytes: number;
  #indexes: number[] = [];
  #sizes: number[] = [];
  #start = 0;
  #bytes = 0;

  constructor(limits: { maxCount: number; maxBytes: number }) {
    this.#maxCount = limits.maxCount;
    this.#maxBytes = limits.maxBytes;
  }

  get count(): number {
    return this.#indexes.length - this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** True when nothing more may be sent. The last append sent may overshoot the bytes, so one is always possible. */
  get full(): boolean {
    return this.count >= this.#maxCount || this.#bytes >= this.#maxBytes;
  }

  /** Notes an append whose last entry is `lastIndex`. */
  add(lastIndex: number, bytes: number): void {
    assert(!this.full, 'inflights: an append is sent only while the window is open');
    assert(this.count === 0 || this.#indexes.at(-1)! < lastIndex, 'inflights: indexes rise', lastIndex);
    this.#indexes.push(lastIndex);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** Frees every append whose last entry is at or below `index`. */
  freeTo(index: number): void {
    while (this.count > 0 && this.#indexes[this.#start]! <= index) {
      this.#bytes -= this.#sizes[this.#start]!;
      this.#start += 1;
    }
    if (this.#start > 32 && this.#start * 2 > this.#indexes.length) {
      this.#indexes = this.#indexes.slice(this.#start);
      this.#sizes = this.#sizes.slice(this.#start);
      this.#start = 0;
    }
  }

  reset(): void {
    this.#indexes = [];
    this.#sizes = [];
    this.#start = 0;
    this.#bytes = 0;
  }
}
