/**
 * What nodes say to each other. Plain data; the byte codec is `codec.ts`.
 *
 * One shape for all kinds keeps the codec and the scenario language small; the comments say which kind uses which
 * field. Unused numbers are 0, unused lists empty.
 */
import type { Entry, NodeId, Snapshot } from './types.ts';

export const MessageType = {
  /** Thesis §3.4 RequestVote, and its pre-vote form (§9.6), which changes nobody's term. */
  vote: 1,
  voteResponse: 2,
  preVote: 3,
  preVoteResponse: 4,
  /** Thesis §3.5 AppendEntries. */
  append: 5,
  appendResponse: 6,
  /** An append without entries; carries a read context (§6.4). */
  heartbeat: 7,
  heartbeatResponse: 8,
  /** Thesis §5. */
  snapshot: 9,
  /** A follower passes a proposal or a read request on to the leader. */
  propose: 10,
  readIndex: 11,
  readIndexResponse: 12,
  /** Leadership transfer (§3.10): the target campaigns at once. */
  timeoutNow: 13,
  transferLeader: 14,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

export interface Message {
  readonly type: MessageType;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: number;
  /** append: index of the entry before `entries`; vote: candidate's last index; responses: the index answered. */
  readonly index: number;
  /** Term of the entry at `index`. */
  readonly logTerm: number;
  readonly entries: readonly Entry[];
  /** Leader's commit index; on a heartbeat never above what the receiver is known to have. */
  readonly commit: number;
  readonly reject: boolean;
  /** appendResponse with `reject`: where to try next (fast backtracking). */
  readonly rejectHint: number;
  readonly snapshot: Snapshot | null;
  /** readIndex, its response and heartbeats: the read context; vote: non-zero when the vote is part of a transfer. */
  readonly context: bigint;
}
