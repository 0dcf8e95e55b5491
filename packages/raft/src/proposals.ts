/**
 * Proposals: into the leader's log, or on to the leader (thesis §3.5, §6.2).
 */
import { confChangeObstacle, configureAtAppend } from './membership.ts';
import { type Message, MessageType } from './message.ts';
import type { Raft } from './raft.ts';
import { advanceOwnMatch } from './replication/leader.ts';
import type { ProposeDropReason, ProposeResult } from './results.ts';
import { type Entry, EntryType, NONE } from './types.ts';

/** An entry that has no place in the log yet. */
type Proposal = Pick<Entry, 'type' | 'data'>;

/** The host proposes. */
export function propose(raft: Raft, proposal: Proposal): ProposeResult {
  if (!raft.leading) return forward(raft, proposal);
  const reason = obstacle(raft, proposal);
  if (reason !== null) return { accepted: false, reason };
  const index = appendAsLeader(raft, [proposal]);
  return { accepted: true, how: 'appended', index, term: raft.term };
}

/** Proposals of a follower. What cannot be taken is dropped: the proposer notices by its own timeout. */
export function receiveProposals(raft: Raft, message: Message): void {
  if (raft.repeatedProposals.taken(message.from, message.context)) return;
  for (const proposal of message.entries) {
    if (obstacle(raft, proposal) === null) appendAsLeader(raft, [proposal]);
  }
}

function obstacle(raft: Raft, proposal: Proposal): ProposeDropReason | null {
  // A leader on its way out; see `maybeDepart`.
  if (!raft.tracker.isVoter(raft.id)) return 'not-a-member';
  if (raft.transferee !== NONE) return 'transferring';
  if (proposal.type === EntryType.confChange) {
    const reason = confChangeObstacle(raft, proposal.data);
    if (reason !== null) return reason;
  }
  // One proposal of any size is always possible, or a large one could never be made.
  const waiting = raft.log.uncommittedBytes;
  if (waiting > 0 && waiting + proposal.data.byteLength > raft.config.maxUncommittedBytes) {
    return 'too-many-uncommitted';
  }
  return null;
}

function forward(raft: Raft, proposal: Proposal): ProposeResult {
  if (!raft.tracker.isMember(raft.id)) return { accepted: false, reason: 'not-a-member' };
  if (raft.leader === NONE || !raft.config.forwardProposals) return { accepted: false, reason: 'no-leader' };
  raft.forwarding.push({ index: 0, term: 0, type: proposal.type, data: proposal.data });
  return { accepted: true, how: 'forwarded', to: raft.leader };
}

/** Sends what was collected since the last `Ready`, in messages of at most `maxMessageBytes`. */
export function sendForwarded(raft: Raft): void {
  const proposals = raft.forwarding;
  if (proposals.length === 0) return;
  raft.forwarding = [];
  // Leadership may have moved within the turn; the host's timeout covers what is lost.
  if (raft.leader === NONE || raft.leader === raft.id) return;
  let batch: Entry[] = [];
  let bytes = 0;
  for (const proposal of proposals) {
    if (batch.length > 0 && bytes + proposal.data.byteLength > raft.config.maxMessageBytes) {
      passOn(raft, batch);
      batch = [];
      bytes = 0;
    }
    batch.push(proposal);
    bytes += proposal.data.byteLength;
  }
  passOn(raft, batch);
}

function passOn(raft: Raft, entries: readonly Entry[]): void {
  raft.proposalNumber = BigInt.asUintN(64, raft.proposalNumber + 1n);
  raft.send(raft.leader, { type: MessageType.propose, entries, context: raft.proposalNumber });
}

/** Appends to a leader's log; sending and persisting follow with the next `Ready`. Returns the last index. */
export function appendAsLeader(raft: Raft, proposals: readonly Proposal[]): number {
  const entries: Entry[] = [];
  let index = raft.log.lastIndex;
  for (const { type, data } of proposals) {
    index += 1;
    if (type === EntryType.confChange) raft.pendingConfIndex = index;
    entries.push({ index, term: raft.term, type, data });
  }
  raft.log.append(entries);
  if (raft.rules.configuresAtAppend()) configureAtAppend(raft, entries);
  raft.replicationDue = true;
  // Counts only what is durable, which these entries are not yet.
  advanceOwnMatch(raft);
  return index;
}
