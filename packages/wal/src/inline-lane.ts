/**
 * The writer on the caller's thread: no threads, no timers, no clock. What is appended between two flushes is one group, as
 * in production; the simulator decides through `schedule` when a flush happens, and so what a crash interrupts.
 */
import { type BatchContent, encodeBatch } from './batch.ts';
import type { WrittenFrame } from './frame-writer.ts';
import type { Lane, LaneEvents } from './lane.ts';
import { SegmentWriter, type WriterOptions, type WriterState } from './segment-writer.ts';

export class InlineLane implements Lane {
  readonly #writer: SegmentWriter;
  readonly #events: LaneEvents;
  readonly #schedule: (flush: () => void) => void;
  #waiting: Buffer[] = [];
  #releaseBelow = 0;
  #scheduled = false;
  #running = false;
  #ended = false;

  constructor(
    options: WriterOptions,
    state: WriterState,
    events: LaneEvents,
    schedule: (flush: () => void) => void,
  ) {
    this.#writer = new SegmentWriter(options, state);
    this.#events = events;
    this.#schedule = schedule;
  }

  submit(content: BatchContent, bytes: number): void {
    const encoded = Buffer.allocUnsafeSlow(bytes);
    encodeBatch(encoded, content);
    this.#waiting.push(encoded);
    this.#wake();
  }

  release(belowSegment: number): void {
    this.#releaseBelow = belowSegment;
    this.#wake();
  }

  pump(): void {
    if (this.#ended || this.#running) return;
    this.#running = true;
    try {
      while (!this.#ended && (this.#waiting.length > 0 || this.#releaseBelow > 0)) this.#flush();
    } finally {
      this.#running = false;
    }
  }

  async close(): Promise<void> {
    this.pump();
    this.#ended = true;
    try {
      this.#writer.close();
    } catch (cause) {
      this.#events.failed(cause);
    }
  }

  /** Events are told after the writing, so that what a callback throws is not taken for a failed write. */
  #flush(): void {
    const group = this.#waiting;
    const below = this.#releaseBelow;
    this.#waiting = [];
    this.#releaseBelow = 0;
    const frames: WrittenFrame[] = [];
    let failure: { readonly cause: unknown } | null = null;
    try {
      this.#writer.write(group, (frame) => frames.push(frame));
      if (below > 0) this.#writer.release(below);
      this.#writer.prepareStep(false);
    } catch (cause) {
      failure = { cause };
      this.#ended = true;
    }
    if (frames.length > 0) this.#events.written(frames);
    if (failure !== null) this.#events.failed(failure.cause);
  }

  #wake(): void {
    if (this.#scheduled || this.#ended) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      this.pump();
    });
  }
}
