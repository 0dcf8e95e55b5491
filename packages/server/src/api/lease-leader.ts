/**
 * Renewing leases and telling their time, on whichever member the caller is connected to: the leader counts, the others
 * ask it by calls between members (sem-091).
 *
 *   `lease-renew`         ids, 8 bytes each -> for each its TTL in seconds, 8 bytes: 0 unknown, -1 ask again
 *   `lease-time-to-live`  an id -> granted TTL in seconds and milliseconds left, 8 bytes each; nothing: unknown
 *
 * Renewals of one turn travel together. Who waits while there is no leader, or while the leader changes, is tried again
 * every 50 ms until the request timeout; a call to a leader of the past is given up as soon as another one is known. The
 * one who is asked answers only with proof that it leads (`lease-primary.ts`), so an old leader grants nothing.
 *
 * A lease that has expired and whose revocation is under way is "ask again": the answer is 0 once it is gone (sem-094).
 */
import { DomainError } from '../errors.ts';
import type { LeaseView } from '../lease/lessor.ts';
import type { Member } from '../member.ts';
import { type PrimaryMember, provePrimary } from './lease-primary.ts';

export type LeaderLeasesMember = PrimaryMember &
  Pick<Member, 'limits' | 'leader' | 'memberId' | 'ended' | 'network' | 'onLeaderChange'>;

/** Between two looks for a leader (sem-091). */
const RETRY_MS = 50;
const RENEW = 'lease-renew';
const TIME_TO_LIVE = 'lease-time-to-live';
const ID_BYTES = 8;
const MAX_IDS_PER_CALL = 1_000;
const ASK_AGAIN = -1;

/** A request that waits for the leader's word. */
interface Question {
  readonly lastMs: number;
  readonly abandoned: () => boolean;
  /** Tries once, now that a leader may be known; ends in `done`, or in `#again`. */
  readonly attempt: () => void;
  readonly fail: (error: Error) => void;
}

interface Renewal extends Question {
  readonly id: bigint;
  /** Whether this member had the lease when it was asked. */
  readonly known: boolean;
  readonly done: (error: Error | null, ttlSec: number) => void;
}

export class LeaderLeases {
  readonly #member: LeaderLeasesMember;
  /** Renewals of this turn. */
  #gathered: Renewal[] = [];
  #scheduled = false;
  /** On the way to the leader of now. */
  readonly #asked = new Set<readonly Question[]>();
  #retrying: Question[] = [];
  #closed = false;

