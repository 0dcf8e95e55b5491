/**
 * A member as its services see it.
 *
 * Services (gRPC, gateway) hold a `Member` and nothing else of the machinery: they decode, check, ask it to propose
 * or to confirm a read, and encode what comes back. `start-member.ts` builds one from the parts.
 */
import type { Store } from '@quorate/mvcc';
import type { Env } from './env.ts';
import type { Histogram } from './histogram.ts';
import type { Lessor } from './lease/lessor.ts';
import type { Network } from './network.ts';
import type { Operation } from './operations.ts';
import type { Outcome } from './results.ts';
import type { TurnEnd } from './turn-end.ts';

/** A member of the cluster, as the members table holds it. */
export interface MemberInfo {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface MemberLimits {
  /** Largest encoded operation, etcd's --max-request-bytes. */
  readonly maxRequestBytes: number;
  readonly maxTxnOps: number;
  /** 0 or less: no quota. */
  readonly quotaBytes: number;
  /** How long a proposal or a read confirmation may take (sem-010). */
  readonly requestTimeoutMs: number;
  readonly electionTimeoutMs: number;
  /** Shortest TTL granted, seconds (sem-084). */
  readonly minLeaseTtlSec: number;
  readonly watchProgressIntervalMs: number;
}

/** What a member has counted since its start, for metrics. */
export interface MemberCounts {
  /** Requests that ended without an outcome. */
  readonly proposalsFailed: number;
  /** Reads that could not be confirmed, and rounds of confirmation that had to be asked again. */
  readonly readsFailed: number;
  readonly slowReadRounds: number;
  readonly slowApplies: number;
  /** Heartbeats that this member sent late while it led. */
  readonly lateHeartbeats: number;
  /** To the log. */
  readonly logBytes: number;
  /** Another member's state is taking the place of this one's. */
  readonly isInstalling: boolean;
  /** Learners promoted while this member led; those that were not, by reason. */
  readonly promotions: { readonly successes: number; readonly failures: ReadonlyMap<string, number> };
}

/** Ends a request to the cluster about itself. */
export type ChangeDone = (error: Error | null) => void;

/** The member stopped because the cluster no longer has it. */
export class MemberRemovedError extends Error {
  override readonly name = 'MemberRemovedError';
  readonly code = 'MEMBER_REMOVED';
  constructor() {
    super('the member has been permanently removed from the cluster');
  }
}

/**
 * Who is in the cluster and who leads it, for operators. Every `done` is called exactly once, after the change was applied here or
 * with the reason why it was not (`errors.tsv`, rows of members, learners and leaders).
 */
export interface ClusterAdmin {
  /** @param done with the new member's id */
  add(
    peerUrls: readonly string[],
    isLearner: boolean,
    deadlineMs: number,
    done: (error: Error | null, id: bigint) => void,
  ): void;
  remove(id: bigint, deadlineMs: number, done: ChangeDone): void;
  update(id: bigint, peerUrls: readonly string[], deadlineMs: number, done: ChangeDone): void;
  /** A learner that has caught up becomes a voter. On any member; the leader decides (sem-167). */
  promote(id: bigint, deadlineMs: number, done: ChangeDone): void;
  /** On the leader only (sem-172). */
  moveLeader(to: bigint, deadlineMs: number, done: ChangeDone): void;
  /** @param target `X.Y` or `X.Y.Z`; @param done with the cluster's version (sem-194, sem-195) */
  downgrade(
    action: 'validate' | 'enable' | 'cancel',
    target: string,
    deadlineMs: number,
    done: (error: Error | null, clusterVersion: string) => void,
  ): void;
}

export interface Member {
  readonly env: Env;
  /** When to tell many of what was applied, and when to write to sockets. */
  readonly turnEnd: TurnEnd;
  readonly store: Store;
  readonly lessor: Lessor;
  readonly limits: MemberLimits;
  readonly clusterId: bigint;
  readonly memberId: bigint;

  /** Raft's view, cheap to ask. */
  readonly term: number;
  /** 0n when unknown. */
  readonly leader: bigint;
  readonly committedIndex: number;
  readonly appliedIndex: number;
  /** No voter: a learner, or one that does not know yet that it is a member. */
  readonly isLearner: boolean;
  /** True from when it begins to close its log and store: neither may be touched any more. */
  readonly ended: boolean;
  /** For metrics: requests that wait for their outcome, and how long log and store took to make things durable. */
  readonly pendingProposals: number;
  readonly syncSeconds: Histogram;
  readonly commitSeconds: Histogram;
  counts(): MemberCounts;

  /**
   * Replicates and applies. Checks size, back-pressure, quota and alarms first (sem-012, sem-013, sem-176, sem-178).
   * @param operation encoded before this returns: its bytes may be views into the request
   * @param encodedBytes length of the request as it came, for the size limit
   * @param deadlineMs the caller's own deadline on `env.monotonicMs()`; the request timeout applies as well
   * @param done called exactly once, in apply order; at once when the request is refused. SERVER_STOPPED and the timeouts
   *   say that the fate is unknown
   */
  propose(
    operation: Operation,
    encodedBytes: number,
    deadlineMs: number,
    done: (error: Error | null, outcome: Outcome | null) => void,
  ): void;

  /** Calls `done` once everything committed before this call is applied here and leadership was confirmed meanwhile (sem-034). */
  confirmRead(deadlineMs: number, done: (error: Error | null) => void): void;

  members(): readonly MemberInfo[];
  readonly cluster: ClusterAdmin;
  /** For calls between members (`network.call`, `network.onCall`). */
  readonly network: Network;
  /** Release that a downgrade under way leads to (`3.6.0`); null when there is none. */
  readonly downgradeTarget: string | null;
  /** Release that the members agreed on (`3.7.0`); null until they did. */
  readonly clusterVersion: string | null;
  alarms(): readonly { readonly memberId: bigint; readonly alarm: number }[];
  /** Applied changes, batch by batch in revision order, after they are visible and before their proposers are answered. */
  onApplied(listener: (batch: import('@quorate/mvcc').EventBatch) => void): void;
  /** Another member's state took the place of the store's: `onApplied` did not show what changed. The store is at the new state. */
  onStoreReplaced(listener: () => void): void;
  /** The term's leader changed (0n: none known). */
  onLeaderChange(listener: (leader: bigint) => void): void;
  /** Ends service: new calls fail with STOPPED, then in-flight ones finish, then everything is flushed and closed. */
  stop(): Promise<void>;
  /** Something in the process broke that nobody planned for: stops answering at once, as after any fatal error. */
  abort(error: Error): void;
  /** Resolves when the member has ended; the error says why when it was not asked to. */
  readonly stopped: Promise<Error | null>;
}
