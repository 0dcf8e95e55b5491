/**
 * The registry of errors: every text a client can see, with the status it travels under and whether a retry
 * helps. Servers take the text and the status from here; clients come back from the text to the code, by equality
 * of the whole text and never by a part of it. `docs/errors.md` lists the same set.
 *
 * Invariants, held by tests: codes and texts are unique; the set equals the table of etcd's errors.
 */
import { GrpcStatus, type GrpcStatusName } from './status.ts';

/**
 * Whether sending the same request again can help.
 * - `no`: it would fail again.
 * - `later`: nothing happened; try again after a pause.
 * - `if-idempotent`: the outcome is unknown.
 * - `authenticate`: get a new token first.
 * - `elsewhere`: another member can serve it.
 */
export type RetryHint = 'no' | 'later' | 'if-idempotent' | 'authenticate' | 'elsewhere';

export interface ErrorFact {
  /** The name of etcd's constant, for cross-reading. */
  readonly symbol: string;
  /** Status that etcd attaches to the constant. */
  readonly declared: GrpcStatusName;
  /** Status that arrives. It differs from `declared` where etcd's server returns its client-side type. */
  readonly wire: GrpcStatusName;
  readonly retry: RetryHint;
  /** The whole text on the wire. */
  readonly message: string;
}

function fact(
  symbol: string,
  wire: GrpcStatusName,
  message: string,
  retry: RetryHint = 'no',
  declared: GrpcStatusName = wire,
): ErrorFact {
  return { symbol, declared, wire, retry, message };
}

