/**
 * Candidates and pre-candidates: counting votes (thesis §3.4, §9.6).
 */
import { campaign, campaignForReal } from '../election.ts';
import { assert } from '../errors.ts';
import { type Message, MessageType } from '../message.ts';
import type { Raft } from '../raft.ts';
import { handleAppend, handleHeartbeat, handleSnapshot } from '../replication/follower.ts';
import { becomeFollower } from './follower.ts';
import { becomeLeader } from './leader.ts';

/** Asks whether an election could be won. Term and vote stay: nothing is promised. */
export function becomePreCandidate(raft: Raft): void {
  assert(!raft.leading, 'a leader does not campaign');
  raft.role = 'pre-candidate';
  raft.leader = 0n;
  raft.electionElapsed = 0;
  raft.drawElectionTimeout();
  raft.forwardedReads.dropAll();
  raft.tracker.resetVotes();
  raft.tracker.recordVote(raft.id, true);
}

/** A new term with a vote for itself, which counts once it is durable. */
export function becomeCandidate(raft: Raft): void {
  assert(!raft.leading, 'a leader does not campaign');
  raft.enterTerm(raft.term + 1);
  raft.role = 'candidate';
  raft.vote = raft.id;
  raft.ownVotePending = true;
}

export function stepCandidate(raft: Raft, message: Message): void {
  switch (message.type) {
    case MessageType.append:
      becomeFollower(raft, message.term, message.from);
      handleAppend(raft, message);
      break;
    case MessageType.heartbeat:
      becomeFollower(raft, message.term, message.from);
      handleHeartbeat(raft, message);
      break;
    case MessageType.snapshot:
      becomeFollower(raft, message.term, message.from);
      handleSnapshot(raft, message);
      break;
    case MessageType.preVoteResponse:
      if (raft.role === 'pre-candidate') recordAnswer(raft, message);
      return;
    case MessageType.voteResponse:
      if (raft.role === 'candidate') recordAnswer(raft, message);
      return;
    default:
  }
}

function recordAnswer(raft: Raft, message: Message): void {
  // A pre-vote was granted for the next term, or refused in this one; anything else answers an older question.
  if (raft.role === 'pre-candidate' && !message.reject && message.term !== raft.term + 1) return;
  if (!raft.tracker.isVoter(message.from)) return;
  raft.tracker.recordVote(message.from, !message.reject);
  tallyVotes(raft);
}

/** The vote of this candidate for itself is durable. */
export function ownVotePersisted(raft: Raft, term: number): void {
  if (raft.role !== 'candidate' || raft.term !== term) return;
  raft.tracker.recordVote(raft.id, true);
  tallyVotes(raft);
}

/** Acts on the votes so far. */
export function tallyVotes(raft: Raft): void {
  switch (raft.rules.elected(raft.conf, raft.tracker.vote)) {
    case 'won':
      if (raft.role === 'pre-candidate') campaignForReal(raft);
      else becomeLeader(raft);
      return;
    case 'lost':
      // Same term: the vote stays given. A higher term in a refusal was dealt with at the gate.
      becomeFollower(raft, raft.term, 0n);
      return;
    case 'pending':
  }
}

export function tickCandidate(raft: Raft): void {
  raft.electionElapsed += 1;
  if (raft.electionElapsed < raft.electionTimeout) return;
  raft.electionElapsed = 0;
  campaign(raft, 'timeout');
}
