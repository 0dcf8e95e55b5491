/**
 * The world of a server's member: what it was given, and the real network on the peer port.
 *
 * A world that brings a network of its own keeps it.
 */
import { etcdApi } from '@quorate/proto';
import type { ServerConfig } from './config/config.ts';
import type { MetricsSource } from './http/metrics/source.ts';
import type { NetworkHost, World } from './member-config.ts';
import { NO_PEERS } from './network.ts';
import { firstAddress } from './node/first-address.ts';
import { fetchCluster } from './peers/join.ts';
import { peerMetrics } from './peers/metrics.ts';
import { createPeerNetwork, type PeerNetwork } from './peers/peer-network.ts';

export interface PeerWorld extends World {
  /** What the real network tells about itself; nothing, when the world has another. */
  readonly peerMetrics: MetricsSource;
}

export function peerWorld(config: ServerConfig, world: World): PeerWorld {
  let network: PeerNetwork | null = null;
  const metrics = peerMetrics(() => network);
  if (world.network !== NO_PEERS) return { ...world, peerMetrics: metrics };
  return {
    ...world,
    peerMetrics: metrics,
    resolveHost: world.resolveHost ?? firstAddress,
    network: async (host) => {
      network = await openNetwork(config, host);
      return network;
    },
    fetchCluster: (urls, timeoutMs) => fetchCluster(urls, { env: world.env, timeoutMs }),
  };
}

async function openNetwork(config: ServerConfig, host: NetworkHost): Promise<PeerNetwork> {
  const { env } = host;
  const options = {
    env,
    clusterId: host.clusterId,
    memberId: host.memberId,
    serverVersion: etcdApi.version,
    electionMs: config.electionMs,
    maxRequestBytes: config.maxRequestBytes,
    isRemoved: (id: bigint) => host.isRemoved(id),
    describe: () => host.describe(),
    onRemoved: (by: bigint) => host.onRemoved(by),
  };
  try {
    const network = await createPeerNetwork({ ...options, listenUrls: config.listenPeerUrls });
    env.log.log('info', 'listening for peers', { addresses: network.addresses });
    return network;
  } catch (error) {
    if (!config.peerListenerOptional || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    env.log.log('warn', 'the default peer port is taken: no other member can join this one', {
      urls: config.listenPeerUrls.map(({ text }) => text),
    });
    return createPeerNetwork({ ...options, listenUrls: [] });
  }
}
