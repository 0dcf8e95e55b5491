/**
 * Leaders: append, replicate, commit, confirm, and step down when they no longer lead (thesis §3.5, §6.2).
 */

import { encodeConfChange } from '../confchange/codec.ts';
import { assert } from '../errors.ts';
import { receiveTransferRequest, tickTransfer } from '../leader-transfer.ts';
import { bootstrapChange, maybeDepart } from '../membership.ts';
import { type Message, MessageType } from '../message.ts';
import { appendAsLeader, receiveProposals } from '../proposals.ts';
import type { Raft } from '../raft.ts';
import { confirmRounds, receiveReadRequest, startRound } from '../read-index.ts';
import { advanceOwnMatch, handleAppendResponse, handleHeartbeatResponse } from '../replication/leader.ts';
import { reportSnapshot } from '../replication/reports.ts';
import { type Entry, EntryType, NONE } from '../types.ts';
import { becomeFollower } from './follower.ts';

export function becomeLeader(raft: Raft): void {
  assert(raft.role === 'candidate', 'only a candidate becomes leader', raft.role);
  assert(raft.tracker.isVoter(raft.id), 'only a voter becomes leader', raft.id);
  raft.enterTerm(raft.term);
  raft.role = 'leader';
  raft.leader = raft.id;
  raft.forwarding = [];
  const own = raft.tracker.progress.get(raft.id);
  if (own !== undefined) {
    own.becomeReplicate();
    own.recentlyActive = true;
  }
  advanceOwnMatch(raft);
  // Whatever configuration change the log still holds has to be applied before the next is proposed.
  raft.pendingConfIndex = raft.log.lastIndex;
  // The no-op of §6.4: committing it commits everything before it, and only then does the leader know what is.
  appendAsLeader(raft, [firstEntry(raft)]);
  for (const [id, progress] of raft.tracker.progress) {
    // Every member gets a chance to answer before the first quorum check.
    if (id !== raft.id) progress.recentlyActive = true;
  }
}

function firstEntry(raft: Raft): Pick<Entry, 'type' | 'data'> {
  if (raft.log.lastIndex > 0 || raft.tracker.joint) {
    return { type: EntryType.normal, data: new Uint8Array(0) };
  }
  return { type: EntryType.confChange, data: encodeConfChange(bootstrapChange(raft.conf)) };
}

export function stepLeader(raft: Raft, message: Message): void {
  switch (message.type) {
    case MessageType.propose:
      receiveProposals(raft, message);
      break;
    case MessageType.readIndex:
      receiveReadRequest(raft, message);
      break;
    case MessageType.transferLeader:
      receiveTransferRequest(raft, message.context);
      return;
    case MessageType.append:
    case MessageType.heartbeat:
    case MessageType.snapshot:
      assert(false, 'there is one leader a term', message.from, raft.term);
      break;
    default:
  }
  const progress = raft.tracker.progress.get(message.from);
  if (progress === undefined) return;
  progress.knownCommit = Math.max(progress.knownCommit, message.commit);
  if (message.type === MessageType.appendResponse) handleAppendResponse(raft, message, progress);
  if (message.type === MessageType.heartbeatResponse) {
    handleHeartbeatResponse(raft, message, progress);
    confirmRounds(raft);
  }
  maybeDepart(raft);
}

export function tickLeader(raft: Raft): void {
  raft.reads.tick();
  raft.heartbeatElapsed += 1;
  raft.electionElapsed += 1;
  // What storage could not deliver is asked for again.
  raft.replicationDue = true;
  if (raft.electionElapsed >= raft.config.electionTicks) {
    raft.electionElapsed = 0;
    const active = quorumActive(raft);
    if (raft.config.checkQuorum && !active) {
      becomeFollower(raft, raft.term, NONE);
      return;
    }
  }
  tickTransfer(raft);
  if (raft.heartbeatElapsed >= raft.config.heartbeatTicks) {
    raft.heartbeatElapsed = 0;
    startRound(raft);
  }
}

/** Whether a quorum was heard from since the last check, which starts the next period (thesis §6.2). */
function quorumActive(raft: Raft): boolean {
  const own = raft.tracker.progress.get(raft.id);
  if (own !== undefined) own.recentlyActive = true;
  const active = raft.rules.elected(raft.conf, raft.tracker.active) === 'won';
  for (const [id, progress] of raft.tracker.progress) {
    if (id === raft.id) continue;
    // One that fell silent lost its snapshot with its connection; it gets another when it is heard again.
    if (!progress.recentlyActive) reportSnapshot(raft, id, 'failed');
    progress.recentlyActive = false;
  }
  return active;
}
