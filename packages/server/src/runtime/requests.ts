/**
 * Requests on their way through the log: taken or refused, numbered, and answered when their entry is applied.
 *
 *     propose ─ refused? ─ quota? ─▶ submit ─▶ driver ─▶ log ─▶ applier ─▶ applied ─▶ done
 *     confirmRead ─▶ reads ─▶ driver
 *
 * Every `done` is called exactly once: with the outcome, when its time is up, or when the member ends.
 *
 * Read next: `../consensus/proposals.ts`, `../consensus/reads.ts`.
 */
import { encodeConfChange } from '@quorate/raft';
import type { Applied } from '../apply/applier.ts';
import { encodeChecked } from '../consensus/entry-check.ts';
import { EntryError } from '../consensus/entry-codec.ts';
import { type ProposalDone, Proposals } from '../consensus/proposals.ts';
import { type ReadDone, Reads } from '../consensus/reads.ts';
import type { Env } from '../env.ts';
import { DomainError } from '../errors.ts';
import type { Failpoint } from '../failpoints.ts';
import type { MemberLimits } from '../member.ts';
import { encodeChange, type MembershipChange } from '../membership/change.ts';
import type { Operation } from '../operations.ts';
import { costBytes, type Quota } from '../quota.ts';

/** Requests wait here while there is no leader or the disk is slow; beyond this they are refused (sem-013). */
export const MAX_WAITING_REQUESTS = 50_000;
const MAX_WAITING_BYTES = 256 * 1024 * 1024;
/** Committed entries that may wait to be applied before new proposals are refused (sem-013). */
const MAX_APPLY_BACKLOG = 5000;
/** Ends of leases get through when requests do not: they are small, bounded by the lessor, and clients wait for them. */
const EXPIRY_PRIORITY = 2;

/** The consensus driver, as far as requests need it. */
export interface RequestPipeline {
  propose(sequence: number): void;
  proposeConfChange(sequence: number): void;
  readsWait(): void;
  readonly committedIndex: number;
}

export interface RequestParts {
  readonly env: Env;
  readonly limits: MemberLimits;
  readonly quota: Quota;
  readonly failpoint: Failpoint;
  /** Asked late: it is made over `proposals` and `reads`. */
  readonly pipeline: () => RequestPipeline;
  readonly appliedIndex: () => number;
  readonly isClosing: () => boolean;
  /** The database is full: everybody is told, then `then` is called. */
  readonly raiseNoSpace: (then: () => void) => void;
}

export class Requests {
  readonly proposals: Proposals;
  readonly reads = new Reads();
  readonly #parts: RequestParts;
  #onIdle: (() => void) | null = null;

  constructor(parts: RequestParts) {
    this.#parts = parts;
    this.proposals = new Proposals(parts.env.randomInt(2 ** 32));
  }

  get waiting(): number {
    return this.proposals.size + this.reads.size;
  }

  /** `Member.propose`. */
  propose(operation: Operation, encodedBytes: number, deadlineMs: number, done: ProposalDone): void {
    const refusal = this.#refuse(encodedBytes, operation.kind === 'lease-expire' ? EXPIRY_PRIORITY : 1);
    if (refusal !== null) {
      done(refusal, null);
      return;
    }
    const { quota, raiseNoSpace } = this.#parts;
    if (!quota.fits(costBytes(operation))) {
      raiseNoSpace(() => done(new DomainError('NO_SPACE'), null));
      return;
    }
    this.submit(operation, deadlineMs, done);
  }

  /** `Member.confirmRead`. */
  confirmRead(deadlineMs: number, done: ReadDone): void {
    const { env, limits, pipeline, isClosing } = this.#parts;
    if (isClosing()) {
      done(new DomainError('SERVER_STOPPED'));
      return;
    }
    const nowMs = env.monotonicMs();
    this.reads.add(nowMs, Math.min(deadlineMs, nowMs + limits.requestTimeoutMs), done);
    pipeline().readsWait();
  }

