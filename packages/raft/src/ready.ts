/**
 * `Ready`: the bill of work a node hands to its host.
 *
 * The core decides, the host performs. One `Ready` says what to persist, send, apply and answer; the
 * contract below is what the safety proofs rest on.
 *
 *   1. `messages` may leave at once, also before anything is persisted: the leader's disk and the network
 *      work in parallel (thesis §10.2.1).
 *   2. `snapshot`, `entries` and `hardState` are persisted in this order, as one atomic step in the order of
 *      `sequence`; when `mustSync` is set they must be durable, not merely written. What is not synced may wait for the
 *      next step that is, but not be left out: a node that holds a configuration change has to remember that the change
 *      before it was committed (`membership.ts`). Then, and only then:
 *      send `messagesAfterPersist` and call `persisted(sequence)`. Acknowledging a sequence acknowledges all before.
 *      A `Ready` with nothing to persist keeps its place in that order: its `messagesAfterPersist` wait until every
 *      earlier sequence is durable.
 *   3. `committedEntries` may be applied at once: they are durable here and on a quorum. A `snapshot` is installed in
 *      the state machine, once it is durable, before any later committed entry. Apply in order, call
 *      `applyConfChange(entry)` for each entry of type `confChange` as part of applying it, then call
 *      `applied(index)` (also with the index of an installed snapshot). A new `Ready` may be taken before either
 *      acknowledgement; work is never handed out twice. What was handed out before a `snapshot` may still be applied
 *      until that is installed, or left out: the snapshot stands for it.
 *   4. `readStates` are answered once the host has applied at least their index (thesis §6.4).
 *
 * Messages may be lost, delayed, repeated and reordered without harm; there is no need to retry one.
 */
import type { Message } from './message.ts';
import type { Entry, HardState, NodeId, Role, Snapshot } from './types.ts';

/** What may change without being persisted. Present only when it changed. Thesis §3.3. */
export interface SoftState {
  readonly leader: NodeId;
  readonly role: Role;
}

/** A read request that may be served from a state machine that has applied `index`. Thesis §6.4. */
export interface ReadState {
  /** What the host gave to `readIndex`. */
  readonly context: bigint;
  readonly index: number;
}

/**
 * The bill of work; the header of this file is its contract (thesis §3.8 on what to persist first, §10.2.1 on what may
 * go in parallel).
 */
export interface Ready {
  /** Rises by one with each `Ready`; the token of `persisted`. */
  readonly sequence: number;
  readonly softState: SoftState | null;
  /** Null when unchanged since the last `Ready`. */
  readonly hardState: HardState | null;
  /** To persist and to install in the state machine before any later committed entry. Null when none. */
  readonly snapshot: Snapshot | null;
  /** To append; entries at or after the first index given here that are already in storage are replaced. */
  readonly entries: readonly Entry[];
  /** Whether the step has to be durable: true when entries, a term, a vote or a snapshot are part of it. */
  readonly mustSync: boolean;
  readonly messages: readonly Message[];
  readonly messagesAfterPersist: readonly Message[];
  readonly committedEntries: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /**
   * Contexts of accepted reads that will not be answered: leadership moved, or the answer is overdue. Ask again with
   * a new context.
   */
  readonly droppedReads: readonly bigint[];
}
