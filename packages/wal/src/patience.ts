/**
 * How a thread waits for work: asleep, or, where work keeps coming at once, awake for a moment before.
 *
 * Waking a thread that sleeps costs a write as much as its checksum, copy and system calls together. So after `SHORT_IN_ROW` waits in a row
 * of at most `SHORT_MS` the next begins with looking for `LOOK_MS`; the first that is longer ends that. One that has nothing to do, or work
 * now and then, never looks.
 */

/** Twice what the caller takes from one lone batch to the next. */
const LOOK_MS = 0.15;
const SHORT_MS = 0.2;
const SHORT_IN_ROW = 8;

/** What is waited for: a count that rises when there is work (`ring.ts`). */
export interface Bell {
  wakeCount(): number;
  sleep(count: number, timeoutMs?: number): boolean;
}

export class Patience {
  readonly #bell: Bell;
  readonly #nowMs: () => number;
  #shortInRow = 0;

  constructor(bell: Bell, nowMs: () => number) {
    this.#bell = bell;
    this.#nowMs = nowMs;
  }

  /** As `Bell.sleep`. */
  wait(count: number, timeoutMs?: number): boolean {
    const startedMs = this.#nowMs();
    if (this.#shortInRow >= SHORT_IN_ROW) this.#look(count, startedMs + LOOK_MS);
    const woken = this.#bell.sleep(count, timeoutMs);
    const isShort = woken && this.#nowMs() - startedMs <= SHORT_MS;
    this.#shortInRow = isShort ? this.#shortInRow + 1 : 0;
    return woken;
  }

  #look(count: number, untilMs: number): void {
    while (this.#bell.wakeCount() === count && this.#nowMs() < untilMs);
  }
}
