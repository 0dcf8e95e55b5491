/**
 * What the flags say about a member that has no log yet, or nothing applied: the cluster it begins or joins, and whom to talk to.
 *
 * They count only then, as in etcd; afterwards names, URLs and token may change without making it another member.
 */
import { decodeConfChange, EntryType } from '@quorate/raft';
import type { Wal } from '@quorate/wal';
import type { MemberInfo } from '../member.ts';
import type { MemberConfig, MemberIdentity, World } from '../member-config.ts';
import { BootstrapError, type InitialCluster, type InitialMember } from './bootstrap.ts';
import { decodeChange } from './change.ts';
import { beginCluster, joinCluster, urlsOfOthers } from './join.ts';
import type { Members } from './members.ts';
import { checkAdvertised, patiently } from './peer-urls.ts';

/** What the others have to answer when the own log names too few of them. */
const ASK_MS = 5_000;
/** Entries are read from the log so many at a time. */
const READ_BYTES = 4 * 1024 * 1024;

/** `peers`: it joins a cluster that runs, and these are its members. */
export type PlannedCluster = InitialCluster & { readonly peers?: readonly MemberInfo[] };

/** @throws BootstrapError */
export async function plannedCluster(config: MemberConfig, world: World): Promise<PlannedCluster> {
  const flags = await withDiscovery(config);
  const { env, fetchCluster } = world;
  const own = ownMember(flags);
  const resolve = world.resolveHost && patiently(world.resolveHost, env);
  if (config.initialClusterState === 'existing') return joinCluster(flags, fetchCluster, env, resolve);
  // A member that joins announced its URLs when it was added.
  const advertised = config.advertisedPeerUrls ?? null;
  if (advertised !== null) await checkAdvertised(flags.name, own.peerUrls, advertised, resolve);
  return beginCluster(flags, fetchCluster);
}

/** @throws BootstrapError unless the list is one, and this member in it once */
function ownMember({ name, initialCluster }: MemberConfig): InitialMember {
  const [own, another] = initialCluster.filter((member) => member.name === name);
  if (own === undefined || another !== undefined)
    throw new BootstrapError(`couldn't find local name "${name}" in the initial cluster configuration`);
  const urls = initialCluster.flatMap(({ peerUrls }) => peerUrls);
  if (new Set(urls).size !== urls.length) {
    const text = initialCluster.flatMap((member) => member.peerUrls.map((url) => `${member.name}=${url}`));
    throw new BootstrapError(`initial cluster ${text.join(',')} has duplicate url`);
  }
  return own;
}

async function withDiscovery(config: MemberConfig): Promise<MemberConfig> {
  const { discoverCluster } = config;
  return discoverCluster === undefined ? config : { ...config, initialCluster: await discoverCluster() };
}

/**
 * Those to talk to until the list of members is applied: by a member that begins or joins, or that was killed soon after it did.
 *
 * The latter has a log, and nothing of it is in the store yet: the log itself names the members, and flags that have become
 * wrong meanwhile do no harm. Only a log that broke off before this member's own name is not enough.
 */
export async function initialPeers(
  config: MemberConfig,
  world: World,
  cluster: PlannedCluster | null,
  members: Members,
  own: { readonly identity: MemberIdentity; readonly log: Pick<Wal, 'lastIndex' | 'entries'> },
): Promise<readonly MemberInfo[]> {
  if (members.list().length > 0) return [];
  if (cluster !== null) {
    return cluster.peers ?? cluster.members.map((member) => newcomer(member));
  }
  const logged = membersInLog(own.log);
  if (logged.some(({ id }) => id === own.identity.memberId)) return logged;
  const flags = await withDiscovery(config).catch(() => config);
  const running = await world.fetchCluster?.(urlsOfOthers(flags), ASK_MS).catch(() => null);
  return running?.clusterId === own.identity.clusterId ? running.members : logged;
}

/** As the last entry would have it, committed or not. */
function membersInLog(log: Pick<Wal, 'lastIndex' | 'entries'>): readonly MemberInfo[] {
  const members = new Map<bigint, MemberInfo>();
  const end = log.lastIndex() + 1;
  for (let index = 1; index < end; ) {
    const entries = log.entries(index, end, READ_BYTES);
    if (entries.length === 0) break;
    for (const { type, data } of entries) {
      const change = type === EntryType.confChange ? decodeChange(decodeConfChange(data)).change : null;
      if (change?.kind === 'bootstrap') members.set(change.id, { ...change.member, id: change.id });
      else if (change?.kind === 'add') members.set(change.id, newcomer(change));
      else if (change?.kind === 'remove') members.delete(change.id);
    }
    index += entries.length;
  }
  return [...members.values()];
}

function newcomer({ id, peerUrls }: Pick<MemberInfo, 'id' | 'peerUrls'>): MemberInfo {
  return { id, peerUrls, name: '', clientUrls: [], isLearner: false };
}
