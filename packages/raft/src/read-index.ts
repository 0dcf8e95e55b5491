/**
 * Linearizable reads without a log entry (thesis §6.4).
 *
 *     1. the leader has committed an entry of its own term, so its commit index is the newest there is;
 *     2. it notes the commit index for the read;
 *     3. a quorum answers a round of heartbeats begun after that: no newer leader existed at step 2;
 *     4. the asker waits until it has applied the noted index, then reads.
 *
 * A follower asks its leader and does step 4 itself. With leases, step 3 is skipped while one is held. Read next:
 * `reads/leader-reads.ts`.
 */
import { type Message, MessageType } from './message.ts';
import type { Raft } from './raft.ts';
import { broadcastHeartbeat } from './replication/leader.ts';
import type { ReadIndexResult } from './results.ts';
import { NONE, type NodeId } from './types.ts';

/** The host asks. */
export function requestRead(raft: Raft, context: bigint): ReadIndexResult {
  if (raft.leading) {
    if (raft.reads.full) return { accepted: false, reason: 'too-many-reads' };
    leaderRead(raft, raft.id, context);
    return { accepted: true };
  }
  if (raft.leader === NONE) return { accepted: false, reason: 'no-leader' };
  if (raft.forwardedReads.full) return { accepted: false, reason: 'too-many-reads' };
  const wireId = raft.forwardedReads.add(context);
  raft.send(raft.leader, { type: MessageType.readIndex, context: wireId });
  return { accepted: true };
}

/** A follower asks this leader. When there is no room the question is ignored, as if it had been lost. */
export function receiveReadRequest(raft: Raft, message: Message): void {
  if (!raft.reads.full) leaderRead(raft, message.from, message.context);
}

/** The leader's answer to a question of this node. */
export function receiveReadAnswer(raft: Raft, message: Message): void {
  const context = raft.forwardedReads.take(message.context);
  if (context !== undefined) raft.readStates.push({ context, index: message.index });
}

function leaderRead(raft: Raft, from: NodeId, context: bigint): void {
  const { log, reads, rules } = raft;
  if (rules.readNeedsTermCommit() && !committedInTerm(raft)) {
    reads.addEarly(from, context);
    return;
  }
  const index = log.committed;
  const leased = raft.config.readOnly === 'lease' && reads.leaseHeld;
  if (leased || !rules.readNeedsQuorum()) answer(raft, { from, context, index });
  else reads.add({ from, context, index, round: rules.nextReadRound(reads.round) });
}

/** Whether an entry of the leader's own term is committed: before that it may not know all that is (thesis §6.4). */
function committedInTerm(raft: Raft): boolean {
  return raft.log.termOrUnknown(raft.log.committed) === raft.term;
}

/** The commit index moved: reads that came too early can start. */
export function startEarlyReads(raft: Raft): void {
  if (raft.reads.count === 0 || !committedInTerm(raft)) return;
  for (const { from, context } of raft.reads.takeEarly()) leaderRead(raft, from, context);
}

/** Sends the heartbeats of a round, numbered anew each time. */
export function startRound(raft: Raft): void {
  const round = raft.rules.nextReadRound(raft.reads.round);
  raft.reads.started(round);
  const own = raft.tracker.progress.get(raft.id);
  if (own !== undefined) own.ackedRound = round;
  broadcastHeartbeat(raft, round);
  confirmRounds(raft);
}

/** Serves the reads whose round a quorum has answered. */
export function confirmRounds(raft: Raft): void {
  const round = raft.rules.reached(raft.conf, raft.tracker.answeredRound);
  for (const read of raft.reads.confirmed(round)) answer(raft, read);
}

function answer(raft: Raft, read: { from: NodeId; context: bigint; index: number }): void {
  const { from, context, index } = read;
  if (from === raft.id) raft.readStates.push({ context, index });
  else raft.send(from, { type: MessageType.readIndexResponse, context, index });
}
