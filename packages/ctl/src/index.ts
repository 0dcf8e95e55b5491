/** @quorate/ctl: the command line as a function, for tests and for embedding. The executable is `main.ts`. */

export type { Io } from './context.ts';
export { ExitCode } from './exit.ts';
export { run } from './run.ts';
