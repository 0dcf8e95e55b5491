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
import type { InitialMember } from './membership/bootstrap.ts';
import type { Network } from './network.ts';

export interface MemberConfig {
  readonly name: string;
  readonly dataDirectory: string;
  /** Null: inside the data folder. */
  readonly walDirectory: string | null;
  /** The members the cluster starts with, this one included. Only its identities matter after the first start. */
  readonly initialCluster: readonly InitialMember[];
  readonly initialClusterToken: string;
  /** Where clients reach this member; published to the cluster. */
  readonly clientUrls: readonly string[];
  readonly heartbeatMs: number;
  readonly electionMs: number;
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
  /** Skips every sync of the log. For tests only. */
  readonly unsafeNoFsync: boolean;
  /** Sizes of log files and of the store's memory; defaults for what is absent. */
  readonly walSegmentBytes?: number;
  readonly storeLimits?: Partial<StoreLimits>;
}

export const DEFAULT_MEMBER_CONFIG = {
  walDirectory: null,
  initialClusterToken: 'etcd-cluster',
  heartbeatMs: 100,
  electionMs: 1000,
  snapshotCount: 10_000,
  snapshotCatchUpEntries: 5000,
  maxRequestBytes: 1_572_864,
  maxTxnOps: 128,
  quotaBytes: 0,
  watchProgressIntervalMs: 10 * 60 * 1000,
  unsafeNoFsync: false,
} as const satisfies Partial<MemberConfig>;

export interface World {
  readonly env: Env;
  /** For the folder and its lock; also the log's own when `inThread` is set. */
  readonly disk: Disk;
  readonly network: Network;
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
