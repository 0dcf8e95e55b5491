/**
 * Where text goes: the body of a response, or a WebSocket; and a queue in front of it that writes text in pieces, no
 * faster than the reader takes them.
 */
import type { Turns } from './turns.ts';

export interface TextSink {
  /** @returns false when the reader does not keep up: wait for `onDrain` */
  write(text: string): boolean;
  /** Runs once after a `write` that returned false, when there is room again. */
  onDrain(listener: () => void): void;
  /** The text is complete. */
  end(): void;
}

/** Text that is made while it is sent. */
export interface Pieces {
  next(): IteratorResult<string, void>;
}

export class PieceQueue {
  readonly #turns: Turns;
  readonly #sink: TextSink;
  #queue: { readonly pieces: Pieces; readonly bytes: number }[] = [];
  #queuedBytes = 0;
  /** In the rotation of `turns`, or waiting for the reader. */
  #state: 'idle' | 'running' | 'blocked' | 'closed' = 'idle';
  #endsWhenEmpty = false;
  #drainListener: (() => void) | null = null;
  readonly #onError: (error: Error) => void;

  /** @param onError the pieces could not be made: the text cannot be completed */
  constructor(turns: Turns, sink: TextSink, onError: (error: Error) => void) {
    this.#turns = turns;
    this.#sink = sink;
    this.#onError = onError;
  }

  /** Bytes of what has not been written yet, as `push` was told. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Nothing waits: a short text may be written past the queue. */
  get isIdle(): boolean {
    return this.#state === 'idle';
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** @returns false when the reader does not keep up */
  writeNow(text: string): boolean {
    if (this.#sink.write(text)) return true;
    this.#block();
    return false;
  }

  push(pieces: Pieces, bytes: number): void {
    if (this.#state === 'closed') return;
    this.#queue.push({ pieces, bytes });
    this.#queuedBytes += bytes;
    this.#run();
  }

  /** Runs once when everything is written and there is room. */
  onDrain(listener: () => void): void {
    this.#drainListener = listener;
    if (this.#state === 'idle') this.#turns.add(() => this.#drained());
  }

  /** Ends the text once everything is written. */
  end(): void {
    this.#endsWhenEmpty = true;
    if (this.#state === 'idle') this.#finish();
  }

  /** Forgets what is left: the reader has gone. */
  close(): void {
    this.#state = 'closed';
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#drainListener = null;
  }

  #run(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'running';
    this.#turns.add(() => this.#step());
  }

  #step(): boolean {
    if (this.#state !== 'running') return false;
    const first = this.#queue[0];
    if (first === undefined) {
      this.#state = 'idle';
      if (this.#endsWhenEmpty) this.#finish();
      else this.#drained();
      return false;
    }
    let step: IteratorResult<string, void>;
    try {
      step = first.pieces.next();
    } catch (error) {
      this.close();
      this.#onError(error as Error);
      return false;
    }
    if (step.done === true) {
      this.#queue.shift();
      this.#queuedBytes -= first.bytes;
      return true;
    }
    // Nothing was made, but a turn's worth of work was done.
    if (step.value === '' || this.#sink.write(step.value)) return true;
    this.#block();
    return false;
  }

  #block(): void {
    this.#state = 'blocked';
    this.#sink.onDrain(() => {
      if (this.#state !== 'blocked') return;
      this.#state = 'idle';
      if (this.#queue.length > 0) this.#run();
      else if (this.#endsWhenEmpty) this.#finish();
      else this.#drained();
    });
  }

  #drained(): false {
    const listener = this.#drainListener;
    this.#drainListener = null;
    listener?.();
    return false;
  }

  #finish(): void {
    this.#state = 'closed';
    this.#sink.end();
  }
}
