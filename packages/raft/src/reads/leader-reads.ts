/**
 * Reads waiting for a leader to be confirmed, by numbered rounds (thesis §6.4).
 *
 * Every broadcast of heartbeats is a round with a number of its own, retries included. A read waits for a round that
 * began after the read arrived; an answer to round 7 confirms whatever waits for 7 or less, and an answer to an older
 * round, however late, confirms nothing newer:
 *
 *     read a (commit 10) -> waits for round 5     heartbeat 5 to all
 *     read b (commit 12) -> waits for round 6     heartbeat 6 to all
 *     a majority has answered 5: a is served at 10, b still waits
 *
 * With leases, a confirmed round also says until which tick no other leader can have been elected (§6.4.1).
 */
import type { ResolvedConfig } from '../config.ts';
import type { NodeId } from '../types.ts';

export interface PendingRead {
  /** Who asked: this node's host, or a follower. */
  readonly from: NodeId;
  /** The asker's own name for the read. */
  readonly context: bigint;
  /** Commit index when the read arrived. */
  readonly index: number;
  /** The round that has to be confirmed. */
  readonly round: number;
}

export class LeaderReads {
  readonly #maxPending: number;
  readonly #leaseTicks: number;
  #pending: PendingRead[] = [];
  /** Reads that came before an entry of this term was committed: their index is not known yet. */
  #early: { from: NodeId; context: bigint }[] = [];
  #round = 0;
  /** For leases: the first round sent in each recent tick, oldest first. */
  #sentAt: { round: number; tick: number }[] = [];
  #tick = 0;
  #leaseUntil = 0;
  /** Rounds up to this one prove nothing for a lease: the configuration has changed since. */
  #leaseFloor = 0;
  #leaseAllowed = true;
  /** A round is to be started with the next `Ready`. */
  roundWanted = false;

  constructor(config: Pick<ResolvedConfig, 'maxPendingReads' | 'electionTicks' | 'leaseMarginTicks'>) {
    this.#maxPending = config.maxPendingReads;
    this.#leaseTicks = config.electionTicks - config.leaseMarginTicks;
  }

  get round(): number {
    return this.#round;
  }

  get count(): number {
    return this.#pending.length + this.#early.length;
  }

  get full(): boolean {
    return this.count >= this.#maxPending;
  }

  reset(): void {
    this.#pending = [];
    this.#early = [];
    this.#round = 0;
    this.#sentAt = [];
    this.#tick = 0;
    this.#leaseUntil = 0;
    this.#leaseFloor = 0;
    this.#leaseAllowed = true;
    this.roundWanted = false;
  }

  /** Contexts of reads by `id` that wait here, for when they are lost. */
  contextsOf(id: NodeId): bigint[] {
    return [...this.#early, ...this.#pending].filter((read) => read.from === id).map((read) => read.context);
  }

  addEarly(from: NodeId, context: bigint): void {
    this.#early.push({ from, context });
  }

  takeEarly(): readonly { from: NodeId; context: bigint }[] {
    const early = this.#early;
    this.#early = [];
    return early;
  }

  add(read: PendingRead): void {
    this.#pending.push(read);
    this.roundWanted = true;
  }

  /** Notes that the heartbeats of round `round` leave now. */
  started(round: number): void {
    this.#round = round;
    this.roundWanted = false;
    if (this.#sentAt.at(-1)?.tick !== this.#tick) this.#sentAt.push({ round, tick: this.#tick });
    while (this.#sentAt.length > 1 && this.#sentAt[0]!.tick + this.#leaseTicks < this.#tick)
      this.#sentAt.shift();
  }

  /** A quorum has answered `round`. Returns the reads this serves, in order of arrival. */
  confirmed(round: number): readonly PendingRead[] {
    for (const sent of this.#sentAt) {
      // The tick of the newest round sent at or before the confirmed one. A round later in the same tick began no
      // earlier than the tick did, so the tick's own beginning is the safe start of the lease.
      if (sent.round > round) break;
      if (sent.round > this.#leaseFloor)
        this.#leaseUntil = Math.max(this.#leaseUntil, sent.tick + this.#leaseTicks);
    }
    let count = 0;
    while (count < this.#pending.length && this.#pending[count]!.round <= round) count += 1;
    return count === 0 ? [] : this.#pending.splice(0, count);
  }

  tick(): void {
    this.#tick += 1;
  }

  /** Whether no other leader can exist before the next tick. */
  get leaseHeld(): boolean {
    return this.#leaseAllowed && this.#tick < this.#leaseUntil;
  }

  /** Other voters decide from now on: the lease has to be earned again. */
  renewLease(): void {
    this.#leaseUntil = 0;
    this.#leaseFloor = this.#round;
  }

  /** A transfer lets its target ignore the lease at any later time of this term: no lease for the rest of it. */
  forbidLease(): void {
    this.#leaseAllowed = false;
  }
}
