/**
 * Changes of the configuration as they pass through a node (thesis chapter 4).
 *
 * A change is an entry like any other. It takes effect on each node when the host applies the entry, hence only once
 * it is committed; the next one is proposed only after the leader has applied it; and a node with a committed change
 * still to apply does not campaign. Together this keeps any two configurations in use at one time neighbours, whose
 * quorums overlap.
 *
 * It rests on memory, too: a node whose log holds a change knows the one before it to be committed, for the leader that
 * proposed it had applied that. Hence a host may not lose the commit index that comes with an entry (`ready.ts`, 2.):
 *
 *     (1 2 3) + 4, committed    (1 2 3 4) + 5, committed    2 holds both changes and has forgotten that the first is committed
 *     2 would campaign as one of (1 2 3) and win with 3; 4 as one of (1 2 3 4 5) with 1 and 5: two leaders of one term
 *
 * Read next: `confchange/changer.ts`.
 */
import { changeConf } from './confchange/changer.ts';
import { decodeConfChange, encodeConfChange } from './confchange/codec.ts';
import { type ConfChange, LEAVE_JOINT } from './confchange/types.ts';
import { CodecError, ConfChangeError } from './errors.ts';
import { abortTransfer } from './leader-transfer.ts';
import { MessageType } from './message.ts';
import { appendAsLeader } from './proposals.ts';
import type { Raft } from './raft.ts';
import { confirmRounds } from './read-index.ts';
import { maybeCommit } from './replication/leader.ts';
import type { ProposeDropReason } from './results.ts';
import { becomeFollower } from './roles/follower.ts';
import { StorageUnavailableError } from './storage.ts';
import { type ConfState, type Entry, EntryType, NONE, type SnapshotMeta } from './types.ts';

/** Why a leader may not propose this change now; null when it may. */
export function confChangeObstacle(raft: Raft, data: Uint8Array): ProposeDropReason | null {
  if (!raft.rules.mayProposeConfChange(raft.pendingConfIndex, raft.log.applied)) return 'conf-change-pending';
  try {
    changeConf(raft.conf, decodeConfChange(data));
    return null;
  } catch (error) {
    if (error instanceof ConfChangeError || error instanceof CodecError) return 'conf-change-invalid';
    throw error;
  }
}

/**
 * The first entry of a log: the configuration that the cluster was bootstrapped with, in place of a no-op. The nodes
 * of that configuration know it already; one that joins later and is sent the log from its beginning learns it here.
 */
export function bootstrapChange(conf: ConfState): ConfChange {
  return {
    transition: 'auto',
    steps: [
      ...conf.voters.map((id) => ({ kind: 'add-voter' as const, id })),
      ...conf.learners.map((id) => ({ kind: 'add-learner' as const, id })),
    ],
    context: new Uint8Array(0),
  };
}

/** The host applies a configuration entry. */
export function applyConfChange(raft: Raft, entry: Entry): ConfState {
  const change = decodeConfChange(entry.data);
  if (!raft.rules.reconfigures(entry.index, raft.confLag.newest)) {
    return raft.confLag.apply(entry.index, (conf) => changeConf(conf, change));
  }
  const conf = changeConf(raft.conf, change);
  switchTo(raft, conf, entry.index);
  return conf;
}

/** A snapshot has taken the place of the log, and its configuration is in force. */
export function takeOverConf(raft: Raft, snapshot: SnapshotMeta): void {
  raft.confLag.takeOver(snapshot, raft.log.applied, raft.conf);
  raft.tracker.reconfigure(snapshot.conf, snapshot.index + 1);
  raft.confScannedTo = snapshot.index;
}

function switchTo(raft: Raft, conf: ConfState, index: number): void {
  raft.tracker.reconfigure(conf, raft.log.lastIndex + 1);
  if (!raft.leading) return;
  raft.reads.renewLease();
  if (!raft.tracker.isVoter(raft.transferee)) abortTransfer(raft);
  // Fewer voters may be a quorum already, of entries and of read rounds.
  maybeCommit(raft);
  confirmRounds(raft);
  raft.replicationDue = true;
  // New members are asked at once where their logs end.
  for (const progress of raft.tracker.progress.values()) {
    if (progress.state === 'probe' && progress.match === 0 && !progress.probeSent)
      progress.appendWanted = true;
  }
  if (!raft.tracker.isVoter(raft.id) && raft.departure === 0) raft.departure = index;
}

/**
 * A leader that is no longer a voter leads on until a quorum of those that stay knows that the change is committed
 * (thesis §4.2.2), then asks the most advanced of them to campaign.
 *
 * Stepping down at once could leave nobody able to win: two nodes, the leader removes itself, and the other one, not
 * having heard of the commitment, waits for the vote of a node that has the longer log and may not campaign.
 */
export function maybeDepart(raft: Raft): void {
  if (raft.departure === 0) return;
  if (raft.tracker.isVoter(raft.id)) {
    raft.departure = 0;
    return;
  }
  if (raft.rules.reached(raft.conf, raft.tracker.knownCommit) < raft.departure) return;
  let successor = NONE;
  for (const id of raft.conf.voters) {
    if (successor === NONE || raft.tracker.matched(id) > raft.tracker.matched(successor)) successor = id;
  }
  raft.send(successor, { type: MessageType.timeoutNow });
  becomeFollower(raft, raft.term, NONE);
}

/** Leaves a joint configuration that asks for it, once the entry that entered it is applied (thesis §4.3). */
export function maybeLeaveJoint(raft: Raft): void {
  if (!raft.leading || !raft.tracker.joint || !raft.conf.autoLeave) return;
  if (raft.pendingConfIndex > raft.log.applied) return;
  appendAsLeader(raft, [{ type: EntryType.confChange, data: encodeConfChange(LEAVE_JOINT) }]);
}

/**
 * Whether a committed configuration change waits to be applied. Each entry is looked at once; where storage cannot
 * deliver, the answer is a careful yes.
 */
export function hasUnappliedConfChange(raft: Raft): boolean {
  const { log } = raft;
  let index = Math.max(raft.confScannedTo, log.applied) + 1;
  while (index <= log.committed) {
    let entries: readonly Entry[];
    try {
      entries = log.read(index, log.committed + 1, SCAN_BYTES);
    } catch (error) {
      if (error instanceof StorageUnavailableError) return true;
      throw error;
    }
    for (const entry of entries) {
      if (entry.type === EntryType.confChange) return true;
      raft.confScannedTo = entry.index;
    }
    index += entries.length;
  }
  return false;
}

const SCAN_BYTES = 1024 * 1024;

/** Only a deliberately broken core comes here; see `rules.ts`. */
export function configureAtAppend(raft: Raft, entries: readonly Entry[]): void {
  for (const entry of entries) {
    if (entry.type !== EntryType.confChange) continue;
    try {
      raft.tracker.reconfigure(changeConf(raft.conf, decodeConfChange(entry.data)), raft.log.lastIndex + 1);
    } catch {
      // Changes that do not fit are refused by the sound rules, too.
    }
  }
}
