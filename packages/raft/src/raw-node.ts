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

import type { ConfChange } from './confchange/types.ts';
import type { RaftConfig } from './config.ts';
import { InvariantError } from './errors.ts';
import type { Message } from './message.ts';
import type { Ready } from './ready.ts';
import type { ProposeResult, ReadIndexResult, TransferResult } from './results.ts';
import type { Status } from './status.ts';
import type { ConfState, Entry, NodeId } from './types.ts';

export class RawNode {
  /**
   * Starts from what storage holds, as a follower without a leader (thesis §3.8).
   * @throws RangeError for a configuration that cannot work
   */
  constructor(_config: RaftConfig) {}

  /** Time passes by one tick: elections, heartbeats, quorum checks, leases (thesis §3.4). */
  tick(): void {
    throw new InvariantError('under construction');
  }

  /**
   * Takes a message from a peer. Stale, repeated and unexpected messages are ignored.
   * @param message kept: neither it nor the data of its entries may be changed afterwards
   * @throws ProtocolError for what no correct peer sends; the state is unchanged
   */
  step(_message: Message): void {
    throw new InvariantError('under construction');
  }

  /**
   * Starts an election now (thesis §3.4), by way of a pre-vote when configured. Ignored by a leader, by a node that
   * is not a voter, and while a configuration change or a snapshot waits to be applied. A single voter becomes leader
   * with the `persisted()` that makes its own vote durable.
   */
  campaign(): void {
    throw new InvariantError('under construction');
  }

  /**
   * Appends `data` to the log when leading, else passes it on to the leader (thesis §6.2).
   * @param data kept, not copied: it may not be changed afterwards. Empty data is legal but looks like a leader's no-op
   */
  propose(_data: Uint8Array): ProposeResult {
    throw new InvariantError('under construction');
  }

  /** Proposes a change of the configuration (thesis chapter 4). One at a time: the next after this one was applied. */
  proposeConfChange(_change: ConfChange): ProposeResult {
    throw new InvariantError('under construction');
  }

  /**
   * Puts a committed configuration change into force; part of applying the entry, before `applied()` covers it. A
   * host that refuses a change by rules of its own (the same on every node) applies the entry without this call.
   * @returns the configuration now in force, to be kept with the host's applied index
   * @throws CodecError when the entry holds no configuration change
   * @throws ConfChangeError when it does not fit the configuration in force; nothing changed. All nodes see the
   *   same, so the host treats the entry as refused
   */
  applyConfChange(_entry: Entry): ConfState {
    throw new InvariantError('under construction');
  }

  /**
   * Asks for an index such that a state machine that has applied it serves a linearizable read that began before
   * this call (thesis §6.4). The answer comes as a `ReadState`; when the leader cannot be reached it may never come,
   * or come as one of `droppedReads`.
   * @param context the host's name for the request, unsigned 64 bits, unique among those outstanding on this node.
   *   What travels on the wire is an id of the core's own that no retry and no restart repeats
   */
  readIndex(_context: bigint): ReadIndexResult {
    throw new InvariantError('under construction');
  }

  /**
   * Hands leadership to `to` once it has the whole log (thesis §3.10). Proposals are dropped meanwhile. Given up
   * after `electionTicks`. On a follower, the request goes to the leader.
   */
  transferLeadership(_to: NodeId): TransferResult {
    throw new InvariantError('under construction');
  }

  /**
   * Forgets the current leader without waiting for the election timeout, so that this node supports an election it
   * would otherwise refuse to protect a leader the host knows to be gone. Ignored by leaders and candidates.
   */
  forgetLeader(): void {
    throw new InvariantError('under construction');
  }

  /** A message to `id` was probably not delivered: stop sending optimistically and probe. */
  reportUnreachable(_id: NodeId): void {
    throw new InvariantError('under construction');
  }

  /** How the sending of a snapshot to `id` ended. Must be called for each snapshot message, or the follower waits. */
  reportSnapshot(_id: NodeId, _outcome: 'delivered' | 'failed'): void {
    throw new InvariantError('under construction');
  }

  /** What threw `StorageUnavailableError` can be read now. Optional: without it the core asks again with the next tick. */
  storageAvailable(): void {
    throw new InvariantError('under construction');
  }

  /** Whether `ready()` may have something to do. Cheap. A `Ready` may still turn out to be empty. */
  hasReady(): boolean {
    throw new InvariantError('under construction');
  }

  /** Takes the work there is. The same work is never handed out twice. */
  ready(): Ready {
    throw new InvariantError('under construction');
  }

  /**
   * Everything up to and including `sequence` is durable.
   * @throws InvariantError for a sequence never handed out
   */
  persisted(_sequence: number): void {
    throw new InvariantError('under construction');
  }

  /**
   * The state machine has applied everything up to `index`.
   * @throws InvariantError when the index falls or was never handed out
   */
  applied(_index: number): void {
    throw new InvariantError('under construction');
  }

  status(): Status {
    throw new InvariantError('under construction');
  }
}
