/**
 * Who a new member is: worked out from the flags for a cluster that begins, asked from a running one for a member that joins.
 *
 * A member that joins was added before (`member add`), so the running cluster knows its peer URLs and has given it an id; the flags
 * must list the same members, matched by their URLs, as etcd does. Nothing is written before this has succeeded.
 */
import type { Env } from '../env.ts';
import type { MemberInfo } from '../member.ts';
import type { FetchCluster, MemberConfig, RemoteCluster } from '../member-config.ts';
import { BootstrapError, type InitialCluster, initialCluster } from './bootstrap.ts';
import { formatId } from './ids.ts';
import { type ResolveHost, samePeerUrls } from './peer-urls.ts';

/** Members that begin together do not answer yet: each of them waits so long for nothing. */
const BEGIN_PATIENCE_MS = 500;
/** One round of questions to a running cluster, */
const JOIN_ROUND_MS = 5_000;
/** rounds until then (its members may be starting, or busy), */
const JOIN_PATIENCE_MS = 30_000;
/** and what lies between two of them. */
const JOIN_PAUSE_MS = 1_000;
/** A member that lags may not know of the addition yet: so many answers are looked at before the flags are found wrong, */
const MATCH_ROUNDS = 3;
/** with this between two of them. */
const MATCH_PAUSE_MS = 500;

type Flags = Pick<MemberConfig, 'name' | 'initialCluster' | 'initialClusterToken'>;

/**
 * The cluster this member begins together with others.
 * @throws BootstrapError also when the others have one running in which this member took part already: it lost its data, and with
 *   them its votes
 */
export async function beginCluster(
  flags: Flags,
  fetchCluster: FetchCluster | undefined,
): Promise<InitialCluster> {
  const cluster = initialCluster(flags.name, flags.initialCluster, flags.initialClusterToken);
  if (cluster.members.length === 1 || fetchCluster === undefined) return cluster;
  const running = await fetchCluster(urlsOfOthers(flags), BEGIN_PATIENCE_MS).catch(() => null);
  const known = running?.clusterId === cluster.clusterId ? memberOf(running, cluster.memberId) : undefined;
  if (known !== undefined && known.clientUrls.length > 0) {
    throw new BootstrapError(`member ${formatId(cluster.memberId)} has already been bootstrapped`);
  }
  return cluster;
}

/**
 * The running cluster this member was added to.
 * @throws BootstrapError soon for a mistake, after a while when nobody answers
 */
export async function joinCluster(
  flags: Flags,
  fetchCluster: FetchCluster | undefined,
  env: Env,
  resolve: ResolveHost | undefined,
): Promise<InitialCluster & { readonly peers: readonly MemberInfo[] }> {
  const urls = urlsOfOthers(flags);
  const cause = (text: unknown): BootstrapError =>
    new BootstrapError(`cannot fetch cluster info from peer urls: ${text}`);
  if (fetchCluster === undefined || urls.length === 0) {
    throw cause('could not retrieve cluster information from the given URLs');
  }
  const ask = async (round: number): Promise<RemoteCluster> => {
    try {
      // Whoever is named first is asked first.
      const rotated = [...urls.slice(round % urls.length), ...urls.slice(0, round % urls.length)];
      return await askPatiently(fetchCluster, rotated, env);
    } catch (error) {
      throw cause((error as Error).message);
    }
  };
  const { running, members } = await matching(flags, ask, env, resolve);
  const own = members.find(({ name }) => name === flags.name);
  if (own === undefined) throw new BootstrapError(`the running cluster has no member "${flags.name}"`);
  const remote = memberOf(running, own.id);
  if (remote !== undefined && remote.clientUrls.length > 0) {
    // It took part and lost its data: under the same id it would break promises it no longer remembers.
    throw new BootstrapError(
      `member ${formatId(own.id)} has already been bootstrapped: remove it from the cluster and add it anew`,
    );
  }
  return { clusterId: running.clusterId, memberId: own.id, members, peers: running.members };
}

/**
 * Round after round. etcd gives up after the first and leaves it to whoever started it to start it again.
 * @throws Error of the last round
 */
async function askPatiently(
  fetchCluster: FetchCluster,
  urls: readonly string[],
  env: Env,
): Promise<RemoteCluster> {
  const giveUpMs = env.monotonicMs() + JOIN_PATIENCE_MS;
  for (;;) {
    try {
      return await fetchCluster(urls, JOIN_ROUND_MS);
    } catch (error) {
      const leftMs = giveUpMs - env.monotonicMs();
      if (leftMs <= JOIN_PAUSE_MS) throw error;
      env.log.log('warn', 'no member of the cluster to join has answered yet', {
        urls,
        reason: (error as Error).message,
        'gives-up-in-sec': Math.round(leftMs / 1000),
      });
      await new Promise<void>((resolve) => env.setTimer(JOIN_PAUSE_MS, resolve));
    }
  }
}

async function matching(
  flags: Flags,
  ask: (round: number) => Promise<RemoteCluster>,
  env: Env,
  resolve: ResolveHost | undefined,
): Promise<{ running: RemoteCluster; members: InitialCluster['members'] }> {
  for (let round = 0; ; round++) {
    const running = await ask(round);
    try {
      return { running, members: await matchByUrls(flags, running, resolve) };
    } catch (error) {
      if (round + 1 >= MATCH_ROUNDS) throw error;
      await new Promise<void>((resolve) => env.setTimer(MATCH_PAUSE_MS, resolve));
    }
  }
}

/** The members in the flags with the ids that the running cluster has given them. */
async function matchByUrls(
  flags: Flags,
  running: RemoteCluster,
  resolve: ResolveHost | undefined,
): Promise<InitialCluster['members']> {
  const fail = (why: string): BootstrapError =>
    new BootstrapError(`error validating peerURLs ${describe(running)}: ${why}`);
  if (flags.initialCluster.length !== running.members.length) throw fail('member count is unequal');
  const members: InitialCluster['members'][number][] = [];
  for (const { name, peerUrls } of flags.initialCluster) {
    const match = await memberAt(running, peerUrls, resolve);
    if (match === undefined) throw fail(`unmatched member while checking PeerURLs (${peerUrls.join(',')})`);
    members.push({ id: match.id, name, peerUrls });
  }
  return members;
}

/** Equal texts first: then no name has to be resolved. */
async function memberAt(
  { members }: RemoteCluster,
  peerUrls: readonly string[],
  resolve: ResolveHost | undefined,
): Promise<MemberInfo | undefined> {
  for (const way of [undefined, resolve]) {
    for (const member of members) if (await samePeerUrls(member.peerUrls, peerUrls, way)) return member;
  }
  return undefined;
}

export function urlsOfOthers(flags: Flags): readonly string[] {
  return flags.initialCluster.filter(({ name }) => name !== flags.name).flatMap(({ peerUrls }) => peerUrls);
}

function memberOf(cluster: RemoteCluster, id: bigint): MemberInfo | undefined {
  return cluster.members.find((member) => member.id === id);
}

function describe({ clusterId, members }: RemoteCluster): string {
  const list = members.map(({ id, peerUrls }) => `${formatId(id)}=${peerUrls.join(',')}`);
  return `{ClusterID:${formatId(clusterId)} Members:[${list.join(' ')}]}`;
}
