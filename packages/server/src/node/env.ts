/** The real `Env`: Node's clocks, timers and randomness. */
import { randomBytes } from 'node:crypto';
import type { Env, Logger } from '../env.ts';

export function nodeEnv(log: Logger): Env {
  return {
    log,
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    setTimer(delayMs, callback) {
      const timer = setTimeout(callback, Math.max(0, delayMs));
      return { cancel: () => clearTimeout(timer) };
    },
    // The check phase comes right after the poll phase, in which sockets are read.
    afterPoll: (callback) => void setImmediate(callback),
    randomInt: (bound) => Math.floor(Math.random() * bound),
    randomBytes: (length) => randomBytes(length),
  };
}
