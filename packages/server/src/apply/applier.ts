/**
 * The applier: log entry in, new state and outcome out. A deterministic function of (state, entry): no clock, no
 * randomness, nothing of this member alone, so that every member that applies the same entries holds the same state.
 *
 * One entry is one store transaction, also when it changes nothing: the applied index moves with the data or not at
 * all. Refusals (`DomainError`) leave the state untouched and are outcomes like any other. Everything else that is
 * thrown means this code or the store is broken: the transaction is abandoned, the error goes up, and the member stops
 * rather than go on with half an entry.
 *
 * The in-memory mirrors (leases, alarms, members) change with the transaction; they are read again from the store after
 * a restart, and a thrown error ends the member, so they need no undoing.
 *
 * Read next: `txn.ts`, `kv.ts`, then `apply-loop.ts`, which calls this.
 */
import {
  CompactedError,
  type EventBatch,
  FutureRevisionError,
  type Store,
  type WriteTransaction,
} from '@quorate/mvcc';
import type { ConfState } from '@quorate/raft';
import type { Alarms } from '../alarms.ts';
import { DomainError } from '../errors.ts';
import type { Failpoint } from '../failpoints.ts';
import type { StateHash } from '../integrity/state-hash.ts';
import type { LeaseState } from '../lease/lessor.ts';
import type { DecodedChange } from '../membership/change.ts';
import type { Members } from '../membership/members.ts';
import type { Operation } from '../operations.ts';
import { costBytes } from '../quota.ts';
import type { Outcome } from '../results.ts';
import { applyDeleteRange, applyPut } from './kv.ts';
import { applyTxn } from './txn.ts';

/** What came of one entry: exactly one of `outcome` and `refusal`. */
export interface Applied {
  readonly outcome: Outcome | null;
  readonly refusal: DomainError | null;
  /** The changed keys, for watches; null when there are none. */
  readonly events: EventBatch | null;
}

export interface ReplicatedState {
  readonly store: Store;
  readonly leases: LeaseState;
  readonly alarms: Alarms;
  readonly members: Members;
  /** Folds what every entry did. Absent where nobody compares it. */
  readonly stateHash?: StateHash;
}

const DONE: Outcome = { kind: 'done' };

const ALARM_ACTION = { activate: 1, deactivate: 2 } as const;

export class Applier {
  readonly #state: ReplicatedState;
  readonly #failpoint: Failpoint;

  constructor(state: ReplicatedState, failpoint: Failpoint) {
    this.#state = state;
    this.#failpoint = failpoint;
  }

  /** @throws StoreBusyError with nothing changed: try again later. Anything else is fatal. */
  apply(index: number, term: number, operation: Operation): Applied {
    const { store } = this.#state;
    this.#failpoint('beforeApplyEntry');
    let transaction = store.begin(index, term);
    let outcome: Outcome | null = null;
    let refusal: DomainError | null = null;
    try {
      outcome = this.#run(transaction, operation, index, term);
    } catch (error) {
      transaction.abort();
      refusal = asRefusal(error);
      transaction = store.begin(index, term);
    }
    this.#failpoint('beforeStoreCommit');
    const events = transaction.commit((batch) =>
      this.#state.stateHash?.fold(index, term, refusal?.code ?? null, batch),
    );
    this.#failpoint('afterStoreCommit');
    return { outcome, refusal, events };
  }

  /** An entry without an operation: a new leader's no-op. */
  applyEmpty(index: number, term: number): void {
    const { store, stateHash } = this.#state;
    store.begin(index, term).commit(() => stateHash?.fold(index, term, null, null));
  }