  /** Past every check: for what the member itself has to say. Encodes at once: nothing of `operation` is needed afterwards. */
  submit(operation: Operation, deadlineMs: number, done: ProposalDone): void {
    const sequence = this.proposals.nextSequence();
    let data: Uint8Array;
    try {
      data = encodeChecked(this.proposals.origin, sequence, operation);
    } catch (error) {
      if (!(error instanceof EntryError)) throw error;
      done(error, null);
      return;
    }
    this.#add(sequence, data, deadlineMs, done);
    this.#parts.pipeline().propose(sequence);
  }

  submitChange(change: MembershipChange, deadlineMs: number, done: (error: Error | null) => void): void {
    if (this.#parts.isClosing()) {
      done(new DomainError('SERVER_STOPPED'));
      return;
    }
    const { origin } = this.proposals;
    const sequence = this.proposals.nextSequence();
    const data = encodeConfChange(encodeChange({ origin, sequence }, change));
    this.#add(sequence, data, deadlineMs, (error) => done(error));
    this.#parts.pipeline().proposeConfChange(sequence);
  }

  /** Answers the request whose entry was just applied, when it is one of ours and still waits. */
  applied(
    origin: number,
    sequence: number,
    data: Uint8Array,
    operation: Operation,
    { refusal, outcome }: Applied,
  ): void {
    const done = this.proposals.take(origin, sequence, data);
    if (done === null) return;
    const { quota, raiseNoSpace, failpoint } = this.#parts;
    failpoint('beforeAnswer');
    if (refusal === null && !quota.fits(costBytes(operation))) {
      // It is written, and yet refused: those who fill the last page must not go unwarned (sem-177).
      raiseNoSpace(() => done(new DomainError('NO_SPACE'), null));
    } else {
      done(refusal, outcome);
    }
    this.#maybeIdle();
  }

  /** Ends what has waited too long. @param timeoutOf the error for a request begun at `startedMs` */
  expire(nowMs: number, timeoutOf: (startedMs: number) => DomainError): void {
    this.proposals.expire(nowMs, timeoutOf);
    // Reads get no reason, as in etcd (sem-016).
    this.reads.expire(nowMs, () => new DomainError('REQUEST_TIMED_OUT'));
    this.#maybeIdle();
  }

  /** Resolves when no proposal is under way, or after `patienceMs`. */
  idle(patienceMs: number): Promise<void> {
    if (this.proposals.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#parts.env.setTimer(patienceMs, resolve);
      this.#onIdle = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  failAll(error: Error): void {
    this.proposals.failAll(error);
    this.reads.failAll(error);
    this.#maybeIdle();
  }

  /** @param patience how many times as much may wait before this one is refused */
  #refuse(encodedBytes: number, patience: number): DomainError | null {
    const { limits, pipeline, appliedIndex, isClosing } = this.#parts;
    if (isClosing()) return new DomainError('SERVER_STOPPED');
    if (encodedBytes > limits.maxRequestBytes) return new DomainError('REQUEST_TOO_LARGE');
    const backlog = pipeline().committedIndex - appliedIndex();
    const { size, bytes } = this.proposals;
    const waits = size >= patience * MAX_WAITING_REQUESTS || bytes >= patience * MAX_WAITING_BYTES;
    return backlog > patience * MAX_APPLY_BACKLOG || waits ? new DomainError('TOO_MANY_REQUESTS') : null;
  }

  #add(sequence: number, data: Uint8Array, deadlineMs: number, done: ProposalDone): void {
    const nowMs = this.#parts.env.monotonicMs();
    const untilMs = Math.min(deadlineMs, nowMs + this.#parts.limits.requestTimeoutMs);
    this.proposals.add(sequence, data, nowMs, untilMs, done);
  }

  #maybeIdle(): void {
    if (this.proposals.size === 0) this.#onIdle?.();
  }
}
