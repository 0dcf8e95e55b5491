/**
 * Replication as a follower sees it: append, heartbeat, snapshot (thesis §3.5, §5).
 *
 * An acceptance is a promise and waits for the disk; a refusal promises nothing and leaves at once.
 */
import { canonicalConf, checkConf } from '../confchange/conf.ts';
import { configureAtAppend, takeOverConf } from '../membership.ts';
import { type Message, MessageType } from '../message.ts';
import type { Raft } from '../raft.ts';
import { NO_ANSWER } from './news.ts';

/**
 * Accepts entries that follow one this log holds; otherwise refuses with a hint.
 *
 *     ours      1 1 1 2 2 2          append prev=(6, term 3)
 *     leader    1 1 1 3 3 3 3        refused; hint (6, term 2): the last entry of a term no newer than 3
 *                                    the leader knows that its own terms up to 2 end at 3, and probes there
 */
export function handleAppend(raft: Raft, message: Message): void {
  const { log } = raft;
  const type = MessageType.appendResponse;
  if (message.index < log.committed) {
    // An old message: everything up to the commit index agrees with any leader's log.
    raft.sendAfterPersist(message.from, { type, index: log.committed, commit: log.committed });
    return;
  }
  if (!log.matches(message.index, message.logTerm)) {
    const hint = log.findConflict(Math.min(message.index, log.lastIndex), message.logTerm);
    raft.send(message.from, {
      type,
      index: message.index,
      reject: true,
      rejectHint: hint.index,
      logTerm: hint.term,
      commit: log.committed,
    });
    return;
  }
  const cut = log.appendAfterMatch(message.entries);
  raft.persistence.voidAfter(cut);
  if (raft.rules.configuresAtAppend()) configureAtAppend(raft, message.entries);
  const lastMatched = message.index + message.entries.length;
  log.maybeCommit(raft.rules.followerCommit(message.commit, lastMatched));
  if (message.entries.length === 0 && message.context === NO_ANSWER) return;
  raft.sendAfterPersist(message.from, { type, index: lastMatched, commit: log.committed });
}

/** A heartbeat names a commit index only as far as the leader knows this log to agree. */
export function handleHeartbeat(raft: Raft, message: Message): void {
  raft.log.maybeCommit(message.commit);
  const answer = {
    type: MessageType.heartbeatResponse,
    context: message.context,
    commit: raft.log.committed,
  };
  // With leases the answer promises silence for a while. A restarted node keeps that promise, too, unless its disk says
  // that it has never been in any term.
  const leased = raft.config.readOnly === 'lease';
  if (leased) raft.embargoTicks = raft.config.electionTicks;
  if (leased && raft.durableTerm === 0) raft.sendAfterPersist(message.from, answer);
  // No promise about the log, so it need not wait for the disk: it says "in this term I know of no other leader".
  else raft.send(message.from, answer);
}

export function handleSnapshot(raft: Raft, message: Message): void {
  const restored = message.snapshot !== null && restore(raft, message.snapshot);
  const index = restored ? raft.log.lastIndex : raft.log.committed;
  raft.sendAfterPersist(message.from, {
    type: MessageType.appendResponse,
    index,
    commit: raft.log.committed,
  });
}

/** Takes a snapshot over unless it brings nothing new. Returns whether the log was replaced. */
function restore(raft: Raft, snapshot: NonNullable<Message['snapshot']>): boolean {
  const { log } = raft;
  const { index, term } = snapshot.meta;
  if (!raft.rules.mayRestore(index, log.committed)) return false;
  if (log.incomingSnapshot === null && log.termOrUnknown(index) === term) {
    // The log reaches that far and agrees, so it is committed that far; no reason to throw the rest away.
    log.maybeCommit(index);
    return false;
  }
  const conf = canonicalConf(snapshot.meta.conf);
  checkConf(conf);
  log.restore(snapshot);
  raft.persistence.voidAfter(0);
  takeOverConf(raft, { index, term, conf });
  return true;
}