  /**
   * A configuration change; part of applying it is that raft puts it into force.
   * @param putIntoForce called once there is room in the store and the list of members allows the change. Null: raft refused
   *   it, which then only counts as applied
   */
  applyConfChange(
    entry: { readonly index: number; readonly term: number },
    { change }: DecodedChange,
    putIntoForce: () => ConfState | null,
  ): Applied {
    const { store, members } = this.#state;
    const transaction = store.begin(entry.index, entry.term);
    let refusal: DomainError | null = null;
    try {
      if (change !== null) members.check(change);
    } catch (error) {
      refusal = asRefusal(error);
    }
    if (refusal === null) {
      const conf = putIntoForce();
      // The list was right and raft knows better: no voter would remain, or a change is still under way.
      if (conf === null) refusal = new DomainError('MEMBER_NOT_ENOUGH_STARTED');
      else {
        members.applyConf(transaction, conf);
        if (change !== null) members.apply(transaction, change);
      }
    }
    const code = refusal?.code ?? null;
    transaction.commit(() => this.#state.stateHash?.fold(entry.index, entry.term, code, null));
    return { outcome: refusal === null ? DONE : null, refusal, events: null };
  }

  #run(transaction: WriteTransaction, operation: Operation, index: number, term: number): Outcome {
    const { store, leases, alarms, members } = this.#state;
    this.#checkAlarms(operation);
    switch (operation.kind) {
      case 'put':
        if (operation.lease !== 0n && !leases.exists(operation.lease))
          throw new DomainError('LEASE_NOT_FOUND');
        return applyPut(transaction, operation);
      case 'delete-range': {
        const before = store.revision;
        const outcome = applyDeleteRange(transaction, operation);
        return { ...outcome, revision: outcome.deleted > 0 ? transaction.revision : before };
      }
      case 'txn':
        return applyTxn(transaction, leases, store, operation, this.#failpoint);
      case 'compact':
        if (operation.revision <= store.compactRevision) throw new DomainError('COMPACTED');
        if (operation.revision > store.revision) throw new DomainError('FUTURE_REVISION');
        transaction.compact(operation.revision);
        return { kind: 'compact', revision: store.revision };
      case 'lease-grant':
        leases.applyGrant(transaction, operation.id, operation.ttlSec, index);
        return { kind: 'lease-grant', id: operation.id, ttlSec: operation.ttlSec };
      case 'lease-revoke':
        leases.applyRevoke(transaction, operation.id);
        return DONE;
      case 'lease-expire':
        leases.applyExpire(transaction, operation, term);
        return DONE;
      case 'lease-checkpoint':
        leases.applyCheckpoint(transaction, operation, term);
        return DONE;
      case 'alarm': {
        const change =
          operation.action === ALARM_ACTION.activate
            ? alarms.applyActivate(transaction, operation.memberId, operation.alarm)
            : operation.action === ALARM_ACTION.deactivate
              ? alarms.applyDeactivate(transaction, operation.memberId, operation.alarm)
              : [];
        return { kind: 'alarm', alarms: change };
      }
      case 'member-attributes':
        members.applyAttributes(transaction, operation.memberId, operation.name, operation.clientUrls);
        return DONE;
      case 'member-update':
        members.applyPeerUrls(transaction, operation.memberId, operation.peerUrls);
        return DONE;
      case 'cluster-version':
        members.applyVersion(transaction, operation.version);
        return DONE;
      case 'downgrade':
        members.applyDowngrade(transaction, operation.target);
        return DONE;
    }
  }

  /** Alarms are replicated, so that every member refuses the same entries (sem-178, sem-180). */
  #checkAlarms(operation: Operation): void {
    const { alarms } = this.#state;
    if (alarms.corrupt && FORBIDDEN_WHEN_CORRUPT.has(operation.kind))
      throw new DomainError('CORRUPT_CLUSTER');
    if (alarms.noSpace && costBytes(operation) > 0) throw new DomainError('NO_SPACE');
  }
}

const FORBIDDEN_WHEN_CORRUPT: ReadonlySet<Operation['kind']> = new Set<Operation['kind']>([
  'put',
  'delete-range',
  'txn',
  'compact',
  'lease-grant',
  'lease-revoke',
  'lease-expire',
]);

/** @throws what is no refusal */
function asRefusal(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  // A range in a txn at a revision that was compacted: the store is the one to say so.
  if (error instanceof CompactedError) return new DomainError('COMPACTED');
  if (error instanceof FutureRevisionError) return new DomainError('FUTURE_REVISION');
  throw error;
}
