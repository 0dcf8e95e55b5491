/**
 * `grpc-timeout`, and the deadlines of all calls that run.
 *
 * Almost every deadline is taken back before it passes, so adding and removing must cost nothing: a wheel of slots,
 * `TICK_MS` wide, each a linked list of calls. A deadline further away than one turn of the wheel just stays in its slot
 * when the hand passes. The timer is set to the next occupied slot, and there is none while no call has a deadline.
 */
import type { TransportEnv } from '../options.ts';

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** PROTOCOL-HTTP2.md: "TimeoutValue: {positive integer as ASCII string of at most 8 digits}" and a unit. @returns milliseconds, or undefined */
export function parseTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match === null ? undefined : Number(match[1]) * unitMs[match[2]!]!;
}

/** Something with a deadline; the links belong to the wheel. */
export interface DeadlineEntry {
  readonly deadlineMs: number;
  wheelNext: DeadlineEntry | undefined;
  wheelPrevious: DeadlineEntry | undefined;
  /** Slot number, or -1 while not in the wheel. */
  wheelSlot: number;
  onDeadline(): void;
}

/** How late a deadline may be noticed, beside the event loop's own delay. Never early. */
const TICK_MS = 10;
const SLOTS = 512;

export class DeadlineWheel {
  readonly #env: TransportEnv;
  readonly #slots: (DeadlineEntry | undefined)[] = new Array<DeadlineEntry | undefined>(SLOTS).fill(
    undefined,
  );
  #count = 0;
  #timer: { cancel(): void } | undefined;
  /** Tick for which the timer is set. */
  #timerTick = 0;
  /** All ticks up to this one have been handled. */
  #doneTick = 0;

  constructor(env: TransportEnv) {
    this.#env = env;
    this.#doneTick = Math.floor(env.monotonicMs() / TICK_MS);
  }

  /** The entry must not be in the wheel. */
  add(entry: DeadlineEntry): void {
    // A deadline inside of tick t has passed for certain when the hand is at t + 1; one in the past, at the next tick.
    const tick = Math.max(Math.floor(entry.deadlineMs / TICK_MS) + 1, this.#doneTick + 1);
    const slot = tick % SLOTS;
    const first = this.#slots[slot];
    entry.wheelSlot = slot;
    entry.wheelPrevious = undefined;
    entry.wheelNext = first;
    if (first !== undefined) first.wheelPrevious = entry;
    this.#slots[slot] = entry;
    this.#count++;
    const soonest = Math.min(tick, this.#doneTick + SLOTS);
    if (this.#timer === undefined || soonest < this.#timerTick) this.#setTimer(soonest);
  }

  /** Takes the entry back; it may have left already. */
  remove(entry: DeadlineEntry): void {
    if (entry.wheelSlot < 0) return;
    const { wheelNext, wheelPrevious } = entry;
    if (wheelPrevious === undefined) this.#slots[entry.wheelSlot] = wheelNext;
    else wheelPrevious.wheelNext = wheelNext;
    if (wheelNext !== undefined) wheelNext.wheelPrevious = wheelPrevious;
    entry.wheelNext = undefined;
    entry.wheelPrevious = undefined;
    entry.wheelSlot = -1;
    this.#count--;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #setTimer(tick: number): void {
    this.#timer?.cancel();
    this.#timerTick = tick;
    const delayMs = Math.max(tick * TICK_MS - this.#env.monotonicMs(), 1);
    this.#timer = this.#env.setTimer(delayMs, () => this.#onTimer());
  }

  #onTimer(): void {
    this.#timer = undefined;
    const nowMs = this.#env.monotonicMs();
    const nowTick = Math.floor(nowMs / TICK_MS);
    // After a long pause one turn of the wheel visits every slot there is.
    const from = Math.max(this.#doneTick + 1, nowTick - SLOTS + 1);
    this.#doneTick = nowTick;
    const passed: DeadlineEntry[] = [];
    for (let tick = from; tick <= nowTick; tick++) {
      for (let entry = this.#slots[tick % SLOTS]; entry !== undefined; entry = entry.wheelNext) {
        if (entry.deadlineMs <= nowMs) passed.push(entry);
      }
    }
    for (const entry of passed) {
      // Still there: an earlier one's listener may have ended it.
      if (entry.wheelSlot < 0) continue;
      this.remove(entry);
      entry.onDeadline();
    }
    if (this.#count === 0 || this.#timer !== undefined) return;
    let next = this.#doneTick + 1;
    while (this.#slots[next % SLOTS] === undefined) next++;
    this.#setTimer(next);
  }
}
