/**
 * Calls as a transport would make them: answers are kept, a stream's queue drains when the test says so.
 */
import type { Handler, Metadata, Status, StreamCall, StreamListener, UnaryCall } from '@quorate/grpc-server';

class Context {
  readonly path: string;
  readonly metadata: Metadata;
  readonly deadlineMs = Number.POSITIVE_INFINITY;
  readonly peer = '127.0.0.1:1';
  readonly peerCommonName = '';
  cancelled = false;
  readonly #listeners: ((reason: 'cancelled' | 'deadline') => void)[] = [];

  constructor(path: string, metadata: Readonly<Record<string, string>>) {
    this.path = path;
    this.metadata = { get: (key) => metadata[key], entries: () => Object.entries(metadata) };
  }

  onCancel(listener: (reason: 'cancelled' | 'deadline') => void): void {
    if (this.cancelled) listener('cancelled');
    else this.#listeners.push(listener);
  }

  setHeaders(): void {}

  setTrailers(): void {}

  cancel(): void {
    this.cancelled = true;
    for (const listener of this.#listeners.splice(0)) listener('cancelled');
  }
}

export interface Ended {
  readonly status: Status;
  readonly message: string;
}

/** A unary call and what became of it. */
export class TestUnaryCall extends Context implements UnaryCall {
  response: Uint8Array | null = null;
  failure: Ended | null = null;

  reply(response: Uint8Array): void {
    if (this.response !== null || this.failure !== null) throw new Error('answered twice');
    this.response = response;
  }

  fail(status: Status, message: string): void {
    if (this.response !== null || this.failure !== null) throw new Error('answered twice');
    this.failure = { status, message };
  }
}

/** A stream whose caller reads at once, until `stall`. */
export class TestStreamCall extends Context implements StreamCall {
  /** What the caller has read. */
  readonly messages: Uint8Array[] = [];
  ended: Ended | null = null;
  paused = false;
  queuedBytes = 0;
  /** Bytes from which on the transport asks for restraint. */
  highWaterBytes = 64 * 1024;
  readonly #queue: Uint8Array[] = [];
  #stalled = false;
  #onDrain: (() => void)[] = [];
  #listener: StreamListener | null = null;

  open(handler: Handler): this {
    if (handler.kind !== 'stream') throw new Error('a stream handler is wanted');
    this.#listener = handler.open(this);
    return this;
  }

  send(...messages: readonly Uint8Array[]): void {
    for (const message of messages) this.#listener!.onMessage(message);
  }

  halfClose(): void {
    this.#listener!.onHalfClose();
  }

  write(message: Uint8Array): boolean {
    if (this.ended !== null) return true;
    if (!this.#stalled) {
      this.messages.push(message);
      return true;
    }
    this.#queue.push(message);
    this.queuedBytes += message.length;
    return this.queuedBytes < this.highWaterBytes;
  }

  onDrain(listener: () => void): void {
    this.#onDrain.push(listener);
  }

  end(status: Status = 0, message = ''): void {
    if (this.ended !== null) throw new Error('ended twice');
    this.ended = { status, message };
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** The caller stops reading. */
  stall(): void {
    this.#stalled = true;
  }

  /** The caller reads all there is, and goes on reading. */
  drain(): void {
    this.#stalled = false;
    this.messages.push(...this.#queue.splice(0));
    this.queuedBytes = 0;
    for (const listener of this.#onDrain.splice(0)) listener();
  }

  /** Messages read since the last call. */
  take(): Uint8Array[] {
    return this.messages.splice(0);
  }
}
