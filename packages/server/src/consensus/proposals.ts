/**
 * Requests that wait for their log entry to be applied.
 *
 * A request is known by (origin, sequence), which its entry carries: the origin names this run of this process, so that
 * entries of an earlier run or of other members never find a request here. Even a collision of the random origin does no
 * harm, because the entry must also have the request's very bytes.
 *
 * Deadlines are looked at once a tick, so a request costs no timer.
 */
import { DomainError } from '../errors.ts';
import type { Outcome } from '../results.ts';

export type ProposalDone = (error: Error | null, outcome: Outcome | null) => void;

interface Proposal {
  readonly data: Uint8Array;
  readonly startedMs: number;
  readonly deadlineMs: number;
  readonly done: ProposalDone;
  /** Taken by raft: it may be applied even if we stop waiting. Until then, nobody has seen it. */
  submitted: boolean;
}

const SEQUENCE_LIMIT = 2 ** 32;

export class Proposals {
  /** Unsigned 32 bits, drawn once per run. */
  readonly origin: number;
  readonly #pending = new Map<number, Proposal>();
  #next = 1;
  #bytes = 0;
  #failedTotal = 0;

  constructor(origin: number) {
    this.origin = origin;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Of the entries that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Requests that ended without an outcome: refused by raft, or out of time. Those that a stop ended are not counted (as etcd). */
  get failedTotal(): number {
    return this.#failedTotal;
  }

  /** Number for the next request's entry. */
  nextSequence(): number {
    const sequence = this.#next;
    this.#next = (sequence + 1) % SEQUENCE_LIMIT;
    return sequence;
  }

  add(sequence: number, data: Uint8Array, startedMs: number, deadlineMs: number, done: ProposalDone): void {
    this.#pending.set(sequence, { data, startedMs, deadlineMs, done, submitted: false });
    this.#bytes += data.length;
  }

  /** The bytes to hand to raft; null when nobody waits for them any more, so that they need not be proposed at all. */
  dataOf(sequence: number): Uint8Array | null {
    return this.#pending.get(sequence)?.data ?? null;
  }

  submitted(sequence: number): void {
    const proposal = this.#pending.get(sequence);
    if (proposal !== undefined) proposal.submitted = true;
  }

  /** An entry was applied: the one who waits for it, if it is ours, and nobody after that. */
  take(origin: number, sequence: number, data: Uint8Array): ProposalDone | null {
    if (origin !== this.origin) return null;
    const proposal = this.#pending.get(sequence);
    if (proposal === undefined) return null;
    if (proposal.data !== data && Buffer.compare(proposal.data, data) !== 0) return null;
    this.#remove(sequence, proposal);
    return proposal.done;
  }

  /** Ends one request with `error`, when it still waits. */
  fail(sequence: number, error: Error): void {
    const proposal = this.#pending.get(sequence);
    if (proposal === undefined) return;
    this.#remove(sequence, proposal);
    this.#failedTotal++;
    proposal.done(error, null);
  }

  /**
   * Ends what has waited too long. A request that raft never took is known not to have happened and gets etcd's answer for a cluster
   * without a leader (sem-016); the fate of the others is unknown (sem-017).
   * @param timeoutOf the error for a request begun at `startedMs`
   */
  expire(nowMs: number, timeoutOf: (startedMs: number) => DomainError): void {
    for (const [sequence, proposal] of this.#pending) {
      if (proposal.deadlineMs > nowMs) continue;
      this.#remove(sequence, proposal);
      this.#failedTotal++;
      const error = proposal.submitted
        ? timeoutOf(proposal.startedMs)
        : new DomainError('CONTEXT_DEADLINE_EXCEEDED');
      proposal.done(error, null);
    }
  }

  failAll(error: Error): void {
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    this.#bytes = 0;
    for (const proposal of waiting) proposal.done(error, null);
  }

  #remove(sequence: number, proposal: Proposal): void {
    this.#pending.delete(sequence);
    this.#bytes -= proposal.data.length;
  }
}
