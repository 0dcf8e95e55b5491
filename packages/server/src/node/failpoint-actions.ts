/** What failpoints do to a real process. */
import type { FailpointActions } from '../failpoints.ts';

const cell = new Int32Array(new SharedArrayBuffer(4));

export const processActions: FailpointActions = {
  kill() {
    process.kill(process.pid, 'SIGKILL');
    // The signal takes the whole process, but not within this instruction: nothing may run after it.
    for (;;) Atomics.wait(cell, 0, 0);
  },
  sleep(ms) {
    Atomics.wait(cell, 0, 0, ms);
  },
};