  constructor(member: LeaderLeasesMember) {
    this.#member = member;
    member.network.onCall(RENEW, (_from, request, done) => answerRenewals(member, request, done));
    member.network.onCall(TIME_TO_LIVE, (_from, request, done) => answerTimeToLive(member, request, done));
    member.onLeaderChange(() => this.#leaderChanged());
  }

  /** @param done once unless abandoned: the granted TTL, 0 when the lease is unknown or has expired */
  renew(id: bigint, abandoned: () => boolean, done: (error: Error | null, ttlSec: number) => void): void {
    const { lessor, env, limits } = this.#member;
    const renewal: Renewal = {
      id,
      known: lessor.exists(id),
      lastMs: env.monotonicMs() + limits.requestTimeoutMs,
      abandoned,
      attempt: () => {
        if (this.#member.lessor.primary) this.#renewHere(renewal);
        else this.#gather(renewal);
      },
      fail: (error) => done(error, 0),
      done,
    };
    this.#attempt(renewal);
  }

  /** @param done once unless abandoned: null for an unknown lease */
  view(
    id: bigint,
    deadlineMs: number,
    abandoned: () => boolean,
    done: (error: Error | null, view: LeaseView | null) => void,
  ): void {
    const { env, limits } = this.#member;
    const question: Question = {
      lastMs: Math.min(deadlineMs, env.monotonicMs() + limits.requestTimeoutMs),
      abandoned,
      attempt: () => {
        if (!this.#member.lessor.primary) this.#askTimeToLive(question, id, done);
        else {
          provePrimary(this.#member, (error) =>
            done(error, error === null ? this.#member.lessor.view(id) : null),
          );
        }
      },
      fail: (error) => done(error, null),
    };
    this.#attempt(question);
  }

  /** Whoever waits is told that the server stopped. */
  close(): void {
    this.#closed = true;
    const waiting = [...this.#retrying, ...this.#gathered, ...[...this.#asked].flat()];
    this.#retrying = [];
    this.#gathered = [];
    this.#asked.clear();
    for (const question of waiting) {
      if (!question.abandoned()) question.fail(new DomainError('SERVER_STOPPED'));
    }
  }

  #attempt(question: Question): void {
    if (question.abandoned()) return;
    const { ended, lessor, leader, memberId } = this.#member;
    if (ended || this.#closed) question.fail(new DomainError('SERVER_STOPPED'));
    // One that was just elected counts from the next turn on.
    else if (!lessor.primary && (leader === 0n || leader === memberId)) this.#again(question);
    else question.attempt();
  }

  #again(question: Question): void {
    if (question.abandoned()) return;
    const { env, leader } = this.#member;
    if (env.monotonicMs() + RETRY_MS > question.lastMs) {
      question.fail(new DomainError(leader === 0n ? 'NO_LEADER' : 'REQUEST_TIMED_OUT'));
      return;
    }
    this.#retrying.push(question);
    if (this.#retrying.length > 1) return;
    env.setTimer(RETRY_MS, () => {
      const questions = this.#retrying;
      this.#retrying = [];
      for (const one of questions) this.#attempt(one);
    });
  }

  #leaderChanged(): void {
    const asked = [...this.#asked].flat();
    this.#asked.clear();
    for (const question of asked) this.#again(question);
  }

  #renewHere(renewal: Renewal): void {
    provePrimary(this.#member, (error) => {
      if (error !== null) renewal.done(error, 0);
      else {
        this.#member.lessor.renew(renewal.id, (refusal, ttlSec) => {
          // No longer the leader by now: the next one is asked, as in etcd.
          if (refusal instanceof DomainError && refusal.code === 'NOT_PRIMARY_LESSOR') this.#again(renewal);
          else renewal.done(refusal, ttlSec);
        });
      }
    });
  }

  #gather(renewal: Renewal): void {
    this.#gathered.push(renewal);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#member.env.afterPoll(() => {
      this.#scheduled = false;
      const renewals = this.#gathered;
      this.#gathered = [];
      for (let at = 0; at < renewals.length; at += MAX_IDS_PER_CALL)
        this.#askRenewals(renewals.slice(at, at + MAX_IDS_PER_CALL));
    });
  }

  #askRenewals(renewals: readonly Renewal[]): void {
    const request = Buffer.allocUnsafe(renewals.length * ID_BYTES);
    for (const [at, { id }] of renewals.entries()) request.writeBigInt64BE(id, at * ID_BYTES);
    this.#ask(RENEW, request, renewals, (response) => {
      if (response.length !== request.length) return false;
      for (const [at, renewal] of renewals.entries()) {
        const ttlSec = Number(response.readBigInt64BE(at * ID_BYTES));
        if (ttlSec === ASK_AGAIN) this.#again(renewal);
        else if (!renewal.abandoned()) renewal.done(null, this.#isGone(renewal) ? 0 : ttlSec);
      }
      return true;
    });
  }

  /** Its revocation was applied here while the leader's word was on its way: success must not come after that (case 54). */
  #isGone({ known, id }: Renewal): boolean {
    return known && !this.#member.lessor.exists(id);
  }

  #askTimeToLive(
    question: Question,
    id: bigint,
    done: (error: Error | null, view: LeaseView | null) => void,
  ): void {
    const request = Buffer.allocUnsafe(ID_BYTES);
    request.writeBigInt64BE(id);
    this.#ask(TIME_TO_LIVE, request, [question], (response) => {
      if (response.length !== 0 && response.length !== 16) return false;
      if (question.abandoned()) return true;
      if (response.length === 0) done(null, null);
      else {
        const grantedTtlSec = Number(response.readBigInt64BE(0));
        done(null, { id, grantedTtlSec, remainingMs: Number(response.readBigInt64BE(8)) });
      }
      return true;
    });
  }

  /** @param take the answer; false when it is none, and the question is asked again */
  #ask(
    method: string,
    request: Uint8Array,
    questions: readonly Question[],
    take: (response: Buffer) => boolean,
  ): void {
    const { network, leader, env } = this.#member;
    this.#asked.add(questions);
    const lastMs = Math.max(...questions.map((question) => question.lastMs));
    const timeoutMs = Math.max(1, lastMs - env.monotonicMs());
    network.call(leader, method, request, timeoutMs, (error, response) => {
      // Given up, as another member leads by now.
      if (!this.#asked.delete(questions)) return;
      const taken = error === null && response !== null && take(bufferOf(response));
      if (!taken) for (const question of questions) this.#again(question);
    });
  }
}

type AnswerDone = (error: Error | null, response: Uint8Array | null) => void;

function answerRenewals(member: PrimaryMember, request: Uint8Array, done: AnswerDone): void {
  if (request.length % ID_BYTES !== 0 || request.length > MAX_IDS_PER_CALL * ID_BYTES) {
    done(new Error('renewals name leases by 8 bytes each'), null);
    return;
  }
  // Kept beyond this turn.
  const ids = Buffer.from(request);
  provePrimary(member, (error) => {
    if (error !== null || ids.length === 0) {
      done(error, error === null ? ids : null);
      return;
    }
    const answer = Buffer.alloc(ids.length);
    let open = ids.length / ID_BYTES;
    for (let at = 0; at < ids.length; at += ID_BYTES) {
      const write = (ttlSec: number): void => {
        answer.writeBigInt64BE(BigInt(ttlSec), at);
        if (--open === 0) done(null, answer);
      };
      const id = ids.readBigInt64BE(at);
      const view = member.lessor.view(id);
      if (view !== null && view.remainingMs <= 0) write(ASK_AGAIN);
      else member.lessor.renew(id, (refusal, ttlSec) => write(refusal === null ? ttlSec : ASK_AGAIN));
    }
  });
}

function answerTimeToLive(member: PrimaryMember, request: Uint8Array, done: AnswerDone): void {
  if (request.length !== ID_BYTES) {
    done(new Error('the question names one lease'), null);
    return;
  }
  const id = bufferOf(request).readBigInt64BE(0);
  provePrimary(member, (error) => {
    if (error !== null) {
      done(error, null);
      return;
    }
    const view = member.lessor.view(id);
    if (view === null) {
      done(null, new Uint8Array(0));
      return;
    }
    const answer = Buffer.alloc(16);
    answer.writeBigInt64BE(BigInt(view.grantedTtlSec), 0);
    answer.writeBigInt64BE(BigInt(Math.floor(view.remainingMs)), 8);
    done(null, answer);
  });
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
