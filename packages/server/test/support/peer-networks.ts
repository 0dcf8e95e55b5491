/** Real networks of members on loopback, for tests. */
import { parseUrl } from '../../src/config/urls.ts';
import type { Env } from '../../src/env.ts';
import { nodeEnv } from '../../src/node/env.ts';
import type { PeerNetworkOptions } from '../../src/peers/options.ts';
import { createPeerNetwork, type PeerNetwork } from '../../src/peers/peer-network.ts';

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

export function loggingEnv(): { env: Env; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const env = nodeEnv({ log: (level, message, fields = {}) => lines.push({ level, message, fields }) });
  return { env, lines };
}

export const CLUSTER_ID = 0xc1n;

/** A member's network on a free port, impatient enough for tests. */
export function openPeer(
  memberId: bigint,
  options: Partial<PeerNetworkOptions> & { readonly port?: string } = {},
): Promise<PeerNetwork> {
  const { port = '0', ...rest } = options;
  return createPeerNetwork({
    env: options.env ?? loggingEnv().env,
    clusterId: CLUSTER_ID,
    memberId,
    serverVersion: '3.7.0',
    listenUrls: [parseUrl(`http://127.0.0.1:${port}`)],
    electionMs: 1_000,
    isRemoved: () => false,
    describe: () => ({ clusterVersion: null, members: [] }),
    ...rest,
  });
}

export const urlOf = (network: PeerNetwork): string => `http://${network.addresses[0]}`;

/** Looks again and again, with turns of the event loop between; a test's own time limit ends what never comes. */
export async function until(condition: () => boolean, limitMs = 20_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('what was waited for did not come');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
