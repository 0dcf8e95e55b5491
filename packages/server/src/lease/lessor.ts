/**
 * Leases: what is granted, what is attached, and when it ends.
 *
 * Two halves. The *replicated* half (ids, TTLs, checkpointed remainders, attachments) changes only by applied
 * operations and lives in the store's `leases` table and lease index. The *primary* half (expiry times) exists only on
 * the leader, counts monotonic time from `Env`, and ends a lease by proposing its revocation, never by itself.
 */
import type { WriteTransaction } from '@quorate/mvcc';
import type { LeaseCheckpointOperation, LeaseExpireOperation } from '../operations.ts';

export interface LeaseView {
  readonly id: bigint;
  readonly grantedTtlSec: number;
  /** Milliseconds left; the granted TTL where this member is not the primary; never negative. */
  readonly remainingMs: number;
}

/** The applier's side: deterministic, no clock. */
export interface LeaseState {
  exists(id: bigint): boolean;
  /** @param index of the log entry; @throws DomainError LEASE_EXIST, LEASE_TTL_TOO_LARGE */
  applyGrant(transaction: WriteTransaction, id: bigint, ttlSec: number, index: number): void;
  /** Deletes the attached keys in key order, in this transaction's revision, then the lease. @throws DomainError LEASE_NOT_FOUND */
  applyRevoke(transaction: WriteTransaction, id: bigint): void;
  /** What expiry does instead of `applyRevoke`. @param entryTerm of the log entry; @throws DomainError when it means a lease that is gone, or comes from a primary of the past */
  applyExpire(transaction: WriteTransaction, expired: LeaseExpireOperation, entryTerm: number): void;
  applyCheckpoint(
    transaction: WriteTransaction,
    checkpoint: LeaseCheckpointOperation,
    entryTerm: number,
  ): void;
}

/** The services' and the consensus driver's side. */
export interface Lessor extends LeaseState {
  /** Ids ordered by expiry. */
  list(): readonly bigint[];
  /** Null when unknown. */
  view(id: bigint): LeaseView | null;
  /**
   * Renews on the primary. An expired lease waits for its revocation and then answers 0 (sem-094).
   * @param done granted TTL in seconds, 0 when the lease is unknown or expired; error when this member is not the primary
   */
  renew(id: bigint, done: (error: Error | null, ttlSec: number) => void): void;
  /** This member became leader: every lease lives at least its TTL (or checkpointed remainder) plus `extendMs`; pile-ups are spread. */
  promote(extendMs: number): void;
  /** No longer leader: nothing expires here, queued revocations are dropped. */
  demote(): void;
  readonly primary: boolean;
  /** Reads the leases again: another state took the store's place. Only where this member is not the primary. */
  reload(): void;
  close(): void;
}
