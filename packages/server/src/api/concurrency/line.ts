/**
 * Queues in the key space, which locks and elections both are: whoever's key under `name/` was created first is at the head, and
 * everybody else waits for the key created just before its own.
 *
 *     revision   12            15            19
 *     key        name/a1  <──  name/b7  <──  name/c3       a1 holds; b7 waits for a1; c3 waits for b7
 *
 * Waiting for one predecessor wakes one caller per release, not all of them. A key that goes from the middle (its lease
 * ended) wakes its successor, which then waits for the next one further ahead.
 *
 * The layout, and who waits for whom, is that of etcd's client library, so its users and ours queue together. Two
 * differences, both on the safe side. A place in the queue is told from a later key of the same name by its create revision. And a
 * head is answered only after a confirmed read shows that its key is still there and hangs on its lease: a caller whose
 * lease ended while it waited must not hear that it holds the lock (case 57). What happens after the answer no server can
 * know; holders guard their writes with the key's create revision.
 */
import type { CallContext } from '@quorate/grpc-server';
import type { ErrorCode } from '@quorate/proto';
import { DomainError } from '../../errors.ts';
import type { Member } from '../../member.ts';
import type { TxnOperation } from '../../operations.ts';
import type { Outcome, TxnOutcome } from '../../results.ts';
import { freeId } from '../lease.ts';
import { Deletions } from './deletions.ts';
import { firstOf } from './first.ts';
import {
  createdAt,
  deleteStep,
  getStep,
  guarded,
  lineEnd,
  lineKey,
  linePrefix,
  putStep,
} from './operations.ts';

export type LineMember = Pick<
  Member,
  | 'env'
  | 'store'
  | 'lessor'
  | 'limits'
  | 'leader'
  | 'ended'
  | 'propose'
  | 'confirmRead'
  | 'onApplied'
  | 'onStoreReplaced'
>;

/** What a caller without a lease of its own gets; nobody renews it (sem-200). */
const OWN_LEASE_TTL_SEC = 60;
/** Between two tries to confirm a read while the cluster has no leader. */
const RETRY_MS = 100;

const TRANSIENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NO_LEADER',
  'LEADER_CHANGED',
  'REQUEST_TIMED_OUT',
  'TIMEOUT_DUE_TO_LEADER_FAIL',
  'TIMEOUT_DUE_TO_CONNECTION_LOST',
]);

export interface Entrant {
  readonly name: Uint8Array;
  /** 0n: one of 60 seconds is granted. */
  readonly lease: bigint;
  readonly value: Uint8Array;
  /** The value takes the place of another one that the same lease has entered with before. */
  readonly replaces: boolean;
  /** What the caller hears when its key went while it waited. */
  readonly lostCode: ErrorCode;
  readonly encodedBytes: number;
}

/** A key in a queue, and which life of that key. */
export interface Place {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly lease: bigint;
}

export interface Head extends Place {
  /** Revision at which the caller entered. */
  readonly enteredRevision: number;
  /** Revision at which it was seen to be at the head. */
  readonly revision: number;
}

type Done = (error: Error | null, head: Head | null) => void;

export class Lines {
  readonly member: LineMember;
  readonly deletions: Deletions;
  readonly #open = new Set<Visit>();
  #closed = false;

  constructor(member: LineMember) {
    this.member = member;
    this.deletions = new Deletions(member);
  }

