/**
 * What the flags say about a member that has no log yet, or nothing applied: the cluster it begins or joins, and whom to talk to.
 *
 * They count only then, as in etcd; afterwards names, URLs and token may change without making it another member.
 */
import type { MemberInfo } from '../member.ts';
import type { MemberConfig, World } from '../member-config.ts';
import type { InitialCluster } from './bootstrap.ts';
import { beginCluster, joinCluster } from './join.ts';
import type { Members } from './members.ts';

/** `peers`: it joins a cluster that runs, and these are its members. */
export type PlannedCluster = InitialCluster & { readonly peers?: readonly MemberInfo[] };

/** @throws BootstrapError */
export function plannedCluster(config: MemberConfig, world: World): Promise<PlannedCluster> {
  return config.initialClusterState === 'existing'
    ? joinCluster(config, world.fetchCluster, world.env)
    : beginCluster(config, world.fetchCluster);
}

/** Those to talk to until the list of members is applied: a member that joins, or that was killed soon after it did. */
export async function initialPeers(
  config: MemberConfig,
  world: World,
  cluster: PlannedCluster | null,
  members: Members,
): Promise<readonly MemberInfo[]> {
  if (members.list().length > 0) return [];
  const planned = cluster ?? (await plannedPeers(config, world));
  return planned.peers ?? planned.members.map((member) => ({ ...member, clientUrls: [], isLearner: false }));
}

/** The log has entries and none is applied. */
async function plannedPeers(config: MemberConfig, world: World): Promise<PlannedCluster> {
  if (config.initialClusterState === 'new') return beginCluster(config, undefined);
  return joinCluster(config, world.fetchCluster, world.env);
}
