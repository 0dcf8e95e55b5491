/** A process that ends while one of its threads is inside of a transaction; prints where the thread was at the very end. */
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { newGate } from '../../src/backend/exit-gate.ts';
import type { ThreadData } from './thread.ts';

const place = new Int32Array(new SharedArrayBuffer(4));
const gate = newGate();
new Worker(new URL('./thread.ts', import.meta.url), { workerData: { gate, place } satisfies ThreadData });
// After the gates are shut: listeners are called in the order they were added.
process.on('exit', () => void writeSync(1, `${Atomics.load(place, 0)}\n`));
await Atomics.waitAsync(place, 0, 0, 10_000).value;
process.exit(3);
