/**
 * A lessor over a store in memory and a virtual clock, with a log that applies what is proposed after a while.
 */
import { SimEnv } from '@quorate/testing';
import { DomainError } from '../../src/errors.ts';
import { createLessor, type LessorOptions } from '../../src/lease/create-lessor.ts';
import type { Lessor } from '../../src/lease/lessor.ts';
import type { Operation } from '../../src/operations.ts';
import type { Outcome } from '../../src/results.ts';
import { MemoryStore } from './memory-store.ts';

type Done = (error: Error | null, outcome: Outcome | null) => void;

export class LeaseWorld {
  readonly env: SimEnv;
  readonly store: MemoryStore;
  lessor: Lessor;
  /** Of the entries that are applied, and of the member when it is promoted. */
  term = 1;
  /** From proposal to application. */
  commitMs = 1;
  /** Set: proposals fail with it. */
  failure: Error | null = null;
  /** Proposals under way, the most there ever were, and all there were. */
  inFlight = 0;
  mostInFlight = 0;
  readonly proposed: { readonly atMs: number; readonly operation: Operation }[] = [];
  readonly #options: Partial<LessorOptions>;

  constructor(options: Partial<LessorOptions> = {}, env = new SimEnv(1, 0), store = new MemoryStore()) {
    this.env = env;
    this.store = store;
    this.#options = options;
    this.lessor = this.#create();
  }

  /** Ends the member and starts it on what the store holds. */
  restart(): void {
    this.lessor.close();
    this.lessor = this.#create();
  }

  propose(operation: Operation, done: Done = () => {}): void {
    this.proposed.push({ atMs: this.env.monotonicMs(), operation });
    if (this.failure !== null) {
      done(this.failure, null);
      return;
    }
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    this.env.setTimer(this.commitMs, () => {
      this.inFlight -= 1;
      this.apply(operation, done);
    });
  }

  /** What the applier does with a committed operation. */
  apply(operation: Operation, done: Done = () => {}): void {
    const transaction = this.store.begin(this.store.appliedIndex + 1);
    try {
      if (operation.kind === 'lease-grant')
        this.lessor.applyGrant(transaction, operation.id, operation.ttlSec, this.store.appliedIndex + 1);
      if (operation.kind === 'lease-revoke') this.lessor.applyRevoke(transaction, operation.id);
      if (operation.kind === 'lease-expire') this.lessor.applyExpire(transaction, operation, this.term);
      if (operation.kind === 'lease-checkpoint')
        this.lessor.applyCheckpoint(transaction, operation, this.term);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      transaction.abort();
      this.store.begin(this.store.appliedIndex + 1).commit();
      done(error, null);
      return;
    }
    transaction.commit();
    done(null, { kind: 'done' });
  }

  grant(id: bigint, ttlSec: number): void {
    this.apply({ kind: 'lease-grant', id, ttlSec });
  }

  refusal(operation: Operation): string | null {
    let code: string | null = null;
    this.apply(operation, (error) => {
      code = (error as DomainError | null)?.code ?? null;
    });
    return code;
  }

  exists(key: string): boolean {
    return this.store.get(Buffer.from(key)) !== null;
  }

  /** Renews and lets the world settle. @returns the TTL, the error's code, or null when it has not been answered */
  renew(id: bigint): { readonly answer: number | string | null } {
    const result: { answer: number | string | null } = { answer: null };
    this.lessor.renew(id, (error, ttlSec) => {
      result.answer = error === null ? ttlSec : (error as DomainError).code;
    });
    this.env.settle();
    return result;
  }

  #create(): Lessor {
    const world = this;
    return createLessor({
      env: this.env as never,
      store: this.store,
      member: {
        get term() {
          return world.term;
        },
        propose: (operation, _bytes, _deadline, done) => this.propose(operation, done),
      },
      ...this.#options,
    });
  }
}
