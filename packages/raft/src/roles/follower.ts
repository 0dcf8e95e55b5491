/**
 * Followers: accept the leader's log, pass requests on, and campaign when the leader falls silent (thesis §3.4).
 */
import { campaign, promotable } from '../election.ts';
import { type Message, MessageType } from '../message.ts';
import type { Raft } from '../raft.ts';
import { receiveReadAnswer } from '../read-index.ts';
import { handleAppend, handleHeartbeat, handleSnapshot } from '../replication/follower.ts';
import { NONE, type NodeId } from '../types.ts';

/** @param leader `NONE` when the term is known and its leader is not */
export function becomeFollower(raft: Raft, term: number, leader: NodeId): void {
  // Reads that waited for this node's leadership are lost with it.
  raft.forwardedReads.noteDropped(raft.reads.contextsOf(raft.id));
  raft.enterTerm(term);
  raft.role = 'follower';
  raft.leader = leader;
}

export function stepFollower(raft: Raft, message: Message): void {
  switch (message.type) {
    case MessageType.append:
      followLeader(raft, message.from);
      handleAppend(raft, message);
      break;
    case MessageType.heartbeat:
      followLeader(raft, message.from);
      handleHeartbeat(raft, message);
      break;
    case MessageType.snapshot:
      followLeader(raft, message.from);
      handleSnapshot(raft, message);
      break;
    case MessageType.timeoutNow:
      // The leader chose this node and has brought it up to date (thesis §3.10).
      campaign(raft, 'transfer');
      break;
    case MessageType.readIndexResponse:
      receiveReadAnswer(raft, message);
      break;
    default:
  }
}

function followLeader(raft: Raft, leader: NodeId): void {
  raft.electionElapsed = 0;
  raft.leader = leader;
}

export function tickFollower(raft: Raft): void {
  raft.electionElapsed += 1;
  raft.forwardedReads.tick();
  if (raft.electionElapsed < raft.electionTimeout) return;
  if (!promotable(raft)) {
    // A learner does not campaign. It must notice all the same that nobody leads: those who ask it want to know.
    if (raft.leader !== NONE) loseLeader(raft);
    return;
  }
  raft.electionElapsed = 0;
  campaign(raft, 'timeout');
}

/** Stops waiting for the current leader, so that this node supports an election at once. */
export function forgetLeader(raft: Raft): void {
  // With leases, waiting is what the leader was promised.
  if (raft.role !== 'follower' || raft.config.readOnly === 'lease') return;
  loseLeader(raft);
}

function loseLeader(raft: Raft): void {
  raft.leader = NONE;
  raft.forwardedReads.dropAll();
}
