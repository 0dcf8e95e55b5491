/**
 * Bounds what answers of the gateway hold in memory.
 *
 * A range can answer with megabytes, and every connection can ask for one. Ranges therefore enter through here: a few
 * run at a time, and none begins while too many bytes of answers wait for their readers. Readers that take nothing are
 * given up soon when others wait for their room, and in any case after a while.
 */
import type { Env, Timer } from '../../env.ts';

/** Ranges that run at once. */
const MAX_RUNNING = 8;
/** Of answers that wait for readers, and of those that are being made, by what recent ones came to. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** How much of the largest recent answer is still expected after each smaller one. */
const FORGETTING = 0.95;
/** A reader may pause for that long while others wait for its room. */
const SPARED_STALL_MS = 10_000;
const MAX_STALL_MS = 30_000;
const TICK_MS = 1_000;

/** An answer on its way to its reader. */
export interface Held {
  /** The reader owes something: it has not taken what was written. */
  blocked(): void;
  /** It has. */
  drained(): void;
  release(): void;
}

export class Gate {
  readonly #env: Env;
  #running = 0;
  #heldBytes = 0;
  /** What an answer that is being made may come to. */
  #expectedBytes = 0;
  /** `sinceMs`: since when its reader takes nothing; Infinity while the next move is ours. */
  readonly #held = new Map<Held, { sinceMs: number; readonly giveUp: () => void }>();
  readonly #waiting: (() => void)[] = [];
  #isAdmitting = false;
  #timer: Timer | null = null;

  constructor(env: Env) {
    this.#env = env;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whoever enters now has to wait. */
  get isFull(): boolean {
    return this.#waiting.length > 0 || !this.#hasRoom();
  }

  /** Runs `start` now or when there is room; `leave` must follow once. */
  enter(start: () => void): void {
    if (!this.isFull) {
      this.#running++;
      start();
    } else this.#waiting.push(start);
  }

  leave(): void {
    this.#running--;
    this.#admit();
  }

  /** An answer of this size was made: the next ones may be as large. */
  made(bytes: number): void {
    this.#expectedBytes = Math.max(bytes, this.#expectedBytes * FORGETTING);
  }

  /** @param giveUp cuts the reader off */
  hold(bytes: number, giveUp: () => void): Held {
    const entry = { sinceMs: Number.POSITIVE_INFINITY, giveUp };
    const held: Held = {
      blocked: () => {
        entry.sinceMs = this.#env.monotonicMs();
      },
      drained: () => {
        entry.sinceMs = Number.POSITIVE_INFINITY;
      },
      release: () => {
        if (!this.#held.delete(held)) return;
        this.#heldBytes -= bytes;
        this.#admit();
      },
    };
    this.#held.set(held, entry);
    this.#heldBytes += bytes;
    this.#timer ??= this.#env.setTimer(TICK_MS, () => this.#tick());
    return held;
  }

  close(): void {
    this.#timer?.cancel();
  }

  #hasRoom(): boolean {
    if (this.#running >= MAX_RUNNING) return false;
    const expectedBytes = this.#heldBytes + (this.#running + 1) * this.#expectedBytes;
    return expectedBytes < MAX_HELD_BYTES || (this.#running === 0 && this.#heldBytes === 0);
  }

  /** Those that end at once come back here: the loop that started them goes on, or a crowd of them would use up the stack. */
  #admit(): void {
    if (this.#isAdmitting) return;
    this.#isAdmitting = true;
    try {
      while (this.#waiting.length > 0 && this.#hasRoom()) {
        this.#running++;
        this.#waiting.shift()!();
      }
    } finally {
      this.#isAdmitting = false;
    }
  }

  #tick(): void {
    this.#timer = null;
    const nowMs = this.#env.monotonicMs();
    const isCrowded = this.#waiting.length > 0 && !this.#hasRoom();
    for (const [held, { sinceMs, giveUp }] of [...this.#held]) {
      if (nowMs - sinceMs < (isCrowded ? SPARED_STALL_MS : MAX_STALL_MS)) continue;
      giveUp();
      held.release();
    }
    if (this.#held.size > 0) this.#timer ??= this.#env.setTimer(TICK_MS, () => this.#tick());
  }
}
