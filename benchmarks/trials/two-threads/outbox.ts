/**
 * Records on their way to the other thread: all of one turn are published together, with one ring of the bell.
 *
 * When the ring is full, records wait here in order. There are never more of them than calls under way, which the transport
 * bounds.
 */
import { aligned, type Memory, memoryOver, type RingWriter } from './byte-ring.ts';
import type { Doorbell } from './doorbell.ts';

export class Outbox {
  readonly #ring: RingWriter;
  readonly #bell: Doorbell;
  #waiting: Memory[] = [];
  #isPublishing = false;

  constructor(ring: RingWriter, bell: Doorbell) {
    this.#ring = ring;
    this.#bell = bell;
  }

  fits(bytes: number): boolean {
    return aligned(bytes) <= this.#ring.maxRecordBytes;
  }

  /** @param fill writes the record at `at`, all but its first word; called before this returns */
  push(bytes: number, fill: (memory: Memory, at: number) => void): void {
    if (!this.fits(bytes)) throw new RangeError('a record takes at most half of the ring');
    const size = aligned(bytes);
    const at = this.#waiting.length === 0 ? this.#reserve(size) : -1;
    const memory = at < 0 ? memoryOver(new ArrayBuffer(size)) : this.#ring.memory;
    const start = Math.max(0, at);
    memory.words[start >>> 2] = size;
    fill(memory, start);
    if (at < 0) this.#waiting.push(memory);
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    setImmediate(() => this.#publish());
  }

  /** Whether there is room again for what waits. */
  get mayRetry(): boolean {
    return this.#waiting.length > 0 && this.#ring.isRelieved;
  }

  retry(): void {
    if (this.#waiting.length === 0) return;
    let moved = 0;
    for (const { bytes } of this.#waiting) {
      const at = this.#reserve(bytes.length);
      if (at < 0) break;
      this.#ring.memory.bytes.set(bytes, at);
      moved++;
    }
    this.#waiting = this.#waiting.slice(moved);
    if (moved > 0) this.#publish();
  }

  #reserve(bytes: number): number {
    const at = this.#ring.reserve(bytes);
    if (at >= 0) return at;
    this.#ring.starve();
    return this.#ring.reserve(bytes);
  }

  #publish(): void {
    this.#isPublishing = false;
    this.#ring.publish();
    this.#bell.ring();
  }
}
