/**
 * A node's state for people and metrics: a snapshot, safe to keep.
 *
 * Read next: `describe.ts` prints it.
 */
import type { Raft } from './raft.ts';
import type { Progress } from './tracker/progress.ts';
import type { ConfState, HardState, NodeId, Role } from './types.ts';

/**
 * Where a leader believes a follower to be; see `tracker/progress.ts`.
 * Thesis figure 3.1: `nextIndex` and `matchIndex`.
 */
export interface ProgressStatus {
  readonly id: NodeId;
  readonly learner: boolean;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  /** Highest index known to be durable there. */
  readonly match: number;
  /** Index of the next entry to send. */
  readonly next: number;
  /** Index of the snapshot on its way; 0 when none. */
  readonly pendingSnapshot: number;
  /** Whether it was heard from within the last `electionTicks`. */
  readonly recentlyActive: boolean;
  /** Whether nothing more is sent until it answers. */
  readonly paused: boolean;
  readonly inflightMessages: number;
  readonly inflightBytes: number;
}

/** What a node knows of itself (thesis figure 3.1). */
export interface Status {
  readonly id: NodeId;
  readonly role: Role;
  /** `NONE` when unknown. */
  readonly leader: NodeId;
  readonly hardState: HardState;
  /** Highest index acknowledged by `applied()`. */
  readonly applied: number;
  /** Highest index handed out for application. */
  readonly applying: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Highest index known to be durable on this node. */
  readonly persistedIndex: number;
  readonly conf: ConfState;
  /** Target of a leadership transfer under way, else `NONE`. */
  readonly transferee: NodeId;
  readonly uncommittedBytes: number;
  /** Entry bytes held in memory. */
  readonly tailBytes: number;
  /** Reads waiting for confirmation. */
  readonly pendingReads: number;
  /** One for each member, in order of id, on a leader; empty otherwise. */
  readonly progress: readonly ProgressStatus[];
}

/** Copies what is worth knowing out of a node. */
export function statusOf(raft: Raft): Status {
  const { log } = raft;
  return {
    id: raft.id,
    role: raft.role,
    leader: raft.leader,
    hardState: { term: raft.term, vote: raft.vote, commit: log.committed },
    applied: log.applied,
    applying: log.applying,
    firstIndex: log.firstIndex,
    lastIndex: log.lastIndex,
    persistedIndex: log.persisted,
    conf: raft.conf,
    transferee: raft.transferee,
    uncommittedBytes: log.uncommittedBytes,
    tailBytes: log.tailBytes,
    pendingReads: raft.reads.count + raft.forwardedReads.count,
    progress: raft.leading ? [...raft.tracker.progress].map(([id, each]) => progressStatus(id, each)) : [],
  };
}

function progressStatus(id: NodeId, progress: Progress): ProgressStatus {
  return {
    id,
    learner: progress.learner,
    state: progress.state,
    match: progress.match,
    next: progress.next,
    pendingSnapshot: progress.pendingSnapshot,
    recentlyActive: progress.recentlyActive,
    paused: progress.paused,
    inflightMessages: progress.inflights.count,
    inflightBytes: progress.inflights.bytes,
  };
}
