/**
 * The door for messages: validity first, then the term gate (thesis §3.3), then the role.
 *
 *     term higher   become its follower, then handle it; pre-votes and protected nodes are the exceptions
 *     term equal    handle it by role
 *     term lower    a stale peer: ignore it, or tell it what it has missed
 */
import { handleVoteRequest, learnFromRefusal } from './election.ts';
import { type Message, MessageType } from './message.ts';
import type { Raft } from './raft.ts';
import { stepCandidate } from './roles/candidate.ts';
import { becomeFollower, stepFollower } from './roles/follower.ts';
import { stepLeader } from './roles/leader.ts';
import { NONE } from './types.ts';
import { checkMessage } from './validity.ts';

export function step(raft: Raft, message: Message): void {
  checkMessage(raft, message);
  learnFromRefusal(raft, message);
  if (message.term > raft.term) {
    if (!acceptHigherTerm(raft, message)) return;
  } else if (message.term < raft.term) {
    answerStale(raft, message);
    return;
  }
  if (message.type === MessageType.vote || message.type === MessageType.preVote) {
    handleVoteRequest(raft, message);
    return;
  }
  switch (raft.role) {
    case 'follower':
      stepFollower(raft, message);
      break;
    case 'pre-candidate':
    case 'candidate':
      stepCandidate(raft, message);
      break;
    case 'leader':
      stepLeader(raft, message);
      break;
  }
}

/** Returns whether the message is to be handled at all. */
function acceptHigherTerm(raft: Raft, message: Message): boolean {
  const { type } = message;
  if (type === MessageType.vote || type === MessageType.preVote) {
    // Disruptive servers (thesis §4.2.3): while a leader is heard, nobody helps to replace it, except the one it
    // chose itself in a transfer. The term stays as it is, too.
    const chosen = message.context !== 0n;
    if (!chosen && hearsLeader(raft)) return false;
  }
  // A pre-vote asks about a term that does not exist yet (thesis §9.6); a granted answer repeats that term.
  if (type === MessageType.preVote) return true;
  if (type === MessageType.preVoteResponse && !message.reject) return true;
  if (!raft.rules.yieldsTo(message.term, raft.term, raft.leading)) return false;
  const fromLeader =
    type === MessageType.append || type === MessageType.heartbeat || type === MessageType.snapshot;
  const { role, electionElapsed } = raft;
  becomeFollower(raft, message.term, fromLeader ? message.from : NONE);
  // Only a leader or a granted vote restarts a follower's patience (thesis §3.4). If hearing of a higher term did,
  // nodes with fast clocks and stale logs could keep every electable node from ever campaigning.
  if (!fromLeader && role === 'follower') raft.electionElapsed = electionElapsed;
  return true;
}

/** Whether this node heard from a leader within the minimum election timeout, or owes one its silence for a lease. */
export function hearsLeader(raft: Raft): boolean {
  if (raft.owesSilence) return true;
  return raft.config.checkQuorum && raft.leader !== NONE && raft.electionElapsed < raft.config.electionTicks;
}

function answerStale(raft: Raft, message: Message): void {
  if (message.type === MessageType.preVote) {
    // Without an answer, a node with a higher log but a lower term could wait for ever.
    raft.send(message.from, { type: MessageType.preVoteResponse, reject: true });
    return;
  }
  if (message.type === MessageType.vote) {
    // Nor could a candidate with a slow clock ever reach the term of one that campaigns in vain and faster (thesis §3.3).
    raft.send(message.from, { type: MessageType.voteResponse, reject: true });
    return;
  }
  const fromLeader = message.type === MessageType.heartbeat || message.type === MessageType.append;
  if (fromLeader) {
    // A leader that hears of a higher term steps down (thesis §3.3). One that was removed while it was cut off hears of
    // it in no other way: nobody asks it for votes. And a node whose term ran ahead while it was cut off cannot win (its
    // votes are refused) and cannot follow: the next election includes it. A refusal, because it says nothing about
    // this log: should it arrive late, at a leader of the term it names, it must not look like an acknowledgement.
    raft.send(message.from, { type: MessageType.appendResponse, reject: true });
  }
}