const facts = {
  // Requests and transactions.
  EMPTY_KEY: fact('ErrGRPCEmptyKey', 'INVALID_ARGUMENT', 'etcdserver: key is not provided'),
  KEY_NOT_FOUND: fact('ErrGRPCKeyNotFound', 'INVALID_ARGUMENT', 'etcdserver: key not found'),
  VALUE_PROVIDED: fact('ErrGRPCValueProvided', 'INVALID_ARGUMENT', 'etcdserver: value is provided'),
  LEASE_PROVIDED: fact('ErrGRPCLeaseProvided', 'INVALID_ARGUMENT', 'etcdserver: lease is provided'),
  TOO_MANY_OPERATIONS: fact(
    'ErrGRPCTooManyOps',
    'INVALID_ARGUMENT',
    'etcdserver: too many operations in txn request',
  ),
  DUPLICATE_KEY: fact(
    'ErrGRPCDuplicateKey',
    'INVALID_ARGUMENT',
    'etcdserver: duplicate key given in txn request',
  ),
  INVALID_CLIENT_API_VERSION: fact(
    'ErrGRPCInvalidClientAPIVersion',
    'INVALID_ARGUMENT',
    'etcdserver: invalid client api version',
  ),
  INVALID_SORT_OPTION: fact(
    'ErrGRPCInvalidSortOption',
    'INVALID_ARGUMENT',
    'etcdserver: invalid sort option',
  ),

  // Revisions and space.
  COMPACTED: fact(
    'ErrGRPCCompacted',
    'OUT_OF_RANGE',
    'etcdserver: mvcc: required revision has been compacted',
  ),
  FUTURE_REVISION: fact(
    'ErrGRPCFutureRev',
    'OUT_OF_RANGE',
    'etcdserver: mvcc: required revision is a future revision',
  ),
  NO_SPACE: fact('ErrGRPCNoSpace', 'RESOURCE_EXHAUSTED', 'etcdserver: mvcc: database space exceeded'),

  // Leases and watches.
  LEASE_NOT_FOUND: fact('ErrGRPCLeaseNotFound', 'NOT_FOUND', 'etcdserver: requested lease not found'),
  LEASE_EXIST: fact('ErrGRPCLeaseExist', 'FAILED_PRECONDITION', 'etcdserver: lease already exists'),
  LEASE_TTL_TOO_LARGE: fact('ErrGRPCLeaseTTLTooLarge', 'OUT_OF_RANGE', 'etcdserver: too large lease TTL'),
  WATCH_CANCELED: fact('ErrGRPCWatchCanceled', 'CANCELLED', 'etcdserver: watch canceled'),

  // Membership.
  MEMBER_EXIST: fact('ErrGRPCMemberExist', 'FAILED_PRECONDITION', 'etcdserver: member ID already exist'),
  PEER_URL_EXIST: fact('ErrGRPCPeerURLExist', 'FAILED_PRECONDITION', 'etcdserver: Peer URLs already exists'),
  MEMBER_NOT_ENOUGH_STARTED: fact(
    'ErrGRPCMemberNotEnoughStarted',
    'UNKNOWN',
    'etcdserver: re-configuration failed due to not enough started members',
    'no',
    'FAILED_PRECONDITION',
  ),
  MEMBER_BAD_URLS: fact(
    'ErrGRPCMemberBadURLs',
    'INVALID_ARGUMENT',
    'etcdserver: given member URLs are invalid',
  ),
  MEMBER_NOT_FOUND: fact('ErrGRPCMemberNotFound', 'NOT_FOUND', 'etcdserver: member not found'),
  MEMBER_NOT_LEARNER: fact(
    'ErrGRPCMemberNotLearner',
    'FAILED_PRECONDITION',
    'etcdserver: can only promote a learner member',
  ),
  LEARNER_NOT_READY: fact(
    'ErrGRPCLearnerNotReady',
    'FAILED_PRECONDITION',
    'etcdserver: can only promote a learner member which is in sync with leader',
    'later',
  ),
  TOO_MANY_LEARNERS: fact(
    'ErrGRPCTooManyLearners',
    'FAILED_PRECONDITION',
    'etcdserver: too many learner members in cluster',
  ),
  CLUSTER_ID_MISMATCH: fact(
    'ErrGRPCClusterIDMismatch',
    'FAILED_PRECONDITION',
    'etcdserver: cluster ID mismatch',
  ),

  // Limits.
  REQUEST_TOO_LARGE: fact('ErrGRPCRequestTooLarge', 'INVALID_ARGUMENT', 'etcdserver: request is too large'),
  TOO_MANY_REQUESTS: fact(
    'ErrGRPCRequestTooManyRequests',
    'UNKNOWN',
    'etcdserver: too many requests',
    'later',
    'RESOURCE_EXHAUSTED',
  ),

  // Auth.
  ROOT_USER_NOT_EXIST: fact(
    'ErrGRPCRootUserNotExist',
    'FAILED_PRECONDITION',
    'etcdserver: root user does not exist',
  ),
  ROOT_ROLE_NOT_EXIST: fact(
    'ErrGRPCRootRoleNotExist',
    'FAILED_PRECONDITION',
    'etcdserver: root user does not have root role',
  ),
  USER_ALREADY_EXIST: fact(
    'ErrGRPCUserAlreadyExist',
    'FAILED_PRECONDITION',
    'etcdserver: user name already exists',
  ),
  USER_EMPTY: fact('ErrGRPCUserEmpty', 'INVALID_ARGUMENT', 'etcdserver: user name is empty', 'authenticate'),
  USER_NOT_FOUND: fact('ErrGRPCUserNotFound', 'FAILED_PRECONDITION', 'etcdserver: user name not found'),
  ROLE_ALREADY_EXIST: fact(
    'ErrGRPCRoleAlreadyExist',
    'FAILED_PRECONDITION',
    'etcdserver: role name already exists',
  ),
  ROLE_NOT_FOUND: fact('ErrGRPCRoleNotFound', 'FAILED_PRECONDITION', 'etcdserver: role name not found'),
  ROLE_EMPTY: fact('ErrGRPCRoleEmpty', 'INVALID_ARGUMENT', 'etcdserver: role name is empty'),
  AUTH_FAILED: fact(
    'ErrGRPCAuthFailed',
    'INVALID_ARGUMENT',
    'etcdserver: authentication failed, invalid user ID or password',
  ),
  PERMISSION_NOT_GIVEN: fact(
    'ErrGRPCPermissionNotGiven',
    'INVALID_ARGUMENT',
    'etcdserver: permission not given',
  ),
  PERMISSION_DENIED: fact('ErrGRPCPermissionDenied', 'PERMISSION_DENIED', 'etcdserver: permission denied'),
  ROLE_NOT_GRANTED: fact(
    'ErrGRPCRoleNotGranted',
    'FAILED_PRECONDITION',
    'etcdserver: role is not granted to the user',
  ),
  PERMISSION_NOT_GRANTED: fact(
    'ErrGRPCPermissionNotGranted',
    'FAILED_PRECONDITION',
    'etcdserver: permission is not granted to the role',
  ),
  AUTH_NOT_ENABLED: fact(
    'ErrGRPCAuthNotEnabled',
    'FAILED_PRECONDITION',
    'etcdserver: authentication is not enabled',
  ),
  INVALID_AUTH_TOKEN: fact(
    'ErrGRPCInvalidAuthToken',
    'UNAUTHENTICATED',
    'etcdserver: invalid auth token',
    'authenticate',
  ),
  INVALID_AUTH_MANAGEMENT: fact(
    'ErrGRPCInvalidAuthMgmt',
    'INVALID_ARGUMENT',
    'etcdserver: invalid auth management',
  ),
  AUTH_OLD_REVISION: fact(
    'ErrGRPCAuthOldRevision',
    'INVALID_ARGUMENT',
    'etcdserver: revision of auth store is old',
    'authenticate',
  ),

  // Availability.
  NO_LEADER: fact('ErrGRPCNoLeader', 'UNAVAILABLE', 'etcdserver: no leader', 'later'),
  NOT_LEADER: fact('ErrGRPCNotLeader', 'FAILED_PRECONDITION', 'etcdserver: not leader', 'elsewhere'),
  LEADER_CHANGED: fact('ErrGRPCLeaderChanged', 'UNAVAILABLE', 'etcdserver: leader changed', 'if-idempotent'),
  NOT_CAPABLE: fact('ErrGRPCNotCapable', 'FAILED_PRECONDITION', 'etcdserver: not capable'),
  SERVER_STOPPED: fact('ErrGRPCStopped', 'UNAVAILABLE', 'etcdserver: server stopped', 'if-idempotent'),
  REQUEST_TIMED_OUT: fact('ErrGRPCTimeout', 'UNAVAILABLE', 'etcdserver: request timed out', 'if-idempotent'),
  TIMEOUT_DUE_TO_LEADER_FAIL: fact(
    'ErrGRPCTimeoutDueToLeaderFail',
    'UNAVAILABLE',
    'etcdserver: request timed out, possibly due to previous leader failure',
    'if-idempotent',
  ),
  TIMEOUT_DUE_TO_CONNECTION_LOST: fact(
    'ErrGRPCTimeoutDueToConnectionLost',
    'UNAVAILABLE',
    'etcdserver: request timed out, possibly due to connection lost',
    'if-idempotent',
  ),
  TIMEOUT_WAIT_APPLIED_INDEX: fact(
    'ErrGRPCTimeoutWaitAppliedIndex',
    'UNAVAILABLE',
    'etcdserver: request timed out, waiting for the applied index took too long',
    'if-idempotent',
  ),
  UNHEALTHY_CLUSTER: fact('ErrGRPCUnhealthy', 'UNAVAILABLE', 'etcdserver: unhealthy cluster', 'later'),
  CORRUPT_CLUSTER: fact('ErrGRPCCorrupt', 'DATA_LOSS', 'etcdserver: corrupt cluster'),

  // Roles of a member.
  NOT_SUPPORTED_FOR_LEARNER: fact(
    'ErrGRPCNotSupportedForLearner',
    'FAILED_PRECONDITION',
    'etcdserver: rpc not supported for learner',
    'elsewhere',
  ),
  BAD_LEADER_TRANSFEREE: fact(
    'ErrGRPCBadLeaderTransferee',
    'FAILED_PRECONDITION',
    'etcdserver: bad leader transferee',
  ),

  // Downgrade.
  WRONG_DOWNGRADE_VERSION_FORMAT: fact(
    'ErrGRPCWrongDowngradeVersionFormat',
    'INVALID_ARGUMENT',
    'etcdserver: wrong downgrade target version format',
  ),
  INVALID_DOWNGRADE_TARGET_VERSION: fact(
    'ErrGRPCInvalidDowngradeTargetVersion',
    'INVALID_ARGUMENT',
    'etcdserver: invalid downgrade target version',
  ),
  CLUSTER_VERSION_UNAVAILABLE: fact(
    'ErrGRPCClusterVersionUnavailable',
    'FAILED_PRECONDITION',
    'etcdserver: cluster version not found during downgrade',
    'later',
  ),
  DOWNGRADE_IN_PROCESS: fact(
    'ErrGRPCDowngradeInProcess',
    'FAILED_PRECONDITION',
    'etcdserver: cluster has a downgrade job in progress',
    'later',
  ),
  NO_INFLIGHT_DOWNGRADE: fact(
    'ErrGRPCNoInflightDowngrade',
    'FAILED_PRECONDITION',
    'etcdserver: no inflight downgrade job',
  ),

  // Cancelled calls.
  REQUEST_CANCELED: fact('ErrGRPCCanceled', 'CANCELLED', 'etcdserver: request canceled', 'if-idempotent'),
  REQUEST_DEADLINE_EXCEEDED: fact(
    'ErrGRPCDeadlineExceeded',
    'DEADLINE_EXCEEDED',
    'etcdserver: context deadline exceeded',
    'if-idempotent',
  ),

  // Texts that have no constant of their own in etcd's client table.
  RANGE_STREAM_SORT: fact(
    '(RangeStream sort)',
    'UNIMPLEMENTED',
    'RangeStream does not support custom sort orders',
  ),
  RANGE_STREAM_FILTER: fact(
    '(RangeStream filter)',
    'UNIMPLEMENTED',
    'RangeStream does not support revision filters',
  ),

  // Internal errors that reach the wire unmapped.
  NO_PASSWORD_USER: fact(
    'auth.ErrNoPasswordUser',
    'UNKNOWN',
    'auth: authentication failed, password was given for no password user',
  ),
  VERIFY_ONLY_KEY: fact(
    'auth.ErrVerifyOnly',
    'UNKNOWN',
    'auth: token signing attempted with verify-only key',
  ),
  TIMEOUT_LEADER_TRANSFER: fact(
    'errors.ErrTimeoutLeaderTransfer',
    'UNKNOWN',
    'etcdserver: request timed out, leader transfer took too long',
    'if-idempotent',
  ),
  UNKNOWN_METHOD: fact('errors.ErrUnknownMethod', 'UNKNOWN', 'etcdserver: unknown method'),
  NOT_PRIMARY_LESSOR: fact('lease.ErrNotPrimary', 'UNKNOWN', 'not a primary lessor', 'elsewhere'),

  // Locks and elections.
  MISSING_LEADER_KEY: fact('v3election.ErrMissingLeaderKey', 'UNKNOWN', '"leader" field must be provided'),
  ELECTION_NOT_LEADER: fact('concurrency.ErrElectionNotLeader', 'UNKNOWN', 'election: not leader'),
  ELECTION_NO_LEADER: fact('concurrency.ErrElectionNoLeader', 'UNKNOWN', 'election: no leader'),
  SESSION_EXPIRED: fact('concurrency.ErrSessionExpired', 'UNKNOWN', 'mutex: session is expired'),

  // Deadlines and transport.
  CONTEXT_DEADLINE_EXCEEDED: fact(
    'context.DeadlineExceeded',
    'DEADLINE_EXCEEDED',
    'context deadline exceeded',
    'if-idempotent',
  ),
  CONTEXT_CANCELED: fact('context.Canceled', 'CANCELLED', 'context canceled', 'if-idempotent'),
  MESSAGE_TOO_LARGE: fact(
    'gRPC library',
    'RESOURCE_EXHAUSTED',
    'grpc: received message larger than max (N vs. M)',
  ),
};

