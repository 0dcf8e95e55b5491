/**
 * The faults whose cost `failover.ts` measures: what each does to a cluster of three, whom clients can still reach, and how
 * it is taken back.
 */
import type { Cluster } from '../cluster/cluster.ts';
import type { ClusterMember } from '../cluster/member.ts';
import type { SmallDisk } from './small-disk.ts';

export interface Scenario {
  readonly name: string;
  readonly times: number;
  /** Does the fault; answers whom clients can still reach, and how to take it back. */
  strike(
    cluster: Cluster,
    disks: ReadonlyMap<string, SmallDisk>,
  ): Promise<{
    readonly reachable: readonly ClusterMember[];
    readonly recover: () => Promise<void>;
  }>;
}

async function killing(cluster: Cluster, victim: ClusterMember) {
  await victim.end('SIGKILL');
  return {
    reachable: cluster.members.filter((member) => member !== victim),
    recover: async () => cluster.restart(victim),
  };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'leader killed',
    times: 20,
    strike: async (cluster) => killing(cluster, await cluster.waitForLeader()),
  },
  {
    name: 'follower killed',
    times: 5,
    strike: async (cluster) => {
      const leader = await cluster.waitForLeader();
      return killing(cluster, cluster.members.find((member) => member !== leader)!);
    },
  },
  {
    name: 'leader cut off from the others',
    times: 5,
    strike: async (cluster) => {
      const leader = await cluster.waitForLeader();
      const others = cluster.others(leader);
      cluster.mesh.cut([leader.name], others);
      cluster.mesh.cut(others, [leader.name]);
      return {
        reachable: cluster.members.filter((member) => member !== leader),
        recover: async () => cluster.mesh.healAll(),
      };
    },
  },
  {
    name: 'leader paused for good',
    times: 5,
    strike: async (cluster) => {
      const leader = await cluster.waitForLeader();
      leader.pause();
      return {
        reachable: cluster.members.filter((member) => member !== leader),
        recover: async () => leader.continue(),
      };
    },
  },
  {
    name: 'all killed and started again',
    times: 5,
    strike: async (cluster) => {
      await Promise.all(cluster.members.map((member) => member.end('SIGKILL')));
      for (const member of cluster.members) cluster.restart(member);
      return { reachable: cluster.members, recover: async () => {} };
    },
  },
  {
    name: 'disk of the leader full',
    times: 2,
    strike: async (cluster, disks) => {
      const leader = await cluster.waitForLeader();
      const disk = disks.get(leader.name);
      leader.expectEnd();
      disk?.fill();
      return {
        reachable: cluster.members,
        recover: async () => {
          disk?.free();
          await leader.end('SIGKILL');
          cluster.restart(leader);
        },
      };
    },
  },
];
