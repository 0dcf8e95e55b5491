/** The thread of `ticker.ts`: sleeps until the next whole tick, and says so. */
import { parentPort, workerData } from 'node:worker_threads';

const { tickMs } = workerData as { tickMs: number };
const never = new Int32Array(new SharedArrayBuffer(4));
let next = performance.now();
while (true) {
  next += tickMs;
  const leftMs = next - performance.now();
  if (leftMs > 0) Atomics.wait(never, 0, 0, leftMs);
  parentPort?.postMessage(0);
}