/** The literal code of an error: `COMPACTED`, `LEASE_NOT_FOUND`, ... */
export type ErrorCode = keyof typeof facts;

export const errorFacts: Readonly<Record<ErrorCode, ErrorFact>> = facts;

/** Every code, in the order of the table. */
export const errorCodes = Object.keys(facts) as ErrorCode[];

const codeByMessage = new Map<string, ErrorCode>(errorCodes.map((code) => [facts[code].message, code]));

/** The code whose text is exactly `message`, or undefined. */
export function errorCodeOf(message: string): ErrorCode | undefined {
  return (
    codeByMessage.get(message) ?? (MESSAGE_TOO_LARGE_FORM.test(message) ? 'MESSAGE_TOO_LARGE' : undefined)
  );
}

/** The status number that `code` travels under. */
export function wireStatus(code: ErrorCode): GrpcStatus {
  return GrpcStatus[facts[code].wire];
}

/** The one text with numbers in it; the registry shows its form. */
export function messageTooLargeText(receivedBytes: number, limitBytes: number): string {
  return `grpc: received message larger than max (${receivedBytes} vs. ${limitBytes})`;
}
const MESSAGE_TOO_LARGE_FORM = /^grpc: received message larger than max \(\d+ vs\. \d+\)$/;

/** Why a watch was cancelled: the texts of `cancel_reason`. They are no statuses, and the stream stays open. */
export const watchCancelReasons = {
  WATCHER_RANGE_EMPTY: 'mvcc: watcher range is empty',
  DUPLICATE_WATCH_ID: 'mvcc: duplicate watch ID provided on the WatchStream',
  COMPACTED: 'etcdserver: mvcc: required revision has been compacted',
  PERMISSION_DENIED: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
  INVALID_AUTH_TOKEN: 'rpc error: code = Unauthenticated desc = etcdserver: invalid auth token',
  AUTH_OLD_REVISION: 'rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old',
  USER_EMPTY: 'rpc error: code = InvalidArgument desc = etcdserver: user name is empty',
} as const;
export type WatchCancelCode = keyof typeof watchCancelReasons;

const cancelCodeByReason = new Map<string, WatchCancelCode>(
  (Object.keys(watchCancelReasons) as WatchCancelCode[]).map((code) => [watchCancelReasons[code], code]),
);

/** The code of a `cancel_reason`, or undefined for a text that is none of ours. */
export function watchCancelCodeOf(reason: string): WatchCancelCode | undefined {
  return cancelCodeByReason.get(reason);
}
