/**
 * What a leader believes about one follower, and so what it sends next.
 *
 *              rejected, unreachable                snapshot needed
 *        .------------------------------.      .-----------------------.
 *        v                              |      |                       v
 *     [probe] --- accepted ---> [replicate] ---'   [probe] -----> [snapshot]
 *        ^                                                             |
 *        '----------------- delivered, failed, caught up --------------'
 *
 * - `probe`: one append at a time, until the place where the logs agree is found.
 * - `replicate`: logs agree; appends are pipelined within the inflight window and `next` runs ahead of `match`.
 * - `snapshot`: the entries needed are compacted; nothing is sent until the snapshot is settled.
 *
 * Invariant: `0 <= match < next`. `match` never decreases within a term.
 */
import { assert } from '../errors.ts';
import type { Inflights } from './inflights.ts';

export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export class Progress {
  state: ProgressState = 'probe';
  /** Highest index known to be durable on the follower. */
  match = 0;
  /** Next index to send; everything in `(match, next)` is on its way. */
  next: number;
  /** Index of the snapshot on its way; 0 outside of state `snapshot`. */
  pendingSnapshot = 0;
  /** Heard from since the last quorum check (thesis §6.2). */
  recentlyActive = false;
  /** In state `probe`: an append is on its way and its answer decides what to send next. */
  probeSent = false;
  /** An append is to be sent even when it carries no entry: it carries a question or a commit index. */
  appendWanted = false;
  /** Highest commit index this follower was told; never more than it was sent entries for. */
  sentCommit = 0;
  /** Highest commit index it said to know of. */
  knownCommit = 0;
  /** Highest read round it has answered (thesis §6.4). */
  ackedRound = 0;
  learner: boolean;
  readonly inflights: Inflights;

  constructor(start: { next: number; learner: boolean; inflights: Inflights }) {
    this.next = start.next;
    this.learner = start.learner;
    this.inflights = start.inflights;
  }

  becomeProbe(): void {
    // A settled snapshot moved the follower forward even if its own answer got lost.
    this.next = Math.max(this.match, this.pendingSnapshot) + 1;
    this.#reset('probe');
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.next = this.match + 1;
    this.#reset('replicate');
    this.sentCommit = Math.min(this.sentCommit, this.match);
  }

  becomeSnapshot(index: number): void {
    this.#reset('snapshot');
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.sentCommit = index;
  }

  /** The follower holds everything up to `index`. Returns false when that is no news. */
  maybeAdvance(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.probeSent = false;
    return true;
  }

  /**
   * The follower refused an append whose previous entry was `rejected`. Returns false for a stale refusal.
   *
   * Refusals may arrive late or twice. While replicating, one at or below `match` must be old, since those entries
   * are known to be there. While probing, only the answer to the one probe on its way counts.
   *
   * @param hint highest index at which the logs may still agree
   */
  maybeRetreat(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
      return true;
    }
    if (this.state === 'snapshot' || this.next - 1 !== rejected) return false;
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    this.probeSent = false;
    return true;
  }

  /** Notes that an append with `count` entries, the last at `lastIndex`, was sent. */
  sent(count: number, lastIndex: number, bytes: number): void {
    this.appendWanted = false;
    if (this.state === 'probe') {
      this.probeSent = true;
      return;
    }
    assert(this.state === 'replicate', 'progress: nothing is appended while a snapshot is on its way');
    if (count === 0) return;
    this.next = lastIndex + 1;
    this.inflights.add(lastIndex, bytes);
  }

  /** Whether entries may be sent now. */
  get paused(): boolean {
    if (this.state === 'probe') return this.probeSent;
    return this.state === 'snapshot' || this.inflights.full;
  }

  #reset(state: ProgressState): void {
    this.state = state;
    this.probeSent = false;
    this.pendingSnapshot = 0;
    this.inflights.reset();
  }
}
