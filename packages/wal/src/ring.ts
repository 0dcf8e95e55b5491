/**
 * The shared memory between caller and writer thread.
 *
 *   batches      caller -> writer: a byte ring of encoded batches, each in one piece, 8-byte aligned
 *   completions  writer -> caller: a ring of (batch count, segment, offset, bytes, milliseconds it took) per durable frame
 *   control      counters that both sides watch; each has one writer
 *
 *   ring  [....|batch 3|batch 4|batch 5|WRAP....]
 *          ^head        ^tail                        head and tail only grow; place = counter mod size
 *
 * A batch that would not fit before the end of the ring is put at its start, behind a WRAP word. So is one that finds the ring
 * empty: most batches do, and go through the same few pages, which both cores have in their caches. One larger than half the
 * ring goes by message, and leaves a MESSAGE word in its place in the order. Counters are 32-bit and wrap around, so only
 * differences are used. Publishing is an Atomics store after the plain writes, reading an Atomics load before the plain reads.
 */
import { assert } from './assert.ts';
import type { WrittenFrame } from './frame-writer.ts';

const WAKE = 0;
const HEAD = 1;
const TAIL = 2;
const DONE = 3;
const SEEN = 4;
const COMMANDS = 5;

const WORD_BYTES = 8;
const WRAP = 0xffffffff;
const MESSAGE = 0xfffffffe;
const COMPLETIONS = 1024;
const COMPLETION_FIELDS = 5;
/** Batches taken in one go, so that the list of them is bounded. */
const MAX_TAKEN = 1024;

/** A durable frame, and how long writing and syncing it took. */
export interface TimedFrame extends WrittenFrame {
  readonly tookMs: number;
}

export interface SharedRing {
  readonly control: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
  readonly completions: SharedArrayBuffer;
}

export function createRing(ringBytes: number): SharedRing {
  assert((ringBytes & (ringBytes - 1)) === 0, 'the ring is a power of two', ringBytes);
  return {
    control: new SharedArrayBuffer(64),
    bytes: new SharedArrayBuffer(ringBytes),
    completions: new SharedArrayBuffer(COMPLETIONS * COMPLETION_FIELDS * 8),
  };
}

/** The caller's side. */
export class RingProducer {
  readonly #control: Int32Array;
  readonly #bytes: Buffer;
  readonly #completions: Float64Array;
  #head = 0;
  #seen = 0;

  constructor(ring: SharedRing) {
    this.#control = new Int32Array(ring.control);
    this.#bytes = Buffer.from(ring.bytes);
    this.#completions = new Float64Array(ring.completions);
  }

  /** Whether a batch of this size goes by message, whatever the ring holds. */
  isTooLarge(bytes: number): boolean {
    return bytes > this.#bytes.length / 2;
  }

