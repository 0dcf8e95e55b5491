/** A thread that stays in one "transaction" for a while and says when it is through. */
import { workerData } from 'node:worker_threads';
import { type GateMemory, insideGate, useGate } from '../../src/backend/exit-gate.ts';

export interface ThreadData {
  readonly gate: GateMemory;
  /** 0 before, 1 inside, 2 through, 3 in the next one, which must not happen. */
  readonly place: Int32Array<SharedArrayBuffer>;
}

const { gate, place } = workerData as ThreadData;
const reach = (where: number): void => {
  Atomics.store(place, 0, where);
  Atomics.notify(place, 0);
};

useGate(gate);
insideGate(() => {
  reach(1);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  reach(2);
});
// Whoever waits for the gate gets it now.
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
insideGate(() => reach(3));
