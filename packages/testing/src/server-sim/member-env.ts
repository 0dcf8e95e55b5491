/**
 * One life of a simulated member as it sees the world: its clock, its timers, and a scheduler that may hold it still or end it.
 *
 * Everything a member does begins in `run`: a timer, the end of a turn, a message, a client's call. There a pause keeps it
 * for later, a crash drops it, and the simulation looks at the invariants after it. Clocks are the world's, moved by
 * an offset and running a little faster or slower (`rate`).
 */
import type { Env, Timer } from '@quorate/server';
import type { SimEnv } from '../sim/env.ts';
import { Random } from '../sim/random.ts';

/** Thrown where a member crashes in the middle of its work; nothing it does afterwards counts. */
export class Crashed extends Error {
  override readonly name = 'Crashed';
}

export interface ClockOf {
  readonly offsetMs: number;
  readonly rate: number;
}

export interface MemberEnvHost {
  /** After each piece of work. */
  afterWork(): void;
  /** Something was thrown that nobody caught: a real process would end here. */
  onUncaught(error: Error): void;
  onLog(level: string, message: string, fields: Record<string, unknown> | undefined): void;
}

export class MemberEnv implements Env {
  readonly log: Env['log'];
  readonly #world: SimEnv;
  readonly #clock: ClockOf;
  readonly #random: Random;
  readonly #host: MemberEnvHost;
  #alive = true;
  #paused = false;
  #late: (() => void)[] = [];
  wallOffsetMs = 1_700_000_000_000;

  constructor(world: SimEnv, seed: string, clock: ClockOf, host: MemberEnvHost) {
    this.#world = world;
    this.#clock = clock;
    this.#random = new Random(seed, 'member');
    this.#host = host;
    this.log = { log: (level, message, fields) => host.onLog(level, message, fields) };
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Work that a pause holds back. */
  get lateCount(): number {
    return this.#late.length;
  }

  monotonicMs(): number {
    return this.#clock.offsetMs + this.#world.monotonicMs() * this.#clock.rate;
  }

  wallMs(): number {
    return this.monotonicMs() + this.wallOffsetMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#world.setTimer(Math.min(delayMs / this.#clock.rate, 2 ** 31 - 1), () => this.run(callback));
  }

  afterPoll(callback: () => void): void {
    this.#world.afterPoll(() => this.run(callback));
  }

  randomInt(bound: number): number {
    return this.#random.int(bound);
  }

  randomBytes(length: number): Uint8Array {
    return this.#random.bytes(length);
  }

  readonly run = (work: () => void): void => {
    if (!this.#alive) return;
    if (this.#paused) {
      this.#late.push(work);
      return;
    }
    try {
      work();
    } catch (error) {
      if (!this.#alive) return;
      this.#host.onUncaught(error as Error);
    }
    this.#host.afterWork();
  };

  pause(): void {
    this.#paused = true;
  }

  /** What was held back happens now, in the order in which it came. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    for (const work of this.#late.splice(0)) this.run(work);
  }

  /** Nothing of this life happens any more. */
  end(): void {
    this.#alive = false;
    this.#late = [];
  }
}
