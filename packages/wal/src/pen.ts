/**
 * The pen: one word of shared memory. Who holds it, and nobody else, writes to the newest segment and changes the `LogTail`.
 *
 * The writer thread waits for it; the caller's thread only takes it when it is free, and goes by the ring otherwise. A holder whose
 * write failed never gives it back, so that nothing is written after a failure.
 */
const FREE = 0;
const HELD = 1;

export const PEN_BYTES = 4;

export class Pen {
  readonly #word: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#word = new Int32Array(memory, 0, 1);
  }

  tryTake(): boolean {
    return Atomics.compareExchange(this.#word, 0, FREE, HELD) === FREE;
  }

  /** Blocks the thread until the pen is free. */
  take(): void {
    while (!this.tryTake()) Atomics.wait(this.#word, 0, HELD);
  }

  give(): void {
    Atomics.store(this.#word, 0, FREE);
    Atomics.notify(this.#word, 0);
  }
}
