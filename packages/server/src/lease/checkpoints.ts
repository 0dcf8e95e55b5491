/**
 * Checkpoints of long leases, so that a change of leader does not give them their full time again (sem-101).
 *
 * Every five minutes the primary writes down, through the log, how much is left of each lease that has more than
 * five minutes left, a slice of leases a proposal. Optional, and off by default as in etcd.
 */
import type { Env, Timer } from '../env.ts';
import type { Lease } from './lease.ts';

export interface Checkpoint {
  readonly lease: Lease;
  readonly remainingTtlSec: number;
}

const INTERVAL_MS = 300_000;
const MAX_PER_PROPOSAL = 1_000;

export class Checkpoints {
  readonly #env: Env;
  readonly #leases: ReadonlyMap<bigint, Lease>;
  readonly #propose: (checkpoints: readonly Checkpoint[], done: (error: Error | null) => void) => void;
  #timer: Timer | null = null;
  /** Rises with each start and stop: a sweep of an earlier time ends. */
  #epoch = 0;

  constructor(
    env: Env,
    leases: ReadonlyMap<bigint, Lease>,
    propose: (checkpoints: readonly Checkpoint[], done: (error: Error | null) => void) => void,
  ) {
    this.#env = env;
    this.#leases = leases;
    this.#propose = propose;
  }

  start(): void {
    this.stop();
    const epoch = this.#epoch;
    this.#timer = this.#env.setTimer(INTERVAL_MS, () => this.#sweep(this.#leases.values(), epoch));
  }

  stop(): void {
    this.#epoch += 1;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** One proposal, then the next when it is done. A failed one is left for the next time. */
  #sweep(rest: Iterator<Lease>, epoch: number): void {
    if (epoch !== this.#epoch) return;
    const checkpoints: Checkpoint[] = [];
    const nowMs = this.#env.monotonicMs();
    while (checkpoints.length < MAX_PER_PROPOSAL) {
      const { done, value: lease } = rest.next();
      if (done) break;
      const remainingMs = lease.expiryMs - nowMs;
      // Rounded up: a lease may live longer than promised, never shorter.
      if (remainingMs > INTERVAL_MS) {
        // A renewal from now on must clear what is about to be written.
        lease.checkpointing = true;
        checkpoints.push({ lease, remainingTtlSec: Math.ceil(remainingMs / 1000) });
      }
    }
    if (checkpoints.length === 0) {
      this.start();
      return;
    }
    this.#propose(checkpoints, () => {
      if (epoch === this.#epoch) for (const { lease } of checkpoints) lease.checkpointing = false;
      this.#sweep(rest, epoch);
    });
  }
}
