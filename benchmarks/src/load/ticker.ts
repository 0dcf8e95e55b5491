/**
 * Ticks with a precision that Node's timers do not have: a thread of its own sleeps on a futex (about 60 us late
 * instead of up to 1 ms) and wakes the main thread. Used for open loops, whose latencies count from the tick.
 */
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

export const TICK_MS = 1;

/** @param onTick may come late and then stands for several ticks: look at the clock */
export function startTicker(onTick: () => void): { stop(): Promise<unknown> } {
  const worker = new Worker(fileURLToPath(new URL('./ticker-worker.ts', import.meta.url)), {
    workerData: { tickMs: TICK_MS },
  });
  worker.on('message', onTick);
  worker.on('error', (error) => {
    throw error;
  });
  return { stop: () => worker.terminate() };
}
