/** The real world of a member on this machine: Node's clocks, files and threads. */
import { statSync } from 'node:fs';
import { nodeDisk } from '@quorate/wal';
import type { Logger } from '../env.ts';
import { failpointsFrom, NO_FAILPOINTS } from '../failpoints.ts';
import type { World } from '../member-config.ts';
import { type Network, NO_PEERS } from '../network.ts';
import { nodeEnv } from './env.ts';
import { processActions } from './failpoint-actions.ts';

/** @throws FailpointError when the environment asks for failpoints outside tests */
export function nodeWorld(log: Logger, network: Network = NO_PEERS): World {
  const failpoint = failpointsFrom(process.env, processActions);
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return {
    env: nodeEnv(log),
    disk: nodeDisk,
    network,
    failpoint,
    failpointModule:
      failpoint === NO_FAILPOINTS ? null : new URL(`./failpoint-module.${extension}`, import.meta.url).href,
    modeOf: process.platform === 'win32' ? () => null : (path) => statSync(path).mode & 0o777,
    inThread: null,
  };
}
