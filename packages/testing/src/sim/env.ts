/**
 * A world without time of its own: virtual clock, timers, chance from a seed, a log in memory.
 *
 * Shaped like the server's `Env`. Nothing happens until the test says so: `settle` runs what waits for the end of the
 * turn, `advance` lets time pass and fires timers in order (equal times: first set, first fired). Two runs with one
 * seed and one script are equal to the last event.
 */
import { Random } from './random.ts';

export interface SimLogLine {
  readonly atMs: number;
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown> | undefined;
}

interface SimTimer {
  readonly dueMs: number;
  readonly sequence: number;
  readonly callback: () => void;
  cancelled: boolean;
}

/** `settle` gives up after this many callbacks: something goes round in circles. */
const MAX_CALLBACKS_AT_ONE_TIME = 1_000_000;

export class SimEnv {
  readonly logged: SimLogLine[] = [];
  readonly log: {
    log(level: string, message: string, fields?: Record<string, unknown>): void;
  };
  readonly #random: Random;
  /** Binary heap by due time, then by sequence. */
  readonly #timers: SimTimer[] = [];
  #polled: (() => void)[] = [];
  #nowMs: number;
  #sequence = 0;
  /** Wall clock minus monotonic clock; tests move it to show that nothing depends on it. */
  wallOffsetMs = 1_700_000_000_000;
  /** How far the clock moves at each look: lets work that watches its time run out of it. */
  costPerLookMs = 0;

  constructor(seed: number | string = 1, startMs = 1_000) {
    this.#random = new Random(seed, 'env');
    this.#nowMs = startMs;
    this.log = {
      log: (level, message, fields) => this.logged.push({ atMs: this.#nowMs, level, message, fields }),
    };
  }

  monotonicMs(): number {
    this.#nowMs += this.costPerLookMs;
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.wallOffsetMs;
  }

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    if (!(delayMs >= 0 && delayMs < 2 ** 31)) {
      throw new RangeError(`a timer of ${delayMs} ms is one that Node would fire at once`);
    }
    const timer: SimTimer = {
      dueMs: this.#nowMs + delayMs,
      sequence: this.#sequence++,
      callback,
      cancelled: false,
    };
    this.#push(timer);
    return {
      cancel: () => {
        timer.cancelled = true;
      },
    };
  }

  afterPoll(callback: () => void): void {
    this.#polled.push(callback);
  }

  randomInt(bound: number): number {
    return this.#random.int(bound);
  }

  randomBytes(length: number): Uint8Array {
    return this.#random.bytes(length);
  }

  /** Number of timers that are set. */
  get timerCount(): number {
    return this.#timers.filter((timer) => !timer.cancelled).length;
  }

  /** When the next timer is due; null when none is set. */
  get nextDueMs(): number | null {
    while (this.#timers[0]?.cancelled) this.#pop();
    return this.#timers[0]?.dueMs ?? null;
  }

  /** Runs one round of what waits for the end of the turn. @returns whether there was anything */
  turn(): boolean {
    const callbacks = this.#polled;
    this.#polled = [];
    for (const callback of callbacks) callback();
    return callbacks.length > 0;
  }

  /** Runs turns until nothing waits for the end of one. */
  settle(): void {
    let budget = MAX_CALLBACKS_AT_ONE_TIME;
    while (this.turn()) if (--budget === 0) throw new Error('the simulated world does not settle');
  }

  /** Lets `durationMs` pass, firing timers as they fall due. */
  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    this.settle();
    for (let next = this.#timers[0]; next !== undefined && next.dueMs <= endMs; next = this.#timers[0]) {
      this.#pop();
      if (next.cancelled) continue;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
      this.settle();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  #push(timer: SimTimer): void {
    const heap = this.#timers;
    let index = heap.length;
    heap.push(timer);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(timer, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(one: SimTimer, other: SimTimer): boolean {
  return one.dueMs !== other.dueMs ? one.dueMs < other.dueMs : one.sequence < other.sequence;
}
