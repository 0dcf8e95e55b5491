/**
 * The content of a snapshot that is coming in: what has arrived waits here, within a bound, for the member to pull it.
 *
 * A chunk pulled is acknowledged (`taken`), which lets the sender read the next; one that sends regardless is paused by flow
 * control. When the stream ends early whoever pulls gets the error, now or with the next pull.
 */
import type { StreamCall } from '@quorate/grpc-server';
import type { SnapshotContent } from '../network.ts';
import { encodeFrames, FrameKind, numberFrame } from './frames.ts';

type Puller = (error: Error | null, chunk: Uint8Array | null) => void;

export class SnapshotIntake implements SnapshotContent {
  readonly #call: StreamCall;
  readonly #windowBytes: number;
  #chunks: Uint8Array[] = [];
  #heldBytes = 0;
  #takenBytes = 0;
  #puller: Puller | null = null;
  #complete = false;
  #closed = false;
  #error: Error | null = null;
  readonly #onFail: () => void;

  /** @param onFail no more will come, for whatever reason; at most once */
  constructor(call: StreamCall, windowBytes: number, onFail: () => void = () => {}) {
    this.#call = call;
    this.#windowBytes = windowBytes;
    this.#onFail = onFail;
  }

  /** All content has come. */
  get isComplete(): boolean {
    return this.#complete;
  }

  add(chunk: Uint8Array): void {
    if (this.#error !== null) return;
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
    this.#serve();
    if (this.#heldBytes >= this.#windowBytes) this.#call.pause();
  }

  complete(): void {
    this.#complete = true;
    this.#serve();
  }

  /** No more will come. */
  fail(error: Error): void {
    if (this.#error !== null) return;
    this.#error = error;
    this.#onFail();
    this.#chunks = [];
    this.#heldBytes = 0;
    this.#serve();
  }

  next(done: Puller): void {
    if (this.#puller !== null) throw new Error('one chunk at a time');
    this.#puller = done;
    this.#serve();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#puller = null;
    this.#chunks = [];
    this.#heldBytes = 0;
    this.#call.resume();
  }

  #serve(): void {
    if (this.#closed) {
      // What still comes is thrown away; that the member does not want it, its outcome says.
      this.#chunks = [];
      this.#heldBytes = 0;
      return;
    }
    const puller = this.#puller;
    if (puller === null) return;
    if (this.#error !== null) {
      this.#puller = null;
      puller(this.#error, null);
      return;
    }
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#puller = null;
      this.#heldBytes -= chunk.length;
      this.#takenBytes += chunk.length;
      this.#call.write(encodeFrames([numberFrame(FrameKind.taken, this.#takenBytes)]));
      if (this.#heldBytes < this.#windowBytes) this.#call.resume();
      puller(null, chunk);
    } else if (this.#complete) {
      this.#puller = null;
      puller(null, null);
    }
  }
}
