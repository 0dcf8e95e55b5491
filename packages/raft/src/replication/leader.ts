/**
 * Replication as a leader drives it: what to send to whom, and what is committed (thesis §3.5, §3.6.2, §10.2.1).
 *
 * Nothing is sent while messages and proposals come in; `sendAppends` runs once for each `Ready`, so that one message
 * carries a whole turn. Read next: `../tracker/progress.ts`.
 */
import { completeTransfer } from '../leader-transfer.ts';
import { type Message, MessageType } from '../message.ts';
import type { Raft } from '../raft.ts';
import { startEarlyReads } from '../read-index.ts';
import { CompactedError, StorageUnavailableError } from '../storage.ts';
import type { Progress } from '../tracker/progress.ts';
import type { Entry, NodeId } from '../types.ts';
import { NO_ANSWER } from './news.ts';

/** Sends each follower what it may be sent now. */
export function sendAppends(raft: Raft): void {
  raft.replicationDue = false;
  for (const [id, progress] of raft.tracker.progress) {
    if (id === raft.id) continue;
    while (sendAppend(raft, id, progress)) {
      // A follower that is behind gets several appends at once, up to its inflight window.
    }
  }
}

/** Sends one append when there is a reason and room. Returns whether more may follow. */
function sendAppend(raft: Raft, to: NodeId, progress: Progress): boolean {
  const { log } = raft;
  if (progress.state === 'snapshot') return false;
  const open = !progress.paused;
  const withEntries = open && progress.next <= log.lastIndex;
  const commitNews = open && Math.min(log.committed, progress.next - 1) > progress.sentCommit;
  if (!withEntries && !commitNews && !progress.appendWanted) return false;
  const previous = progress.next - 1;
  let logTerm: number;
  let entries: readonly Entry[] = [];
  try {
    logTerm = log.term(previous);
    if (withEntries) entries = log.read(progress.next, log.lastIndex + 1, raft.config.maxMessageBytes);
  } catch (error) {
    if (error instanceof CompactedError) sendSnapshot(raft, to, progress);
    // The host can read it later; the next tick, or the host itself, asks again.
    else if (!(error instanceof StorageUnavailableError)) throw error;
    return false;
  }
  const newsOnly = entries.length === 0 && !progress.appendWanted && progress.state === 'replicate';
  // A leader that may be on its way out waits to hear that its end is known; see `maybeDepart`.
  const departs = raft.departure > 0 || raft.pendingConfIndex > log.applied;
  const context = newsOnly && !departs ? NO_ANSWER : 0n;
  raft.send(to, {
    type: MessageType.append,
    index: previous,
    logTerm,
    entries,
    commit: log.committed,
    context,
  });
  let bytes = 0;
  for (const entry of entries) bytes += entry.data.byteLength;
  const last = previous + entries.length;
  progress.sent(entries.length, last, bytes);
  progress.sentCommit = Math.max(progress.sentCommit, Math.min(log.committed, last));
  return entries.length > 0 && progress.state === 'replicate';
}

/** The entries a follower needs are compacted. */
function sendSnapshot(raft: Raft, to: NodeId, progress: Progress): void {
  // A snapshot is dear: not for one that does not answer.
  if (!progress.recentlyActive) return;
  try {
    const snapshot = raft.log.storage.snapshot();
    raft.send(to, { type: MessageType.snapshot, snapshot });
    progress.becomeSnapshot(snapshot.meta.index);
  } catch (error) {
    if (!(error instanceof StorageUnavailableError)) throw error;
  }
}

/** A heartbeat never names a commit index the receiver may not have: it carries no entries that could bring it. */
export function broadcastHeartbeat(raft: Raft, round: number): void {
  for (const [id, progress] of raft.tracker.progress) {
    if (id === raft.id) continue;
    const commit = Math.min(progress.match, raft.log.committed);
    raft.send(id, { type: MessageType.heartbeat, commit, context: BigInt(round) });
  }
}

export function handleAppendResponse(raft: Raft, message: Message, progress: Progress): void {
  const { log } = raft;
  progress.recentlyActive = true;
  if (message.reject) {
    // The follower skipped its newer terms, now this log skips its own.
    const hint =
      message.logTerm > 0 ? log.findConflict(message.rejectHint, message.logTerm).index : message.rejectHint;
    if (!progress.maybeRetreat(message.index, hint)) return;
    if (progress.state === 'replicate') progress.becomeProbe();
    progress.appendWanted = true;
    raft.replicationDue = true;
    return;
  }
  // More than there is would be a follower of another history; what it says about this one is worthless.
  if (message.index > log.lastIndex) return;
  const advanced = progress.maybeAdvance(message.index);
  if (!advanced && !(progress.state === 'probe' && progress.match === message.index)) return;
  switch (progress.state) {
    case 'probe':
      progress.becomeReplicate();
      break;
    case 'snapshot':
      // Enough of the log for what follows, whether by the snapshot or by an append that was still on its way.
      if (progress.match + 1 >= log.firstIndex) progress.becomeReplicate();
      break;
    case 'replicate':
      progress.inflights.freeTo(message.index);
  }
  maybeCommit(raft);
  raft.replicationDue = true;
  completeTransfer(raft, message.from, progress);
}

export function handleHeartbeatResponse(raft: Raft, message: Message, progress: Progress): void {
  progress.recentlyActive = true;
  progress.probeSent = false;
  const round = Number(message.context);
  if (round <= raft.reads.round) progress.ackedRound = Math.max(progress.ackedRound, round);
  // Alive but behind: perhaps the last append was lost. An append without entries finds out.
  if (progress.match < raft.log.lastIndex || progress.state === 'probe') {
    progress.appendWanted = true;
    raft.replicationDue = true;
  }
}

/** Commits what a quorum holds, if it is of this term (thesis §3.6.2: figure 3.7 shows why not older ones). */
export function maybeCommit(raft: Raft): boolean {
  const { log } = raft;
  const index = raft.rules.reached(raft.conf, raft.tracker.matched);
  if (index <= log.committed) return false;
  if (!raft.rules.commitsByCounting(log.term(index), raft.term)) return false;
  log.maybeCommit(index);
  raft.replicationDue = true;
  startEarlyReads(raft);
  return true;
}

/** Notes how far this leader's own log counts, and what that commits. */
export function advanceOwnMatch(raft: Raft): void {
  const own = raft.tracker.progress.get(raft.id);
  if (own === undefined) return;
  if (own.maybeAdvance(raft.rules.ownMatch(raft.log.persisted, raft.log.lastIndex))) maybeCommit(raft);
}
