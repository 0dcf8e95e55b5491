/**
 * The lessor of a member: leases as the store has them, their time while this member leads.
 *
 * Reading order: `lessor.ts` says what it must do, `lease.ts` is one lease, `expiry.ts` counts and revokes.
 *
 * All rows of the `leases` table are read at the start (a hundred bytes a lease); attachments are not: the store knows the
 * keys of a lease, and they are asked for when it ends.
 */
import type { Store, WriteTransaction } from '@quorate/mvcc';
import { limits } from '@quorate/proto';
import type { Env } from '../env.ts';
import { DomainError } from '../errors.ts';
import type { Member } from '../member.ts';
import type { LeaseCheckpointOperation, LeaseExpireOperation, Operation } from '../operations.ts';
import { assert } from './assert.ts';
import { type Checkpoint, Checkpoints } from './checkpoints.ts';
import { EXPIRY_LIMITS, Expiry, type ExpiryLimits } from './expiry.ts';
import { LEASES_TABLE, Lease, leaseKey, leaseRow, readLease } from './lease.ts';
import type { LeaseView, Lessor } from './lessor.ts';
import { spreadExpiries } from './spread.ts';

export interface LessorOptions {
  readonly env: Env;
  readonly store: Pick<Store, 'scanMeta' | 'leaseKeys'>;
  /** Where revocations and checkpoints are proposed. Asked only while this member leads. */
  readonly member: Pick<Member, 'propose' | 'term'>;
  readonly expiryLimits?: ExpiryLimits;
  /** Whether long leases are checkpointed (sem-101), and whether a restart still knows; off by default. */
  readonly checkpoints?: LeaseCheckpoints;
}

/** `memory`: a change of leader knows how much is left, a restart does not (etcd without LeaseCheckpointPersist). */
export type LeaseCheckpoints = 'off' | 'memory' | 'stored';

/** Part of the revocations a second that new expiries may take up after a change of leader. */
const SPREAD_SHARE = 0.75;
/** A proposal of the lessor is a few bytes; the limit on requests is not meant for it. */
const PROPOSAL_BYTES = 0;

export function createLessor(options: LessorOptions): Lessor {
  return new StoredLessor(options);
}

class StoredLessor implements Lessor {
  readonly #env: Env;
  readonly #store: Pick<Store, 'scanMeta' | 'leaseKeys'>;
  readonly #member: Pick<Member, 'propose' | 'term'>;
  readonly #expiryLimits: ExpiryLimits;
  readonly #leases = new Map<bigint, Lease>();
  readonly #expiry: Expiry;
  readonly #checkpoints: Checkpoints | null;
  readonly #storesCheckpoints: boolean;
  /** Of the reign in which this member counts, while it does. */
  #term = 0;

