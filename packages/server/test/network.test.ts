import { Random, SimEnv, SimNetwork } from '@quorate/testing';
import { describe } from 'vitest';
import type { Network } from '../src/network.ts';
import type { PeerNetwork } from '../src/peers/peer-network.ts';
import { type NetworkWorld, networkContract } from './network.contract.ts';
import { openPeer, until, urlOf } from './support/peer-networks.ts';

const IDS = [1n, 2n, 3n];

function introduce(
  networks: ReadonlyMap<bigint, Network>,
  urls: ReadonlyMap<bigint, readonly string[]>,
): void {
  for (const [id, network] of networks) {
    network.setPeers(new Map([...urls].filter(([other]) => other !== id)));
  }
}

describe('members over gRPC', () =>
  networkContract(async (): Promise<NetworkWorld> => {
    const networks = new Map<bigint, PeerNetwork>();
    for (const id of IDS) networks.set(id, await openPeer(id));
    const urls = new Map([...networks].map(([id, network]) => [id, [urlOf(network)]]));
    introduce(networks, urls);
    return {
      networks,
      urls,
      monotonicMs: () => performance.now(),
      until,
      end: async () => void (await Promise.all([...networks.values()].map((network) => network.close()))),
    };
  }));

describe('members in a simulation', () =>
  networkContract(async (): Promise<NetworkWorld> => {
    const env = new SimEnv(1);
    const sim = new SimNetwork(env, new Random(1, 'network'));
    sim.quality = { ...sim.quality, ordered: true };
    const networks = new Map(IDS.map((id) => [id, sim.port(id)]));
    const urls = new Map(IDS.map((id) => [id, [`http://member-${id}:2380`]]));
    introduce(networks, urls);
    return {
      networks,
      urls,
      monotonicMs: () => env.monotonicMs(),
      until: async (condition) => {
        for (let passedMs = 0; !condition(); passedMs += 10) {
          if (passedMs > 60_000) throw new Error('what was waited for did not come');
          env.advance(10);
          await null;
        }
      },
      end: async () => {},
    };
  }));
