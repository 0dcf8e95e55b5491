/**
 * Named places where a test may make the member crash, throw or pause.
 *
 * `FP=name:action[:nth][,...]`, read only when NODE_ENV is `test`; otherwise every place is an empty function and a
 * set `FP` is refused at start. Actions: `kill` (SIGKILL to itself), `throw`, `sleep=<ms>` (busy, holds the loop).
 * `nth` counts visits from 1; without it the first visit acts. `quorate --list-failpoints` prints the names.
 */

/** Marks a place. Called on hot paths: an inactive one must cost nothing but the call. */
export type Failpoint = (name: string) => void;

export const NO_FAILPOINTS: Failpoint = () => {};
