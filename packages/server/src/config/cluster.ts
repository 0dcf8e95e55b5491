/**
 * Flags about the cluster: who begins it, who this member is in it, and how it is joined.
 *
 * What cannot be read is refused here, with etcd's texts. Whether the lists fit each other matters to a member without data alone
 * (`membership/plan.ts`), and what only the running cluster can say is found in `membership/join.ts`.
 */
import type { InitialMember } from '../membership/bootstrap.ts';
import { ConfigError } from './errors.ts';
import type { Settings } from './settings.ts';
import { type EndpointUrl, parseUrls } from './urls.ts';
import { ValueError } from './values.ts';

export interface ClusterConfig {
  /** Where peers connect. */
  readonly listenPeerUrls: readonly EndpointUrl[];
  /** A listener nobody asked for: a member alone does without it when its port is taken. */
  readonly peerListenerOptional: boolean;
  /** Own peer URLs, as told to the cluster. */
  readonly peerUrls: readonly string[];
  /** Own peer URLs where a flag names them beside the initial cluster, which must say the same; null otherwise. */
  readonly advertisedPeerUrls: readonly string[] | null;
  /** Empty when they are found by DNS (`discoverySrv`). */
  readonly initialCluster: readonly InitialMember[];
  readonly clusterToken: string;
  readonly initialClusterState: 'new' | 'existing';
  /** Null: not used. */
  readonly discoverySrv: { readonly domain: string; readonly serviceSuffix: string } | null;
  readonly forceNewCluster: boolean;
  readonly preVote: boolean;
  readonly advanceFirstElection: boolean;
  readonly strictReconfigCheck: boolean;
  readonly maxLearners: number;
}

/** @throws ConfigError */
export function clusterConfig(settings: Settings, name: string): ClusterConfig {
  const listenPeerUrls = settings.urls('listen-peer-urls');
  for (const url of listenPeerUrls) {
    if (url.scheme === 'https' || url.scheme === 'unixs') {
      throw new ConfigError(`TLS is not supported yet: ${url.text} in --listen-peer-urls`);
    }
  }
  const domain = settings.string('discovery-srv');
  if (domain !== '' && settings.isGiven('initial-cluster')) {
    throw new ConfigError(
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster" or "discovery-srv"',
    );
  }
  const advertised = settings.urls('initial-advertise-peer-urls').map(({ text }) => text);
  const initialCluster = domain === '' ? clusterOf(settings, name, advertised) : [];
  return {
    listenPeerUrls,
    peerListenerOptional: !settings.isGiven('listen-peer-urls') && initialCluster.length === 1,
    advertisedPeerUrls: settings.isGiven('initial-advertise-peer-urls') ? advertised : null,
    peerUrls: initialCluster.find((member) => member.name === name)?.peerUrls ?? advertised,
    initialCluster,
    clusterToken: settings.string('initial-cluster-token'),
    initialClusterState: settings.string('initial-cluster-state') === 'existing' ? 'existing' : 'new',
    discoverySrv: domain === '' ? null : { domain, serviceSuffix: settings.string('discovery-srv-name') },
    forceNewCluster: settings.bool('force-new-cluster'),
    preVote: settings.bool('pre-vote'),
    advanceFirstElection: settings.bool('initial-election-tick-advance'),
    strictReconfigCheck: settings.bool('strict-reconfig-check'),
    maxLearners: settings.number('max-learners'),
  };
}

/** When only the name or the own peer URLs were given, the initial cluster follows them. */
function clusterOf(settings: Settings, name: string, advertised: readonly string[]): InitialMember[] {
  if (!settings.isGiven('initial-cluster')) {
    if (name === '')
      throw new ConfigError(`couldn't find local name "${name}" in the initial cluster configuration`);
    if (advertised.length === 0) throw notCluster(`no URL for member "${name}"`);
    return [{ name, peerUrls: advertised }];
  }
  return parseInitialCluster(settings.string('initial-cluster'));
}

function notCluster(why: string): ConfigError {
  return new ConfigError(`error setting up initial cluster: ${why}`);
}

/** `NAME=URL,NAME=URL`; a name that comes twice has two URLs. */
function parseInitialCluster(text: string): InitialMember[] {
  const members = new Map<string, string[]>();
  for (const item of text.split(',')) {
    const equals = item.indexOf('=');
    const name = (equals < 0 ? '' : item.slice(0, equals)).trim();
    if (name === '') throw new ConfigError(`--initial-cluster: "${item}" is not NAME=URL`);
    try {
      const urls = parseUrls(item.slice(equals + 1)).map((url) => url.text);
      if (urls.length === 0) throw new ValueError(`no URL for member "${name}"`);
      members.set(name, [...(members.get(name) ?? []), ...urls]);
    } catch (error) {
      if (error instanceof ValueError) throw notCluster(error.message);
      throw error;
    }
  }
  return [...members].map(([name, peerUrls]) => ({ name, peerUrls }));
}
