/**
 * Requests to change who is in the cluster (thesis chapter 4).
 *
 * A change travels as the data of an entry of type `confChange`, and takes effect on a node when the host applies
 * that entry (`RawNode.applyConfChange`). Read next: `changer.ts`.
 */
import type { NodeId } from '../types.ts';

/** What becomes of one node (thesis §4.1). */
export type ConfChangeKind =
  /** Makes the node a voter; a learner is promoted. */
  | 'add-voter'
  /** Makes the node a learner: it receives the log and does not count (thesis §4.2.1). A voter is demoted. */
  | 'add-learner'
  /** Removes a voter or a learner; unknown nodes are ignored, so that a repeated request is harmless. */
  | 'remove-node';

/** One node, and what becomes of it (thesis §4.1). */
export interface ConfChangeStep {
  readonly kind: ConfChangeKind;
  readonly id: NodeId;
}

/** A request to change who is in the cluster, as the host makes it (thesis §4.1, §4.3). */
export interface ConfChange {
  /**
   * `auto`: a single-server change when at most one voter moves (thesis §4.1), else joint consensus that the leader
   * leaves by itself. `joint-auto-leave` and `joint-explicit` always go through a joint configuration (§4.3); the
   * latter stays there until a change without steps is proposed (`LEAVE_JOINT`).
   */
  readonly transition: 'auto' | 'joint-auto-leave' | 'joint-explicit';
  /** At most `MAX_CONF_CHANGE_STEPS`. Empty: leave the joint configuration. */
  readonly steps: readonly ConfChangeStep[];
  /** The host's own data, for instance the new member's addresses; opaque to raft. */
  readonly context: Uint8Array;
}

/**
 * Most steps in one change; far above any sane cluster, low enough to bound what a decoder allocates.
 * Thesis §4.3 sets no limit.
 */
export const MAX_CONF_CHANGE_STEPS = 1024;

/** Leaves a joint configuration that was entered with `joint-explicit`. Thesis §4.3. */
export const LEAVE_JOINT: ConfChange = { transition: 'auto', steps: [], context: new Uint8Array(0) };
