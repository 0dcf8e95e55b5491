/**
 * The world as a member sees it: time, timers, randomness and the log.
 *
 * Everything in this package that needs one of them takes an `Env`; nothing reads a clock or draws a number by
 * itself (a repository test enforces it). The real one is `node/env.ts`; the simulator in `@quorate/testing` has
 * its own with virtual time. Both pass `env.contract.ts`.
 */
export interface Env {
  /** Monotonic milliseconds, with fractions; unaffected by wall-clock jumps. All durations and deadlines use it. */
  monotonicMs(): number;
  /** Wall clock, milliseconds since 1970: for logs and certificates only. */
  wallMs(): number;
  /** Runs `callback` once, not before `delayMs` from now. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` after the events that are waiting now have been handled (sockets read before timers act on stale news). */
  afterPoll(callback: () => void): void;
  /** Uniform integer in `[0, bound)`, `bound <= 2^32`. Not for secrets. */
  randomInt(bound: number): number;
  /** `length` bytes fit for ids and tokens. */
  randomBytes(length: number): Uint8Array;
  readonly log: Logger;
}

export interface Timer {
  cancel(): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'panic' | 'fatal';

/** Structured log: a constant message and fields. Never give it secrets, keys' values or tokens. */
export interface Logger {
  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void;
}
