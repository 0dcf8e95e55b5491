/**
 * The shared memory between caller and writer thread.
 *
 *   bytes        caller -> writer: encoded batches, each in one piece, 8-byte aligned, in order around the end
 *   slots        caller -> writer: a ring of (place, bytes) per batch
 *   completions  writer -> caller: a ring of (batch count, segment, offset, bytes, milliseconds it took) per durable frame
 *   control      counters that both sides watch; each has one writer
 *
 *   bytes  [batch 6|....|batch 4|batch 5|...]     batches from #tail on are in use, those before #head are published
 *
 * A batch that finds no other in use is put at the start of the memory: most batches do, and go through the same few pages, which
 * both cores have in their caches. Places are in slots, not between the batches, so that this costs no room. A batch larger than half the
 * memory goes by message, and leaves a MESSAGE slot in its place in the order. Counters are 32-bit and wrap around, so only
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
const SLOTS = 1024;
const SLOT_FIELDS = 2;
/** Stands for the number of bytes. */
const MESSAGE = -1;
const COMPLETIONS = 1024;
const COMPLETION_FIELDS = 5;

/** A durable frame, and how long writing and syncing it took. */
export interface TimedFrame extends WrittenFrame {
  readonly tookMs: number;
}

export interface SharedRing {
  readonly control: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  readonly completions: SharedArrayBuffer;
}

export function createRing(ringBytes: number): SharedRing {
  assert(ringBytes % WORD_BYTES === 0, 'the ring is aligned', ringBytes);
  return {
    control: new SharedArrayBuffer(64),
    bytes: new SharedArrayBuffer(ringBytes),
    slots: new SharedArrayBuffer(SLOTS * SLOT_FIELDS * 4),
    completions: new SharedArrayBuffer(COMPLETIONS * COMPLETION_FIELDS * 8),
  };
}

/** The caller's side. */
export class RingProducer {
  readonly #control: Int32Array;
  readonly #bytes: Buffer;
  readonly #slots: Int32Array;
  readonly #completions: Float64Array;
  #head = 0;
  /** End of the newest batch. */
  #end = 0;
  #seen = 0;

  constructor(ring: SharedRing) {
    this.#control = new Int32Array(ring.control);
    this.#bytes = Buffer.from(ring.bytes);
    this.#slots = new Int32Array(ring.slots);
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
    this.#publish(at, bytes, bytes);
    return true;
  }

  hasRoomForMessage(): boolean {
    return this.#place(WORD_BYTES) >= 0;
  }

  /** Marks the place of a batch that was sent by message before; there must be room. */
  pushMessage(): void {
    const at = this.#place(WORD_BYTES);
    assert(at >= 0, 'there is room for a word');
    this.#publish(at, WORD_BYTES, MESSAGE);
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

  /** Where so many bytes can stand in one piece; -1 when they cannot now. */
  #place(bytes: number): number {
    assert(bytes % WORD_BYTES === 0 && bytes > 0, 'what goes into the ring is aligned', bytes);
    const size = this.#bytes.length;
    const tail = Atomics.load(this.#control, TAIL);
    if (tail === this.#head) return bytes <= size ? 0 : -1;
    if (((this.#head - tail) | 0) === SLOTS) return -1;
    const end = this.#end;
    const oldest = this.#slots[slotAt(tail)]!;
    // In use is [oldest, end), or around the end of the memory.
    if (end <= oldest) return bytes <= oldest - end ? end : -1;
    if (bytes <= size - end) return end;
    return bytes <= oldest ? 0 : -1;
  }

  #publish(at: number, bytes: number, what: number): void {
    const slot = slotAt(this.#head);
    this.#slots[slot] = at;
    this.#slots[slot + 1] = what;
    this.#end = at + bytes;
    this.#head = (this.#head + 1) | 0;
    Atomics.store(this.#control, HEAD, this.#head);
  }
}

function slotAt(counter: number): number {
  return (counter & (SLOTS - 1)) * SLOT_FIELDS;
}

/** The writer's side. */
export class RingConsumer {
  readonly #control: Int32Array;
  readonly #bytes: Buffer;
  readonly #slots: Int32Array;
  readonly #completions: Float64Array;
  #tail = 0;
  #done = 0;
  #commands = 0;

  constructor(ring: SharedRing) {
    this.#control = new Int32Array(ring.control);
    this.#bytes = Buffer.from(ring.bytes);
    this.#slots = new Int32Array(ring.slots);
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
    const taken: Buffer[] = [];
    for (let at = this.#tail; at !== head; at = (at + 1) | 0) {
      const slot = slotAt(at);
      const place = this.#slots[slot]!;
      const bytes = this.#slots[slot + 1]!;
      taken.push(bytes === MESSAGE ? message() : this.#bytes.subarray(place, place + bytes));
    }
    return taken;
  }

  /** The memory of the oldest `count` batches that were taken may be reused. */
  release(count: number): void {
    this.#tail = (this.#tail + count) | 0;
    Atomics.store(this.#control, TAIL, this.#tail);
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