  /** Lets `fill` write `bytes` bytes into the ring and publishes them; false when there is no room now. */
  tryPush(bytes: number, fill: (target: Buffer) => void): boolean {
    const at = this.#place(bytes);
    if (at < 0) return false;
    fill(this.#bytes.subarray(at, at + bytes));
    this.#publish(bytes);
    return true;
  }

  hasRoomForMessage(): boolean {
    return this.#bytes.length - this.#usedBytes() >= WORD_BYTES;
  }

  /** Marks the place of a batch that was sent by message before; there must be room. */
  pushMessage(): void {
    const at = this.#place(WORD_BYTES);
    assert(at >= 0, 'there is room for a word');
    this.#bytes.writeUInt32LE(MESSAGE, at);
    this.#publish(WORD_BYTES);
  }

  /** Says that a message was sent, and wakes the writer. */
  announceCommand(): void {
    Atomics.add(this.#control, COMMANDS, 1);
    this.wake();
  }

  /** Wakes the writer. */
  wake(): void {
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE);
  }

  /** Durable frames since the last call. */
  takeCompletions(): TimedFrame[] {
    const done = Atomics.load(this.#control, DONE);
    const frames: TimedFrame[] = [];
    while (this.#seen !== done) {
      const at = (this.#seen & (COMPLETIONS - 1)) * COMPLETION_FIELDS;
      const fields = this.#completions;
      const batchCount = fields[at]!;
      frames.push({
        batchCount,
        segment: fields[at + 1]!,
        offset: fields[at + 2]!,
        bytes: fields[at + 3]!,
        tookMs: fields[at + 4]!,
      });
      this.#seen = (this.#seen + 1) | 0;
    }
    Atomics.store(this.#control, SEEN, this.#seen);
    // The writer may be waiting for room among the completions.
    if (frames.length >= COMPLETIONS / 2) this.wake();
    return frames;
  }

  /** Settles once there are completions that `takeCompletions` has not returned, or the writer rings. */
  async completion(): Promise<void> {
    const waiting = Atomics.waitAsync(this.#control, DONE, this.#seen);
    if (waiting.async) await waiting.value;
  }

  #place(bytes: number): number {
    assert(bytes % WORD_BYTES === 0 && bytes > 0, 'what goes into the ring is aligned', bytes);
    const size = this.#bytes.length;
    const used = this.#usedBytes();
    const free = size - used;
    const at = (this.#head >>> 0) & (size - 1);
    const untilEnd = size - at;
    const startsAnew = used === 0 && bytes <= at;
    if (bytes <= untilEnd && !startsAnew) return bytes <= free ? at : -1;
    if (untilEnd + bytes > free) return -1;
    this.#bytes.writeUInt32LE(WRAP, at);
    this.#head = (this.#head + untilEnd) | 0;
    return 0;
  }

  #usedBytes(): number {
    return (this.#head - Atomics.load(this.#control, TAIL)) >>> 0;
  }

  #publish(bytes: number): void {
    this.#head = (this.#head + bytes) | 0;
    Atomics.store(this.#control, HEAD, this.#head);
  }
}

/** The writer's side. */
export class RingConsumer {
  readonly #control: Int32Array;
  readonly #bytes: Buffer;
  readonly #completions: Float64Array;
  #tail = 0;
  #done = 0;
  #commands = 0;
  #ends: number[] = [];

  constructor(ring: SharedRing) {
    this.#control = new Int32Array(ring.control);
    this.#bytes = Buffer.from(ring.bytes);
    this.#completions = new Float64Array(ring.completions);
  }

  /** A token for `sleep`: take it before looking for work. */
  wakeCount(): number {
    return Atomics.load(this.#control, WAKE);
  }

  /** Whether messages were announced since this was last asked: looking for one costs more than everything else in a turn. */
  hasCommands(): boolean {
    const commands = Atomics.load(this.#control, COMMANDS);
    const isNew = commands !== this.#commands;
    this.#commands = commands;
    return isNew;
  }

  /**
   * Blocks the thread until somebody woke it after `wakeCount` returned `count`, or for so long.
   * @returns whether somebody did
   */
  sleep(count: number, timeoutMs: number = Number.POSITIVE_INFINITY): boolean {
    return Atomics.wait(this.#control, WAKE, count, timeoutMs) !== 'timed-out';
  }

  /** What waits, as views that stay valid until `release`; `message` is asked for a batch that came that way. */
  take(message: () => Buffer): Buffer[] {
    const head = Atomics.load(this.#control, HEAD);
    const size = this.#bytes.length;
    const taken: Buffer[] = [];
    this.#ends = [];
    let at = this.#tail;
    while (at !== head && taken.length < MAX_TAKEN) {
      const place = (at >>> 0) & (size - 1);
      const word = this.#bytes.readUInt32LE(place);
      if (word === WRAP) {
        at = (at + size - place) | 0;
        continue;
      }
      taken.push(word === MESSAGE ? message() : this.#bytes.subarray(place, place + word));
      at = (at + (word === MESSAGE ? WORD_BYTES : word)) | 0;
      this.#ends.push(at);
    }
    return taken;
  }

  /** The memory of the first `count` batches of the last `take` may be reused. */
  release(count: number): void {
    const end = this.#ends[count - 1];
    if (end === undefined) return;
    this.#tail = end;
    Atomics.store(this.#control, TAIL, end);
  }

  /** Reports a durable frame; waits when the caller is a thousand frames behind. */
  complete(frame: TimedFrame): void {
    for (;;) {
      const count = this.wakeCount();
      const behind = (this.#done - Atomics.load(this.#control, SEEN)) >>> 0;
      if (behind < COMPLETIONS) break;
      this.sleep(count);
    }
    const at = (this.#done & (COMPLETIONS - 1)) * COMPLETION_FIELDS;
    this.#completions[at] = frame.batchCount;
    this.#completions[at + 1] = frame.segment;
    this.#completions[at + 2] = frame.offset;
    this.#completions[at + 3] = frame.bytes;
    this.#completions[at + 4] = frame.tookMs;
    this.#done = (this.#done + 1) | 0;
    Atomics.store(this.#control, DONE, this.#done);
    Atomics.notify(this.#control, DONE);
  }
}