  constructor({ env, store, member, expiryLimits = EXPIRY_LIMITS, checkpoints = 'off' }: LessorOptions) {
    this.#env = env;
    this.#store = store;
    this.#member = member;
    this.#expiryLimits = expiryLimits;
    this.#expiry = new Expiry(env, expiryLimits, (lease, done) => this.#proposeRevoke(lease, done));
    this.#checkpoints =
      checkpoints === 'off'
        ? null
        : new Checkpoints(env, this.#leases, (list, done) => this.#proposeCheckpoints(list, done));
    this.#storesCheckpoints = checkpoints === 'stored';
    this.#read();
  }

  reload(): void {
    assert(!this.primary, 'a leader gets no state from others', this.#leases.size);
    this.#stopCounting('NOT_PRIMARY_LESSOR');
    this.#leases.clear();
    this.#read();
  }

  #read(): void {
    this.#store.scanMeta(LEASES_TABLE, (key, row) => {
      const lease = readLease(key, row);
      this.#leases.set(lease.id, lease);
      return true;
    });
  }

  get primary(): boolean {
    return this.#expiry.running;
  }

  exists(id: bigint): boolean {
    return this.#leases.has(id);
  }

  applyGrant(transaction: WriteTransaction, id: bigint, ttlSec: number, index: number): void {
    if (ttlSec > limits.maxLeaseTtlSec) throw new DomainError('LEASE_TTL_TOO_LARGE');
    if (this.#leases.has(id)) throw new DomainError('LEASE_EXIST');
    assert(id !== 0n && ttlSec > 0, 'a grant names an id and a time', ttlSec);
    const lease = new Lease(id, ttlSec, 0, index);
    transaction.putMeta(LEASES_TABLE, leaseKey(id), leaseRow(lease));
    this.#leases.set(id, lease);
    if (this.primary) this.#expiry.set(lease, this.#env.monotonicMs() + ttlSec * 1000);
  }

  applyRevoke(transaction: WriteTransaction, id: bigint): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw new DomainError('LEASE_NOT_FOUND');
    this.#end(transaction, lease);
  }

  applyExpire(
    transaction: WriteTransaction,
    { id, grantIndex, term }: LeaseExpireOperation,
    entryTerm: number,
  ): void {
    // Found by a leader of the past and passed on to the one of now, which counts anew (case 53).
    if (term !== entryTerm) throw new DomainError('NOT_PRIMARY_LESSOR');
    const lease = this.#leases.get(id);
    if (lease === undefined || lease.grantIndex !== grantIndex) throw new DomainError('LEASE_NOT_FOUND');
    this.#end(transaction, lease);
  }

  #end(transaction: WriteTransaction, lease: Lease): void {
    const { id } = lease;
    for (const key of this.#store.leaseKeys(id)) transaction.deleteRange({ key, end: null });
    transaction.removeMeta(LEASES_TABLE, leaseKey(id));
    this.#leases.delete(id);
    this.#expiry.forget(lease);
    this.#tellWaiters(lease, null);
  }

  applyCheckpoint(
    transaction: WriteTransaction,
    { term, checkpoints }: LeaseCheckpointOperation,
    entryTerm: number,
  ): void {
    // What a leader of the past counted may be less than what the one of now promised since.
    if (term !== 0 && term !== entryTerm) return;
    for (const { id, grantIndex, remainingTtlSec } of checkpoints) {
      const lease = this.#leases.get(id);
      if (lease === undefined || (grantIndex !== 0 && lease.grantIndex !== grantIndex)) continue;
      lease.remainingSec = Math.min(Math.max(remainingTtlSec, 0), lease.ttlSec);
      // Clearing is written always: a former configuration may have stored a remainder.
      if (this.#storesCheckpoints || lease.remainingSec === 0)
        transaction.putMeta(LEASES_TABLE, leaseKey(id), leaseRow(lease));
    }
  }

  list(): readonly bigint[] {
    const leases = [...this.#leases.values()];
    // Infinity minus Infinity is no number: where nobody counts, the order of granting stays.
    if (this.primary) leases.sort((one, other) => one.expiryMs - other.expiryMs);
    return leases.map((lease) => lease.id);
  }

  view(id: bigint): LeaseView | null {
    const lease = this.#leases.get(id);
    if (lease === undefined) return null;
    const grantedMs = lease.ttlSec * 1000;
    const leftMs = this.primary ? lease.expiryMs - this.#env.monotonicMs() : grantedMs;
    return { id, grantedTtlSec: lease.ttlSec, remainingMs: Math.max(0, leftMs) };
  }

  renew(id: bigint, done: (error: Error | null, ttlSec: number) => void): void {
    if (!this.primary) {
      done(new DomainError('NOT_PRIMARY_LESSOR'), 0);
      return;
    }
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      done(null, 0);
    } else if (lease.expiryMs <= this.#env.monotonicMs()) {
      // Expired is expired, also while its revocation is on its way; success could be overtaken by it.
      lease.waiters ??= [];
      lease.waiters.push(done);
    } else if (lease.remainingSec > 0 || lease.checkpointing) {
      this.#clearCheckpoint(lease, done);
    } else {
      this.#expiry.set(lease, this.#env.monotonicMs() + lease.ttlSec * 1000);
      done(null, lease.ttlSec);
    }
  }

  promote(extendMs: number): void {
    this.#term = this.#member.term;
    const fromMs = this.#env.monotonicMs() + extendMs;
    const leases = [...this.#leases.values()];
    for (const lease of leases) lease.expiryMs = fromMs + lease.restoredTtlSec * 1000;
    spreadExpiries(leases, Math.max(1, Math.floor(SPREAD_SHARE * this.#expiryLimits.maxRevokesPerSec)));
    this.#expiry.start(leases);
    this.#checkpoints?.start();
  }

  demote(): void {
    this.#stopCounting('NOT_PRIMARY_LESSOR');
  }

  close(): void {
    this.#stopCounting('SERVER_STOPPED');
  }

  #stopCounting(reason: 'NOT_PRIMARY_LESSOR' | 'SERVER_STOPPED'): void {
    this.#expiry.stop();
    this.#checkpoints?.stop();
    for (const lease of this.#leases.values()) {
      lease.expiryMs = Number.POSITIVE_INFINITY;
      lease.checkpointing = false;
      this.#tellWaiters(lease, new DomainError(reason));
    }
  }

  /**
   * A renewed lease has its full time again, and a new leader must know that: the remainder is cleared before the
   * renewal is promised to anybody.
   */
  #clearCheckpoint(lease: Lease, done: (error: Error | null, ttlSec: number) => void): void {
    this.#proposeCheckpoints([{ lease, remainingTtlSec: 0 }], (error) => {
      if (error !== null) done(error, 0);
      else this.renew(lease.id, done);
    });
  }

  #proposeRevoke(lease: Lease, done: (error: Error | null) => void): void {
    const { id, grantIndex } = lease;
    this.#propose({ kind: 'lease-expire', id, grantIndex, term: this.#term }, (error) => {
      // Somebody else revoked it meanwhile, and perhaps its id was granted anew: that is another lease.
      const gone = this.#leases.get(lease.id) !== lease;
      if (error !== null && !gone) {
        this.#env.log.log('debug', 'revocation of an expired lease failed, trying again', {
          lease: lease.id.toString(16),
          error,
        });
      }
      done(gone ? null : (error ?? new Error('the lease is still there')));
    });
  }

  #proposeCheckpoints(checkpoints: readonly Checkpoint[], done: (error: Error | null) => void): void {
    const named = checkpoints.map(({ lease: { id, grantIndex }, remainingTtlSec }) => ({
      id,
      grantIndex,
      remainingTtlSec,
    }));
    this.#propose({ kind: 'lease-checkpoint', term: this.#term, checkpoints: named }, done);
  }

  /** The member's own request timeout applies. */
  #propose(operation: Operation, done: (error: Error | null) => void): void {
    this.#member.propose(operation, PROPOSAL_BYTES, Number.POSITIVE_INFINITY, (error) => done(error));
  }

  /** Later, not from inside the entry that ends the lease: it is not visible yet. */
  #tellWaiters(lease: Lease, error: Error | null): void {
    const { waiters } = lease;
    if (waiters === null) return;
    lease.waiters = null;
    this.#env.afterPoll(() => {
      for (const done of waiters) done(error, 0);
    });
  }
}
