/**
 * `RawNode`: one Raft node as its host sees it.
 *
 * Deterministic and synchronous: what it does depends only on the calls made, the storage read and the numbers drawn
 * from `config.random`. A host turns in a circle:
 *
 *     step / tick / propose / readIndex ...   any number of calls: one turn of the event loop
 *     while (node.hasReady()) perform(node.ready())
 *     ... node.persisted(sequence)            when the disk says so
 *     ... node.applied(index)                 when the state machine says so
 *
 * Everything proposed between two calls of `ready()` travels as one batch: one append to the log, one message for
 * each follower. Not re-entrant: do not call it from within `Storage`. Read next: `ready.ts` for the contract.
 */

import { encodeConfChange } from './confchange/codec.ts';
import type { ConfChange } from './confchange/types.ts';
import type { RaftConfig } from './config.ts';
import { campaign } from './election.ts';
import { requestTransfer } from './leader-transfer.ts';
import { applyConfChange, maybeLeaveJoint } from './membership.ts';
import type { Message } from './message.ts';
import { propose } from './proposals.ts';
import { Raft } from './raft.ts';
import { requestRead } from './read-index.ts';
import type { Ready } from './ready.ts';
import { ReadyBuilder } from './ready-builder.ts';
import { advanceOwnMatch } from './replication/leader.ts';
import { reportSnapshot, reportUnreachable } from './replication/reports.ts';
import type { ProposeResult, ReadIndexResult, TransferResult } from './results.ts';
import { ownVotePersisted, tickCandidate } from './roles/candidate.ts';
import { forgetLeader, tickFollower } from './roles/follower.ts';
import { tickLeader } from './roles/leader.ts';
import { type Rules, SOUND_RULES } from './rules.ts';
import type { Status } from './status.ts';
import { statusOf } from './status.ts';
import { step } from './step.ts';
import type { ConfState, Entry, NodeId } from './types.ts';
import { EntryType } from './types.ts';

/** A server of the thesis without its disk, its network, its clock and its state machine (§3.3; figure 3.1). */
export class RawNode {
  readonly #raft: Raft;
  readonly #builder: ReadyBuilder;

  /**
   * Starts from what storage holds, as a follower without a leader (thesis §3.8).
   * @param rules only for tests of the tests, see `testing.ts`
   * @throws RangeError for a configuration that cannot work
   * @throws InvariantError when storage contradicts itself or `config.applied`: committed entries are missing
   */
  constructor(config: RaftConfig, rules: Rules = SOUND_RULES) {
    this.#raft = new Raft(config, rules);
    this.#builder = new ReadyBuilder(this.#raft);
  }

  /** Time passes by one tick: elections, heartbeats, quorum checks, leases (thesis §3.4). */
  tick(): void {
    const raft = this.#raft;
    if (raft.embargoTicks > 0) raft.embargoTicks -= 1;
    this.#builder.retryStorage();
    switch (raft.role) {
      case 'follower':
        tickFollower(raft);
        break;
      case 'pre-candidate':
      case 'candidate':
        tickCandidate(raft);
        break;
      case 'leader':
        tickLeader(raft);
        break;
    }
  }

