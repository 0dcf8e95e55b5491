/**
 * Joint majorities (thesis §4.3): while membership changes, both the old and the new voters have to agree, each by a
 * majority of its own, so that no two disjoint groups can decide.
 */
import type { NodeId } from '../types.ts';
import { majorityReached, majorityVote, type VoteResult } from './majority.ts';

/** The two halves; `votersOutgoing` is empty outside of a change. Every `ConfState` is one. */
export interface JointVoters {
  readonly voters: readonly NodeId[];
  readonly votersOutgoing: readonly NodeId[];
}

/** Highest number reached by a majority of each half. */
export function jointReached(joint: JointVoters, reached: (id: NodeId) => number): number {
  const incoming = majorityReached(joint.voters, reached);
  if (joint.votersOutgoing.length === 0) return incoming;
  return Math.min(incoming, majorityReached(joint.votersOutgoing, reached));
}

/** Won when both halves are won, lost as soon as one is. */
export function jointVote(joint: JointVoters, vote: (id: NodeId) => boolean | undefined): VoteResult {
  const incoming = majorityVote(joint.voters, vote);
  const outgoing = majorityVote(joint.votersOutgoing, vote);
  if (incoming === outgoing) return incoming;
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending';
}
