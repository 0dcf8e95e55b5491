/**
 * What the core answers to requests of its own host.
 *
 * "Accepted" promises nothing about commitment: the entry may still be lost with the leader. The host learns of
 * success by seeing its entry among `committedEntries` (put an id of your own in the data), and of failure by its
 * own timeout.
 */
import type { NodeId } from './types.ts';

/** Why a proposal was not taken (thesis §6.2). */
export type ProposeDropReason =
  /** No leader is known, or this node may not forward. Retry later. */
  | 'no-leader'
  /** More than `maxUncommittedBytes` wait for commitment: back off. */
  | 'too-many-uncommitted'
  /** Leadership is being handed over (thesis §3.10); retry once a new leader is known. */
  | 'transferring'
  /** This node is not part of the configuration, or a leader that is about to leave it. */
  | 'not-a-member'
  /** A configuration change is under way; one at a time (thesis §4.1). */
  | 'conf-change-pending'
  /** The change does not fit the configuration: leave a joint one first, or there is none to leave, or no voter would remain. */
  | 'conf-change-invalid';

/** What became of a proposal so far (thesis §3.5, §6.2). */
export type ProposeResult =
  /** In this leader's log at `index`; committed in this place or not at all. */
  | { readonly accepted: true; readonly how: 'appended'; readonly index: number; readonly term: number }
  /** On its way to the leader. */
  | { readonly accepted: true; readonly how: 'forwarded'; readonly to: NodeId }
  | { readonly accepted: false; readonly reason: ProposeDropReason };

/** Whether a read is on its way (thesis §6.4). */
export type ReadIndexResult =
  /** A `ReadState` with this context follows, or the context turns up in `droppedReads`. */
  { readonly accepted: true } | { readonly accepted: false; readonly reason: 'no-leader' | 'too-many-reads' };

/** Whether leadership is being handed over (thesis §3.10). */
export type TransferResult =
  /** Under way; abandoned after `electionTicks` when the target does not take over. */
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: 'no-leader' | 'not-a-voter' | 'already-leader' };