  /**
   * Takes a message from a peer (thesis §3.3). Stale, repeated and unexpected messages are ignored.
   * @param message kept: neither it nor the data of its entries may be changed afterwards
   * @throws ProtocolError for what no correct peer sends; the state is unchanged
   * @throws InvariantError when peers and this node cannot all be right: two leaders in a term, a commit index beyond
   *   what this node is known to have. Some node lost what it had promised to keep, or took the place of another
   */
  step(message: Message): void {
    step(this.#raft, message);
  }

  /**
   * Starts an election now (thesis §3.4), by way of a pre-vote when configured. Ignored by a leader, by a node that
   * is not a voter, and while a configuration change or a snapshot waits to be applied. A single voter becomes leader
   * with the `persisted()` that makes its own vote durable.
   */
  campaign(): void {
    campaign(this.#raft, 'request');
  }

  /**
   * Appends `data` to the log when leading, else passes it on to the leader (thesis §6.2).
   * @param data kept, not copied: it may not be changed afterwards. Empty data is legal but looks like a leader's no-op
   */
  propose(data: Uint8Array): ProposeResult {
    return propose(this.#raft, { type: EntryType.normal, data });
  }

  /** Proposes a change of the configuration (thesis chapter 4). One at a time: the next after this one was applied. */
  proposeConfChange(change: ConfChange): ProposeResult {
    return propose(this.#raft, { type: EntryType.confChange, data: encodeConfChange(change) });
  }

  /**
   * Puts a committed configuration change into force (thesis §4.1); part of applying the entry, before `applied()` covers it. A
   * host that refuses a change by rules of its own (the same on every node) applies the entry without this call.
   * @returns the configuration as of this entry, to be kept with the host's applied index. It is the one now in force, unless a
   *   snapshot from beyond this entry has been taken over meanwhile
   * @throws CodecError when the entry holds no configuration change
   * @throws ConfChangeError when it does not fit the configuration in force; nothing changed. All nodes see the
   *   same, so the host treats the entry as refused
   */
  applyConfChange(entry: Entry): ConfState {
    return applyConfChange(this.#raft, entry);
  }

  /**
   * Asks for an index such that a state machine that has applied it serves a linearizable read that began before
   * this call (thesis §6.4). The answer comes as a `ReadState`; when the leader cannot be reached it may never come,
   * or come as one of `droppedReads`.
   * @param context the host's name for the request, unsigned 64 bits, unique among those outstanding on this node.
   *   What travels on the wire is an id of the core's own that no retry and no restart repeats
   */
  readIndex(context: bigint): ReadIndexResult {
    return requestRead(this.#raft, context);
  }

  /**
   * Hands leadership to `to` once it has the whole log (thesis §3.10). Proposals are dropped meanwhile. Given up
   * after `electionTicks`. On a follower, the request goes to the leader.
   */
  transferLeadership(to: NodeId): TransferResult {
    return requestTransfer(this.#raft, to);
  }

  /**
   * Forgets the current leader without waiting for the election timeout, so that this node supports an election it
   * would otherwise refuse to protect a leader the host knows to be gone (thesis §4.2.3). Ignored by leaders and candidates,
   * and with leases.
   */
  forgetLeader(): void {
    forgetLeader(this.#raft);
  }

  /** A message to `id` was probably not delivered: stop sending optimistically (thesis §10.2.1) and probe. */
  reportUnreachable(id: NodeId): void {
    reportUnreachable(this.#raft, id);
  }

  /** How the sending of a snapshot to `id` ended (thesis §5.3). Must be called for each such message, or the follower waits. */
  reportSnapshot(id: NodeId, outcome: 'delivered' | 'failed'): void {
    reportSnapshot(this.#raft, id, outcome);
  }

  /**
   * What threw `StorageUnavailableError` can be read now (thesis §5: what is compacted, or on disk alone). Optional:
   * without it the core asks again with the next tick.
   */
  storageAvailable(): void {
    this.#builder.retryStorage();
    if (this.#raft.leading) this.#raft.replicationDue = true;
  }

  /** Whether `ready()` may have something to do. Cheap. A `Ready` may still turn out to be empty (thesis §10.2: batches). */
  hasReady(): boolean {
    return this.#builder.hasReady();
  }

  /** Takes the work there is. The same work is never handed out twice. See `Ready` (thesis §3.8, §10.2.1). */
  ready(): Ready {
    return this.#builder.build();
  }

  /**
   * Everything up to and including `sequence` is durable (thesis §3.8).
   * @throws InvariantError for a sequence never handed out
   */
  persisted(sequence: number): void {
    const raft = this.#raft;
    for (const ticket of raft.persistence.redeem(sequence)) {
      raft.log.persistedTo(ticket.durableTo, ticket.snapshot);
      if (ticket.term > 0) raft.durableTerm = ticket.term;
      if (ticket.ownVoteTerm > 0) ownVotePersisted(raft, ticket.ownVoteTerm);
    }
    if (raft.leading) advanceOwnMatch(raft);
  }

  /**
   * The state machine has applied everything up to `index` (thesis figure 3.1: `lastApplied`).
   * @throws InvariantError when the index falls or was never handed out
   */
  applied(index: number): void {
    this.#raft.log.appliedTo(index);
    this.#builder.appliedTo(index);
    maybeLeaveJoint(this.#raft);
  }

  /** A copy of what the node knows of itself, and, when it leads, of the others (thesis figure 3.1). */
  status(): Status {
    return statusOf(this.#raft);
  }
}
