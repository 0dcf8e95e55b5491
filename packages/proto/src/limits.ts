/**
 * Numbers that both sides of the wire rely on. Servers may be configured away from the defaults; clients may not
 * assume more than these.
 */
export const limits = {
  /** Largest encoded proposal (`--max-request-bytes`). */
  maxRequestBytes: 1_572_864,
  /** What a received gRPC message may be longer than `maxRequestBytes`, for its own framing fields. */
  grpcOverheadBytes: 524_288,
  /** Compares, or operations of one branch, in a transaction (`--max-txn-ops`). */
  maxTxnOps: 128,
  /** Longest lease, in seconds. */
  maxLeaseTtlSec: 9_000_000_000,
  /** What a client sends at most. */
  clientSendBytes: 2 * 1024 * 1024,
  /** What a client or a server receives or sends at most where nothing else is said. */
  maxMessageBytes: 2_147_483_647,
  /** Committed entries that may wait to be applied before new proposals are refused. */
  maxApplyBacklogEntries: 5_000,
  /** Blob size of a snapshot stream. */
  snapshotChunkBytes: 32 * 1024,
  /** Learners in one cluster (`--max-learners`). */
  maxLearners: 1,
  /** Backend quota when `--quota-backend-bytes` is 0. */
  defaultQuotaBytes: 2_147_483_648,
  /** Quota above which a server warns. */
  suggestedMaxQuotaBytes: 8 * 1024 * 1024 * 1024,
} as const;

/** Request metadata that etcd's clients send and its servers read; all lower case. */
export const metadataKeys = {
  token: 'token',
  /** Read when `token` is absent. */
  authorization: 'authorization',
  /** `true`: fail rather than answer from a member that knows no leader. */
  hasLeader: 'hasleader',
  clientApiVersion: 'client-api-version',
} as const;

/** The etcd release whose API and behaviour is served, and its short form. Clients switch features on it. */
export const etcdApi = { version: '3.7.0', apiVersion: '3.7' } as const;
