/** Node's clock and timers for the transport. */
import type { TransportEnv } from '../options.ts';

export const nodeEnv: TransportEnv = {
  monotonicMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, Math.ceil(delayMs));
    // Sockets keep the process alive; looking after them does not.
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  afterPoll: (callback) => {
    setImmediate(callback);
  },
};
