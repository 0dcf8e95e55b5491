/**
 * Records from one thread to another through shared memory: one writer, one reader.
 *
 *   ring  [....|record|record|record|WRAP....]
 *          ^tail                     ^head       both only grow, modulo 2^32; place = counter mod size
 *
 * A record lies in one piece, 8-byte aligned, and begins with its length in bytes; what does not fit before the end goes to
 * the start, behind a WRAP word, and so does a record that finds the ring empty beyond its first 256 KiB, so that the load
 * stays in the caches. `reserve` makes room that nobody sees; `publish` shows all of it at once: an atomic store after the plain writes.
 * The same idea carries the log's batches (`packages/wal/src/ring.ts`), which come one at a time.
 */
const HEAD = 0;
/** The words that one side writes lie 64 bytes from those of the other, so that they share no cache line. */
const TAIL = 16;
const STARVED = 32;
const CONTROL_BYTES = 192;

export const ALIGNMENT_BYTES = 8;
const WRAP = 0xffff_ffff;
/** What is before this place, at least, has room for the next records when the ring starts anew. */
const RESTART_FROM_BYTES = 256 * 1024;

export interface SharedRing {
  readonly control: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
}

/** @param bytes a power of two */
export function createRing(bytes: number): SharedRing {
  if (bytes < 64 || (bytes & (bytes - 1)) !== 0) throw new RangeError('a ring is a power of two');
  return { control: new SharedArrayBuffer(CONTROL_BYTES), bytes: new SharedArrayBuffer(bytes) };
}

/** The same bytes in three widths. */
export interface Memory {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly floats: Float64Array;
}

export function memoryOver(buffer: ArrayBufferLike): Memory {
  return {
    bytes: Buffer.from(buffer),
    words: new Uint32Array(buffer),
    floats: new Float64Array(buffer),
  };
}

export function aligned(bytes: number): number {
  return (bytes + ALIGNMENT_BYTES - 1) & ~(ALIGNMENT_BYTES - 1);
}

export class RingWriter {
  readonly memory: Memory;
  readonly #control: Int32Array;
  readonly #size: number;
  #head = 0;

  constructor(ring: SharedRing) {
    this.memory = memoryOver(ring.bytes);
    this.#control = new Int32Array(ring.control);
    this.#size = ring.bytes.byteLength;
  }

  /** Records up to this size always find room at last. */
  get maxRecordBytes(): number {
    return this.#size / 2;
  }

  /** @returns the place of `bytes` bytes, whose first word the caller sets to `bytes`; -1 when there is no room now */
  reserve(bytes: number): number {
    const used = (this.#head - Atomics.load(this.#control, TAIL)) >>> 0;
    const free = this.#size - used;
    const at = (this.#head >>> 0) & (this.#size - 1);
    const untilEnd = this.#size - at;
    const startsAnew = used === 0 && at >= RESTART_FROM_BYTES && bytes <= at;
    if (bytes <= untilEnd && !startsAnew) {
      if (bytes > free) return -1;
      this.#head = (this.#head + bytes) | 0;
      return at;
    }
    if (untilEnd + bytes > free) return -1;
    this.memory.words[at >>> 2] = WRAP;
    this.#head = (this.#head + untilEnd + bytes) | 0;
    return 0;
  }

  publish(): void {
    Atomics.store(this.#control, HEAD, this.#head);
  }

  /** Asks to be told when the reader has made room. Reserve once more after this: it may just have done so. */
  starve(): void {
    Atomics.store(this.#control, STARVED, 1);
  }

  /** Whether the reader has made room since `starve`. */
  get isRelieved(): boolean {
    return Atomics.load(this.#control, STARVED) === 0;
  }
}

export class RingReader {
  readonly memory: Memory;
  readonly #control: Int32Array;
  readonly #size: number;
  #tail = 0;

  constructor(ring: SharedRing) {
    this.memory = memoryOver(ring.bytes);
    this.#control = new Int32Array(ring.control);
    this.#size = ring.bytes.byteLength;
  }

  get hasRecords(): boolean {
    return Atomics.load(this.#control, HEAD) !== this.#tail;
  }

  /** Visits all that is published, and then gives its memory back: what lies in it is valid during `visit` only. */
  takeAll(visit: (memory: Memory, at: number) => void): void {
    const head = Atomics.load(this.#control, HEAD);
    const { memory } = this;
    let tail = this.#tail;
    while (tail !== head) {
      const at = (tail >>> 0) & (this.#size - 1);
      const bytes = memory.words[at >>> 2] as number;
      if (bytes === WRAP) {
        tail = (tail + this.#size - at) | 0;
        continue;
      }
      visit(memory, at);
      tail = (tail + bytes) | 0;
    }
    this.#tail = tail;
    Atomics.store(this.#control, TAIL, tail);
  }

  /** After `takeAll`: whether the writer waited for room. It does not any more. */
  relieve(): boolean {
    return Atomics.exchange(this.#control, STARVED, 0) === 1;
  }
}
