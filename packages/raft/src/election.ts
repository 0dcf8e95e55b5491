/**
 * Elections (thesis §3.4), with a question asked beforehand (§9.6).
 *
 *     follower --timeout--> pre-candidate --majority says yes--> candidate --majority of votes--> leader
 *
 * The pre-candidate changes nobody's term, its own included. Read next: `roles/candidate.ts`.
 */
import { hasUnappliedConfChange } from './membership.ts';
import { type Message, MessageType } from './message.ts';
import type { Raft } from './raft.ts';
import { becomeCandidate, becomePreCandidate, tallyVotes } from './roles/candidate.ts';
import { becomeFollower } from './roles/follower.ts';
import { hearsLeader } from './step.ts';
import { NONE } from './types.ts';

/** Why an election starts. A transfer skips the pre-vote: the leader itself asked for it (thesis §3.10). */
export type CampaignReason = 'timeout' | 'request' | 'transfer';

/** Whether this node may lead: a voter whose state machine is not waiting for a snapshot. */
export function promotable(raft: Raft): boolean {
  return raft.tracker.isVoter(raft.id) && raft.log.incomingSnapshot === null;
}

/** Starts an election unless this node leads already or may not. */
export function campaign(raft: Raft, reason: CampaignReason): void {
  if (raft.leading || !promotable(raft)) return;
  // With leases a node that hears its leader owes it silence, its own ambition included.
  if (reason === 'request' && raft.config.readOnly === 'lease' && hearsLeader(raft)) return;
  // A committed change of the voters that this node has not applied yet: it would count with a configuration that is
  // no longer the one in force, and two quorums might not meet.
  if (hasUnappliedConfChange(raft)) return;
  if (reason !== 'transfer' && raft.config.preVote) {
    becomePreCandidate(raft);
    requestVotes(raft, MessageType.preVote, reason);
  } else {
    becomeCandidate(raft);
    requestVotes(raft, MessageType.vote, reason);
  }
  tallyVotes(raft);
}

/** The second half after a successful pre-vote. */
export function campaignForReal(raft: Raft): void {
  becomeCandidate(raft);
  requestVotes(raft, MessageType.vote, 'timeout');
}

function requestVotes(
  raft: Raft,
  type: typeof MessageType.vote | typeof MessageType.preVote,
  reason: CampaignReason,
): void {
  const fields = {
    type,
    term: type === MessageType.preVote ? raft.term + 1 : raft.term,
    index: raft.log.lastIndex,
    logTerm: raft.log.lastTerm,
    context: reason === 'transfer' ? 1n : 0n,
  };
  for (const id of raft.tracker.progress.keys()) {
    if (id === raft.id || !raft.tracker.isVoter(id)) continue;
    if (type === MessageType.preVote) raft.send(id, fields);
    else raft.sendAfterPersist(id, fields);
  }
}

/**
 * Answers a vote or a pre-vote, in any role. The term gate has passed it: a vote is of the current term, a pre-vote
 * of the current or a later one.
 *
 * A learner answers too: it may have been promoted by an entry that it has not seen yet, and its vote may be the one
 * that lets a leader bring it that entry.
 */
export function handleVoteRequest(raft: Raft, message: Message): void {
  const pre = message.type === MessageType.preVote;
  // Of its own term, too: this node may have heard of that from somebody else than the leader it owes its silence.
  const silent = raft.owesSilence && message.context === 0n;
  const free =
    raft.vote === message.from ||
    (!silent && raft.rules.mayVote(raft.vote, message.from) && raft.leader === NONE) ||
    (pre && message.term > raft.term);
  const granted = free && raft.log.isUpToDate(message.index, message.logTerm);
  const type = pre ? MessageType.preVoteResponse : MessageType.voteResponse;
  if (!granted) {
    // Says how far the log is committed here; see `learnFromRefusal`.
    const { committed } = raft.log;
    raft.send(message.from, { type, reject: true, commit: committed, logTerm: raft.log.term(committed) });
    return;
  }
  if (pre) {
    // Names the term asked about: a pre-candidate would ignore an answer from its past.
    raft.send(message.from, { type, term: message.term });
    return;
  }
  raft.electionElapsed = 0;
  raft.vote = message.from;
  raft.sendAfterPersist(message.from, { type });
}

/**
 * A refused vote or pre-vote says what is committed where it was refused. An entry here of the same index and term is
 * the same entry (log matching, thesis §3.5), hence committed too. What is committed stays so: a refusal teaches this
 * whatever its term, late or repeated.
 *
 *     1 led {1 2} and removed itself     1: x | remove 1 | y       commit 2, not a voter, never campaigns
 *     2 holds the change, unaware        2: x | remove 1           commit 1, asks 1, whose log is longer
 *
 * Without the commit index in the refusal, 2 would ask and 1 refuse for ever.
 */
export function learnFromRefusal(raft: Raft, message: Message): void {
  const { type, reject, commit, logTerm } = message;
  if (!reject || (type !== MessageType.voteResponse && type !== MessageType.preVoteResponse)) return;
  const { log } = raft;
  // A leader's commit index is its own affair: it counts, and answers reads, with what it counted.
  if (raft.leading || commit <= log.committed || log.termOrUnknown(commit) !== logTerm) return;
  log.maybeCommit(commit);
  // An election never outlives the configuration that it was begun in (see `campaign`): its votes would be counted by
  // another one, in which this node may not even be a voter.
  if (raft.role !== 'follower' && hasUnappliedConfChange(raft)) becomeFollower(raft, raft.term, NONE);
}
