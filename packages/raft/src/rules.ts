/**
 * The sentences of the paper that safety hangs on, each as one small pure function.
 *
 * The core asks these rules at the few places where a wrong answer loses data. `SOUND_RULES` is Raft. A test may run a
 * node with one rule broken (a "mutant") to prove that the simulator, the invariants and the scenarios notice: see
 * `testing.ts`, which is the only door to it. Nothing of this is part of the public surface.
 */
import { jointReached, jointVote } from './quorum/joint.ts';
import type { VoteResult } from './quorum/majority.ts';
import { type ConfState, NONE, type NodeId } from './types.ts';

/** Where a log ends. */
export interface LogEnd {
  readonly index: number;
  readonly term: number;
}

export interface Rules {
  /** Only entries of its own term are committed by counting; older ones follow (thesis §3.6.2, figure 3.7). */
  commitsByCounting(entryTerm: number, currentTerm: number): boolean;
  /** One vote a term (thesis §3.4). */
  mayVote(votedFor: NodeId, candidate: NodeId): boolean;
  /** What of the vote goes into the hard state: all of it (thesis figure 3.1). */
  voteToPersist(vote: NodeId): NodeId;
  /** A vote is granted only to a log at least as complete (thesis §3.6.1). */
  isUpToDate(candidate: LogEnd, own: LogEnd): boolean;
  /** A higher term makes a node a follower, leaders included (thesis §3.3). */
  yieldsTo(messageTerm: number, currentTerm: number, leading: boolean): boolean;
  /** The consistency check of an append (thesis §3.5). */
  logMatches(ownTerm: number, claimedTerm: number): boolean;
  /** Whether an append replaces entries that agree with it: never, or a late append would undo newer ones (§3.5). */
  replacesMatchingEntries(): boolean;
  /** Committed entries stay (thesis §3.6.3). */
  mayTruncate(index: number, committed: number): boolean;
  /** A snapshot never takes the log back (thesis §5). */
  mayRestore(snapshotIndex: number, committed: number): boolean;
  /** How far a follower may commit: what its leader committed, of what it is known to share (thesis §3.5). */
  followerCommit(leaderCommit: number, lastMatched: number): number;
  /** Both halves of a joint configuration decide on commitment (thesis §4.3). */
  reached(conf: ConfState, reached: (id: NodeId) => number): number;
  /** Both halves of a joint configuration decide elections (thesis §4.3). */
  elected(conf: ConfState, vote: (id: NodeId) => boolean | undefined): VoteResult;
  /** A follower acknowledges and a voter answers only what is durable (thesis §3.8). */
  answersBeforePersisting(): boolean;
  /** A leader counts its own log only as far as it is durable (thesis §10.2.1). */
  ownMatch(persisted: number, lastIndex: number): number;
  /** A read waits for a quorum to confirm the leader (thesis §6.4). */
  readNeedsQuorum(): boolean;
  /** Every round of confirmation has a number of its own. */
  nextReadRound(round: number): number;
  /** A leader serves reads only after it has committed an entry of its own term (thesis §6.4, step 1). */
  readNeedsTermCommit(): boolean;
  /** Who answered a leader's heartbeat helps nobody else for an election timeout, if leases rest on it (thesis §6.4.1). */
  owesSilence(ticksLeft: number): boolean;
  /** The target of a transfer ignores leases, so the leader that chose it has none any more (thesis §3.10, §6.4.1). */
  transferEndsLease(): boolean;
  /** A configuration takes effect when its entry is applied, hence committed, and not when it is appended. */
  configuresAtAppend(): boolean;
  /** A change that a snapshot covers is part of the snapshot's configuration already (thesis §5.1). */
  reconfigures(changeIndex: number, snapshotIndex: number): boolean;
  /** One configuration change at a time (thesis §4.1). */
  mayProposeConfChange(pendingIndex: number, applied: number): boolean;
}

export const SOUND_RULES: Rules = {
  commitsByCounting: (entryTerm, currentTerm) => entryTerm === currentTerm,
  mayVote: (votedFor, candidate) => votedFor === NONE || votedFor === candidate,
  voteToPersist: (vote) => vote,
  isUpToDate: (candidate, own) =>
    candidate.term > own.term || (candidate.term === own.term && candidate.index >= own.index),
  yieldsTo: (messageTerm, currentTerm) => messageTerm > currentTerm,
  logMatches: (ownTerm, claimedTerm) => ownTerm === claimedTerm,
  replacesMatchingEntries: () => false,
  mayTruncate: (index, committed) => index > committed,
  mayRestore: (snapshotIndex, committed) => snapshotIndex > committed,
  followerCommit: (leaderCommit, lastMatched) => Math.min(leaderCommit, lastMatched),
  reached: jointReached,
  elected: jointVote,
  answersBeforePersisting: () => false,
  ownMatch: (persisted) => persisted,
  readNeedsQuorum: () => true,
  nextReadRound: (round) => round + 1,
  readNeedsTermCommit: () => true,
  owesSilence: (ticksLeft) => ticksLeft > 0,
  transferEndsLease: () => true,
  configuresAtAppend: () => false,
  reconfigures: (changeIndex, snapshotIndex) => changeIndex > snapshotIndex,
  mayProposeConfChange: (pendingIndex, applied) => pendingIndex <= applied,
};
