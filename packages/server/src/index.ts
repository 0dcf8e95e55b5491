export type { Env, Logger, LogLevel, Timer } from './env.ts';
export { type Failpoint, NO_FAILPOINTS } from './failpoints.ts';
export { type Network, NO_PEERS } from './network.ts';
