/**
 * What a member is started with: its configuration, and the world it runs in.
 *
 * The configuration is plain data with every default already decided (`config/` reads flags and files). The world is
 * everything that touches the machine; `node/world.ts` is the real one, and a simulation passes its own, in which
 * log and store run on the caller's thread.
 */
import type { Backend, StoreLimits } from '@quorate/mvcc';
import type { Disk } from '@quorate/wal';
import type { Env } from './env.ts';
import type { Failpoint } from './failpoints.ts';
import type { CorruptionCheckOptions } from './integrity/corruption-check.ts';
import type { LeaseCheckpoints } from './lease/create-lessor.ts';
import type { MemberInfo } from './member.ts';
import type { InitialMember } from './membership/bootstrap.ts';
import type { ResolveHost } from './membership/peer-urls.ts';
import type { ResolveSrv } from './membership/srv-discovery.ts';
import type { Network } from './network.ts';

export interface MemberConfig {
  readonly name: string;
  readonly dataDirectory: string;
  /** Null: inside the data folder. */
  readonly walDirectory: string | null;
  /** The members the cluster starts with, this one included. Only its identities matter after the first start. */
  readonly initialCluster: readonly InitialMember[];
  /** Own peer URLs as a flag names them; they must be those in `initialCluster`. Null: no flag does. */
  readonly advertisedPeerUrls?: readonly string[] | null;
  /** Finds them when no flag names them. Asked only by a member whose log is still empty. */
  readonly discoverCluster?: () => Promise<readonly InitialMember[]>;
  readonly initialClusterToken: string;
  /**
   * `new`: this member and the others of `initialCluster` begin a cluster together. `existing`: it was added to one that runs, and
   * learns everything from there. Means nothing to a member that has a log.
   */
  readonly initialClusterState: 'new' | 'existing';
  /** Makes a cluster of one from what this member holds: all others are removed. For the loss of a majority only. */
  readonly forceNewCluster: boolean;
  /** Where clients reach this member; published to the cluster. */
  readonly clientUrls: readonly string[];
  readonly heartbeatMs: number;
  readonly electionMs: number;
  /** Ask before an election whether it could be won (Raft thesis §9.6). */
  readonly preVote: boolean;
  /** Wait less before the first election after a start (`consensus/head-start.ts`). */
  readonly advanceFirstElection: boolean;
  /** Refuse changes of members that endanger the quorum (sem-163 to sem-165). */
  readonly strictReconfigCheck: boolean;
  readonly maxLearners: number;
  /** Entries between two snapshot markers in the log. */
  readonly snapshotCount: number;
  /** Entries kept in the log for slow followers when there are any. */
  readonly snapshotCatchUpEntries: number;
  /** Largest encoded request. */
  readonly maxRequestBytes: number;
  readonly maxTxnOps: number;
  /** As given to --quota-backend-bytes: 0 means the default, less than 0 none (sem-174). */
  readonly quotaBytes: number;
  readonly watchProgressIntervalMs: number;
  /** What applying entries may take before it is logged and counted as slow. Default: 100 ms. */
  readonly slowApplyMs?: number;
  /** Whether long leases keep what is left of their time over a change of leader, and over a restart (sem-101). Default: off. */
  readonly leaseCheckpoints?: LeaseCheckpoints;
  /** When members compare their keys. Default: never. */
  readonly corruptionChecks?: CorruptionCheckOptions;
  /** Skips every sync of the log. For tests only. */
  readonly unsafeNoFsync: boolean;
  /** Sizes of log files, of the young entries kept in memory, and of the store's memory; defaults for what is absent. */
  readonly walSegmentBytes?: number;
  readonly raftTailBytes?: number;
  readonly storeLimits?: Partial<StoreLimits>;
}

/** The election timeout as raft counts it: a tick is a heartbeat. */
export function electionTicksOf(config: Pick<MemberConfig, 'electionMs' | 'heartbeatMs'>): number {
  return Math.max(2, Math.round(config.electionMs / config.heartbeatMs));
}

export const DEFAULT_MEMBER_CONFIG = {
  walDirectory: null,
  initialClusterToken: 'etcd-cluster',
  initialClusterState: 'new',
  forceNewCluster: false,
  heartbeatMs: 100,
  electionMs: 1000,
  preVote: true,
  advanceFirstElection: true,
  strictReconfigCheck: true,
  maxLearners: 1,
  snapshotCount: 10_000,
  snapshotCatchUpEntries: 5000,
  maxRequestBytes: 1_572_864,
  maxTxnOps: 128,
  quotaBytes: 0,
  watchProgressIntervalMs: 10 * 60 * 1000,
  unsafeNoFsync: false,
} as const satisfies Partial<MemberConfig>;

/** Who a member is: what its peers check before they listen to it. */
export interface MemberIdentity {
  readonly clusterId: bigint;
  readonly memberId: bigint;
}

/** A member as its network sees it. */
export interface NetworkHost extends MemberIdentity {
  readonly env: Env;
  /** Whether that member was removed from the cluster, for good. */
  isRemoved(id: bigint): boolean;
  /** The cluster as this member knows it: applied, not confirmed with the others. */
  describe(): { readonly clusterVersion: string | null; readonly members: readonly MemberInfo[] };
  /** A member of the cluster says that this one was removed. */
  onRemoved(by: bigint): void;
}

/** A running cluster as one of its members describes it. */
export interface RemoteCluster {
  readonly clusterId: bigint;
  readonly members: readonly MemberInfo[];
}

/** Asks the members behind these peer URLs who is in their cluster. Rejects when none answers in time. */
export type FetchCluster = (peerUrls: readonly string[], timeoutMs: number) => Promise<RemoteCluster>;

export interface World {
  readonly env: Env;
  /** For the folder and its lock; also the log's own when `inThread` is set. */
  readonly disk: Disk;
  /** The network, or what opens it once the member knows who it is. */
  readonly network: Network | ((host: NetworkHost) => Network | Promise<Network>);
  /** Absent: nobody can be asked, so that joining a running cluster fails. */
  readonly fetchCluster?: FetchCluster;
  /** Absent: the machine's DNS. */
  readonly resolveSrv?: ResolveSrv;
  /** Absent: peer URLs are compared as texts. */
  readonly resolveHost?: ResolveHost;
  readonly failpoint: Failpoint;
  /** URL of a module that exports the failpoints as its default, for the log's thread; null when none is active. */
  readonly failpointModule: string | null;
  /** Permission bits of a folder; null where they mean nothing. */
  readonly modeOf: (path: string) => number | null;
  /**
   * Null: log and store have threads of their own. Otherwise everything runs on the caller's thread, the log over `disk`, and
   * a run replays exactly.
   */
  readonly inThread: {
    /** The store's tables; null: LMDB in the data folder. */
    readonly backend: Backend | null;
    /** Runs what the log has to write, in a later turn. */
    readonly schedule: (flush: () => void) => void;
  } | null;
}
