/**
 * What nodes say to each other. Plain data; the byte codec is `codec.ts`.
 *
 * One shape for all kinds keeps the codec and the scenario language small; the comments say which kind uses which
 * field. Unused numbers are 0, unused lists empty.
 */
import { type Entry, NONE, type NodeId, type Snapshot } from './types.ts';

/** Kinds of messages: the calls and answers of thesis figure 3.1, and those that the later chapters add. */
export const MessageType = {
  /** Thesis §3.4 RequestVote, and its pre-vote form (§9.6), which changes nobody's term. */
  vote: 1,
  voteResponse: 2,
  preVote: 3,
  preVoteResponse: 4,
  /** Thesis §3.5 AppendEntries. */
  append: 5,
  appendResponse: 6,
  /** Keeps followers from campaigning and numbers the rounds that confirm reads (§6.4). Carries no entries. */
  heartbeat: 7,
  heartbeatResponse: 8,
  /** Thesis §5. */
  snapshot: 9,
  /** A follower passes proposals or a read request on to the leader. */
  propose: 10,
  readIndex: 11,
  readIndexResponse: 12,
  /** Leadership transfer (§3.10): the target campaigns at once. */
  timeoutNow: 13,
  transferLeader: 14,
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** What one node says to another. One shape for every kind (thesis figure 3.1). */
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
  /** Sender's commit index; on a heartbeat never above what the receiver is known to have. */
  readonly commit: number;
  readonly reject: boolean;
  /** appendResponse with `reject`: highest index that may still agree; its term is in `logTerm` (0: unknown). */
  readonly rejectHint: number;
  readonly snapshot: Snapshot | null;
  /**
   * heartbeat and its response: number of the round (§6.4); readIndex and its response: the asker's wire id of the
   * read; vote and preVote: 1 when the election is part of a transfer; transferLeader: the node to hand over to; propose:
   * the sender's number of the message, by which a repetition is known (0: none, each counts);
   * append: 1 when it brings a commit index alone and is not to be answered (`replication/news.ts`).
   */
  readonly context: bigint;
}

const BLANK: Message = {
  type: MessageType.heartbeat,
  from: NONE,
  to: NONE,
  term: 0,
  index: 0,
  logTerm: 0,
  entries: [],
  commit: 0,
  reject: false,
  rejectHint: 0,
  snapshot: null,
  context: 0n,
};

/** A message with every field that is not given set to its "unused" value. Thesis figure 3.1. */
export function makeMessage(
  fields: Pick<Message, 'type' | 'from' | 'to' | 'term'> & Partial<Message>,
): Message {
  return { ...BLANK, ...fields };
}