  /** Enters the queue of a name and waits for its head. @param done called once, also after a cancel */
  enter(entrant: Entrant, call: Pick<CallContext, 'cancelled' | 'onCancel'>, done: Done): void {
    if (this.#closed || call.cancelled) {
      done(new DomainError(this.#closed ? 'SERVER_STOPPED' : 'REQUEST_CANCELED'), null);
      return;
    }
    const visit = new Visit(this, entrant, (error, head) => {
      this.#open.delete(visit);
      done(error, head);
    });
    this.#open.add(visit);
    call.onCancel(() => visit.cancel());
    visit.begin();
  }

  /** Waiting callers hear that the server stops. They keep their places, and may go on waiting at another member. */
  close(): void {
    this.#closed = true;
    for (const visit of [...this.#open]) visit.end(new DomainError('SERVER_STOPPED'));
    this.deletions.close();
  }
}

/** One caller's way through a queue. */
class Visit {
  readonly #lines: Lines;
  readonly #entrant: Entrant;
  readonly #prefix: Uint8Array;
  readonly #done: Done;
  #ended = false;
  #cancelled = false;
  /** Its key is being taken away: nothing else goes on. */
  #leaving = false;
  /** A step is under way whose result decides what is to be cleaned up. */
  #proposing = false;
  #ownLease: bigint | null = null;
  #place: Place | null = null;
  /** The key was there before, and nobody has been seen ahead of it: an earlier call may have been told that it is held. */
  #mayBeHeld = false;
  /** The lease the key hangs on; another one than the caller's when somebody else made the key. */
  #attachedTo = 0n;
  #enteredRevision = 0;
  #stopWaiting: (() => void) | null = null;

  constructor(lines: Lines, entrant: Entrant, done: Done) {
    this.#lines = lines;
    this.#entrant = entrant;
    this.#prefix = linePrefix(entrant.name);
    this.#done = done;
  }

  begin(): void {
    const { lease } = this.#entrant;
    if (lease !== 0n) {
      this.#join(lease);
      return;
    }
    const { member } = this.#lines;
    const id = freeId(member);
    const ttlSec = Math.max(OWN_LEASE_TTL_SEC, member.limits.minLeaseTtlSec);
    this.#propose({ kind: 'lease-grant', id, ttlSec }, () => {
      this.#ownLease = id;
      return () => this.#join(id);
    });
  }

  /** The caller is gone: so must its key be, or nobody behind it would ever be next. */
  cancel(): void {
    if (this.#ended || this.#cancelled) return;
    this.#cancelled = true;
    if (!this.#proposing) this.#leave(new DomainError('REQUEST_CANCELED'));
  }

  end(error: Error | null, head: Head | null = null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopWaiting?.();
    this.#done(error, head);
  }

  /** Creates the key, or finds the one that the same lease has there already (sem-201). */
  #join(lease: bigint): void {
    const key = lineKey(this.#prefix, lease);
    const step = putStep(key, this.#entrant.value, lease);
    const txn = guarded(createdAt(key, 0n), step, [getStep(key)]);
    this.#propose(txn, (outcome) => {
      const { succeeded, revision, responses } = outcome as TxnOutcome;
      this.#enteredRevision = revision;
      if (succeeded) {
        this.#place = { key, createRevision: revision, lease };
        this.#attachedTo = lease;
        return () => this.#advance(true);
      }
      const [found] = responses;
      if (found?.kind !== 'range') throw new Error('a key that exists was not found');
      const record = found.records[0]!;
      this.#place = { key, createRevision: record.createRevision, lease };
      this.#attachedTo = record.lease;
      this.#mayBeHeld = true;
      const same = Buffer.compare(record.value, this.#entrant.value) === 0;
      if (!this.#entrant.replaces || same) return () => this.#advance(true);
      return () => this.#replaceValue();
    });
  }

  #replaceValue(): void {
    const { key, createRevision, lease } = this.#place!;
    const step = putStep(key, this.#entrant.value, lease);
    this.#propose(guarded(createdAt(key, BigInt(createRevision)), step), (outcome) => {
      this.#attachedTo = lease;
      if ((outcome as TxnOutcome).succeeded) return () => this.#advance(true);
      return () => this.end(new DomainError(this.#entrant.lostCode));
    });
  }

  /** @param fresh the store is, in this turn, as the caller's own entry left it or newer: no need to confirm a read */
  #advance(fresh: boolean): void {
    if (this.#ended || this.#leaving) return;
    let sameTurn = fresh;
    const { store } = this.#lines.member;
    const range = { key: this.#prefix, end: lineEnd(this.#prefix), revision: 0, limit: 0, keysOnly: true };
    store.range(range, (error, result) => {
      if (this.#ended || this.#leaving) return;
      if (error !== null) {
        this.#retry(error);
        return;
      }
      const own = this.#place!.createRevision;
      let ahead: Place | null = null;
      for (const { key, createRevision, lease } of result!.records) {
        if (createRevision < own && createRevision > (ahead?.createRevision ?? 0)) {
          ahead = { key, createRevision, lease };
        }
      }
      if (ahead !== null) this.#waitFor(ahead);
      else if (sameTurn) this.#answer();
      else this.#confirm();
    });
    sameTurn = false;
  }

  /** For the key ahead to go; or the caller's own, which ends its hope at once. */
  #waitFor({ key, createRevision }: Place): void {
    this.#mayBeHeld = false;
    const { deletions, member } = this.#lines;
    const own = this.#place!;
    const lost = (): void => this.end(new DomainError(this.#entrant.lostCode));
    const stopOwn = deletions.wait(own.key, own.createRevision, lost);
    if (stopOwn === null) {
      lost();
      return;
    }
    // Its own turn: many keys may go in one batch, and each may be the one ahead of the next.
    const moveUp = (): void => {
      stopOwn();
      this.#stopWaiting = null;
      member.env.afterPoll(() => this.#advance(false));
    };
    const stopAhead = deletions.wait(Uint8Array.from(key), createRevision, moveUp);
    if (stopAhead === null) {
      moveUp();
      return;
    }
    this.#stopWaiting = () => {
      stopOwn();
      stopAhead();
    };
  }

  #confirm(): void {
    this.#lines.member.confirmRead(Number.POSITIVE_INFINITY, (error) => {
      if (this.#ended || this.#leaving) return;
      if (error !== null) this.#retry(error);
      else this.#answer();
    });
  }

  /** An election must not cost a caller its place; anything else ends its visit. */
  #retry(error: Error): void {
    const passes = !(error instanceof DomainError) || TRANSIENT.has(error.code);
    if (!passes || this.#lines.member.ended) {
      this.#leave(error);
      return;
    }
    const timer = this.#lines.member.env.setTimer(RETRY_MS, () => this.#advance(false));
    this.#stopWaiting = () => timer.cancel();
  }

  /** At the head, if the key is still the one that entered. */
  #answer(): void {
    const place = this.#place!;
    const { store } = this.#lines.member;
    const record = store.get(place.key);
    if (record?.createRevision !== place.createRevision || record.lease !== this.#attachedTo) {
      this.end(new DomainError(this.#entrant.lostCode));
      return;
    }
    this.end(null, { ...place, enteredRevision: this.#enteredRevision, revision: store.revision });
  }

  /** Takes the key away again, unless it is held by an earlier call of the same lease; then tells the caller why. */
  #leave(reason: Error): void {
    if (this.#ended || this.#leaving) return;
    this.#leaving = true;
    this.#stopWaiting?.();
    this.#stopWaiting = null;
    const place = this.#place;
    const tell = (): void => this.end(reason);
    const { member } = this.#lines;
    if (this.#ownLease !== null) {
      member.propose({ kind: 'lease-revoke', id: this.#ownLease }, 0, Number.POSITIVE_INFINITY, tell);
    } else if (place === null) tell();
    else if (!this.#mayBeHeld) this.#takeAway(place, tell);
    else {
      firstOf(member.store, this.#prefix, (error, first) => {
        const isHeld = error !== null || first?.createRevision === place.createRevision;
        if (isHeld) tell();
        else this.#takeAway(place, tell);
      });
    }
  }

  #takeAway({ key, createRevision }: Place, done: () => void): void {
    const txn: TxnOperation = guarded(createdAt(key, BigInt(createRevision)), deleteStep(key));
    this.#lines.member.propose(txn, 0, Number.POSITIVE_INFINITY, done);
  }

  /**
   * The caller's own deadline does not cut this short: were the entry written after all, nobody would clean up behind it.
   * @param applied takes note of what was done; @returns how to go on if the caller still waits
   */
  #propose(operation: Parameters<Member['propose']>[0], applied: (outcome: Outcome) => () => void): void {
    this.#proposing = true;
    const { member } = this.#lines;
    member.propose(operation, this.#entrant.encodedBytes, Number.POSITIVE_INFINITY, (error, outcome) => {
      this.#proposing = false;
      if (this.#ended) return;
      if (error !== null) {
        if (this.#ownLease === null) this.end(error);
        else this.#leave(error);
        return;
      }
      const next = applied(outcome!);
      if (this.#cancelled) this.#leave(new DomainError('REQUEST_CANCELED'));
      else next();
    });
  }
}
