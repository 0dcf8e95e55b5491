/**
 * Handing leadership over (thesis §3.10).
 *
 *     1. no new proposals; 2. bring the target up to date; 3. tell it to campaign at once; 4. it wins a higher term.
 *
 * When nothing comes of it within an election timeout, the leader resumes.
 */
import { MessageType } from './message.ts';
import type { Raft } from './raft.ts';
import type { TransferResult } from './results.ts';
import type { Progress } from './tracker/progress.ts';
import { NONE, type NodeId } from './types.ts';

/** The host asks. */
export function requestTransfer(raft: Raft, to: NodeId): TransferResult {
  if (raft.leading) return receiveTransferRequest(raft, to);
  if (raft.leader === NONE) return { accepted: false, reason: 'no-leader' };
  if (raft.leader === to) return { accepted: false, reason: 'already-leader' };
  if (!raft.tracker.isVoter(to)) return { accepted: false, reason: 'not-a-voter' };
  raft.send(raft.leader, { type: MessageType.transferLeader, context: to });
  return { accepted: true };
}

export function receiveTransferRequest(raft: Raft, to: NodeId): TransferResult {
  if (to === raft.id) return { accepted: false, reason: 'already-leader' };
  const progress = raft.tracker.progress.get(to);
  if (progress === undefined || !raft.tracker.isVoter(to)) return { accepted: false, reason: 'not-a-voter' };
  if (raft.transferee === to) return { accepted: true };
  raft.transferee = to;
  raft.transferElapsed = 0;
  if (!completeTransfer(raft, to, progress)) {
    progress.appendWanted = true;
    raft.replicationDue = true;
  }
  return { accepted: true };
}

/** Tells the target to campaign once it holds the whole log. Returns whether it was told. */
export function completeTransfer(raft: Raft, id: NodeId, progress: Progress): boolean {
  if (raft.transferee !== id || progress.match !== raft.log.lastIndex) return false;
  raft.send(id, { type: MessageType.timeoutNow });
  // Its election ignores the leases of others, and the message may arrive at any time.
  if (raft.rules.transferEndsLease()) raft.reads.forbidLease();
  return true;
}

/**
 * The target has an election timeout to take over; then the leader goes on leading (thesis §3.10). A clock of its own:
 * were it the quorum check's, repeated requests would put that off for ever.
 */
export function tickTransfer(raft: Raft): void {
  if (raft.transferee === NONE) return;
  raft.transferElapsed += 1;
  if (raft.transferElapsed >= raft.config.electionTicks) abortTransfer(raft);
}

export function abortTransfer(raft: Raft): void {
  raft.transferee = NONE;
}
