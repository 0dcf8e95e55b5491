/**
 * The primary half of leases: counts time, and proposes the revocation of what has expired.
 *
 * One timer for all leases, set for the one that is due first. Expired leases are revoked by proposals, a bounded
 * number under way and a bounded number a second, so that a hundred thousand leases that end together are a
 * background of small log entries beside everybody's writes, not a flood before them: those that wait stay in the heap,
 * in order of expiry, and cost nothing. A failed proposal is tried again.
 *
 * Whatever was under way when this member stopped being the primary is forgotten: the new primary counts anew, and
 * what comes back for an old proposal concerns nobody (case 53).
 */
import type { Env, Timer } from '../env.ts';
import { ExpiryHeap } from './expiry-heap.ts';
import type { Lease } from './lease.ts';

export interface ExpiryLimits {
  readonly maxRevokesInFlight: number;
  readonly maxRevokesPerSec: number;
  readonly retryMs: number;
}

export const EXPIRY_LIMITS: ExpiryLimits = {
  /** A few log batches' worth: the next ones wait while the disk syncs. */
  maxRevokesInFlight: 64,
  /** About a fifth of what a member applies in a second; etcd does 1,000. */
  maxRevokesPerSec: 5_000,
  retryMs: 500,
};

/** Revocations that may start at once after a quiet time. */
const BURST_MS = 20;
/** Node fires timers beyond 2^31 - 1 ms at once; a lease may last 285 years. */
const MAX_TIMER_MS = 86_400_000;

export class Expiry {
  readonly #env: Env;
  readonly #limits: ExpiryLimits;
  readonly #revoke: (lease: Lease, done: (error: Error | null) => void) => void;
  readonly #heap = new ExpiryHeap();
  #timer: { readonly timer: Timer; readonly dueMs: number } | null = null;
  #inFlight = 0;
  /** Revocations that may be proposed now, with fractions. */
  #allowance = 0;
  #allowanceAtMs = 0;
  /** Rises with each start and stop: answers from before are stale. */
  #epoch = 0;
  #running = false;
  #driving = false;

  /** @param revoke proposes; `done` may be called at once or later */
  constructor(
    env: Env,
    limits: ExpiryLimits,
    revoke: (lease: Lease, done: (error: Error | null) => void) => void,
  ) {
    this.#env = env;
    this.#limits = limits;
    this.#revoke = revoke;
  }

  get running(): boolean {
    return this.#running;
  }

  /** Begins to count for leases whose expiry is set. */
  start(leases: readonly Lease[]): void {
    this.stop();
    this.#running = true;
    for (const lease of leases) lease.dueMs = lease.expiryMs;
    this.#heap.fill(leases);
    this.#allowance = 0;
    this.#allowanceAtMs = this.#env.monotonicMs();
    this.#arm();
  }

  stop(): void {
    this.#running = false;
    this.#epoch += 1;
    this.#inFlight = 0;
    this.#heap.clear();
    this.#timer?.timer.cancel();
    this.#timer = null;
  }

  /** A lease was granted or renewed: counts to its new expiry. */
  set(lease: Lease, expiryMs: number): void {
    lease.expiryMs = expiryMs;
    lease.dueMs = expiryMs;
    if (lease.heapIndex === -1) this.#heap.add(lease);
    else this.#heap.moved(lease);
    this.#arm();
  }

  /** A lease is gone. */
  forget(lease: Lease): void {
    if (lease.heapIndex !== -1) this.#heap.delete(lease);
  }

  /** Proposes what is due and allowed, and sets the timer for the rest. */
  #drive(): void {
    if (!this.#running || this.#driving) return;
    // A proposal that fails at once comes back in here; the loop below goes on by itself.
    this.#driving = true;
    const nowMs = this.#env.monotonicMs();
    this.#refill(nowMs);
    for (
      let lease = this.#heap.first;
      lease !== undefined && lease.dueMs <= nowMs;
      lease = this.#heap.first
    ) {
      if (this.#inFlight >= this.#limits.maxRevokesInFlight || this.#allowance < 1) break;
      this.#allowance -= 1;
      this.#heap.delete(lease);
      this.#propose(lease);
    }
    this.#driving = false;
    this.#arm();
  }

  #propose(lease: Lease): void {
    const epoch = this.#epoch;
    this.#inFlight += 1;
    this.#revoke(lease, (error) => {
      if (epoch !== this.#epoch) return;
      this.#inFlight -= 1;
      if (error !== null) {
        lease.dueMs = this.#env.monotonicMs() + this.#limits.retryMs;
        this.#heap.add(lease);
      }
      this.#drive();
    });
  }

  #refill(nowMs: number): void {
    const { maxRevokesPerSec } = this.#limits;
    const most = Math.max(1, (maxRevokesPerSec * BURST_MS) / 1000);
    const gained = ((nowMs - this.#allowanceAtMs) * maxRevokesPerSec) / 1000;
    this.#allowance = Math.min(most, this.#allowance + gained);
    this.#allowanceAtMs = nowMs;
  }

  #arm(): void {
    const first = this.#heap.first;
    // With all places taken, the next answer drives.
    if (!this.#running || first === undefined || this.#inFlight >= this.#limits.maxRevokesInFlight) return;
    const nowMs = this.#env.monotonicMs();
    // Half a burst at a time, so that a long queue does not wake us for each lease.
    const dueMs = first.dueMs > nowMs || this.#allowance >= 1 ? first.dueMs : nowMs + BURST_MS / 2;
    if (this.#timer !== null) {
      if (this.#timer.dueMs <= dueMs) return;
      this.#timer.timer.cancel();
    }
    const delayMs = Math.min(Math.max(0, dueMs - nowMs), MAX_TIMER_MS);
    const timer = this.#env.setTimer(delayMs, () => {
      this.#timer = null;
      this.#drive();
    });
    this.#timer = { timer, dueMs };
  }
}
