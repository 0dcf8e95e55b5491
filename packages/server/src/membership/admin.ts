/**
 * Who asks for what of the cluster itself: members come and go, learners become voters, leadership moves.
 *
 * What can be refused without asking anybody is refused here, by what this member knows; what an entry does is decided where it
 * is applied (`members.ts` `check`), equally on all members. One change at a time: the driver queues them.
 *
 * Read next: `quorum-rules.ts`, `../consensus/driver.ts` `proposeConfChange`.
 */
import { errorFacts } from '@quorate/proto';
import type { Status, TransferResult } from '@quorate/raft';
import type { Env, Timer } from '../env.ts';
import { DomainError } from '../errors.ts';
import type { ChangeDone, ClusterAdmin, MemberLimits } from '../member.ts';
import type { MemberConfig } from '../member-config.ts';
import type { Network } from '../network.ts';
import type { Operation } from '../operations.ts';
import type { MembershipChange } from './change.ts';
import { downgradeTargetOf, majorMinor } from './cluster-version.ts';
import { formatId, memberIdOf } from './ids.ts';
import type { Members } from './members.ts';
import { callPromote, onPromote } from './promote-call.ts';
import {
  HEALTH_INTERVAL_MS,
  type QuorumView,
  type Refusal,
  refuseAdd,
  refusePromote,
  refuseRemove,
} from './quorum-rules.ts';

export interface AdminParts {
  readonly env: Env;
  readonly config: Pick<MemberConfig, 'strictReconfigCheck' | 'maxLearners' | 'heartbeatMs'>;
  readonly network: Network;
  readonly members: Members;
  readonly memberId: bigint;
  readonly limits: MemberLimits;
  readonly status: () => Status;
  /** 0n when unknown. */
  readonly leader: () => bigint;
  readonly confirmRead: (deadlineMs: number, done: ChangeDone) => void;
  readonly transfer: (to: bigint) => TransferResult;
  readonly change: (change: MembershipChange, deadlineMs: number, done: ChangeDone) => void;
  readonly propose: (operation: Operation, deadlineMs: number, done: ChangeDone) => void;
  readonly onLeaderChange: (listener: (leader: bigint) => void) => void;
}

/** A learner's log may lag so far behind the leader's (sem-167). */
const READY_SHARE = 0.9;
/** How often a promotion looks for a leader to ask. */
const FORWARD_RETRY_MS = 100;

/** A transfer of leadership under way. */
interface Move {
  readonly to: bigint;
  readonly timer: Timer;
  readonly done: ChangeDone;
}

export class MembershipAdmin implements ClusterAdmin {
  readonly #parts: AdminParts;
  readonly #moves = new Set<Move>();
  #closed = false;
  #promotions = 0;
  readonly #promotionFailures = new Map<string, number>();

  constructor(parts: AdminParts) {
    this.#parts = parts;
    onPromote(parts.network, (id, done) => this.#promoteCounted(id, Number.POSITIVE_INFINITY, done));
    parts.onLeaderChange((leader) => {
      for (const move of [...this.#moves]) if (leader === move.to) this.#endMove(move, null);
    });
  }

  add(
    peerUrls: readonly string[],
    isLearner: boolean,
    deadlineMs: number,
    done: (error: Error | null, id: bigint) => void,
  ): void {
    const { env, config } = this.#parts;
    const refusal = config.strictReconfigCheck ? refuseAdd(this.#view(), isLearner) : null;
    if (this.#refused('add', refusal, (error) => done(error, 0n))) return;
    // Without the cluster's token, as etcd does: the time makes the id one of a kind.
    const id = memberIdOf(peerUrls, '', Math.floor(env.wallMs() / 1000));
    const { maxLearners } = config;
    this.#parts.change({ kind: 'add', id, peerUrls, isLearner, maxLearners }, deadlineMs, (error) =>
      done(error, id),
    );
  }

  remove(id: bigint, deadlineMs: number, done: ChangeDone): void {
    const view = this.#view();
    const voters = view.members.filter(({ isLearner }) => !isLearner);
    const last = voters.length === 1 && voters[0]!.id === id;
    // Without any voter there is no cluster; no flag allows that.
    const refusal = last || this.#parts.config.strictReconfigCheck ? refuseRemove(view, id) : null;
    if (!this.#refused('remove', refusal, done)) this.#parts.change({ kind: 'remove', id }, deadlineMs, done);
  }

  update(id: bigint, peerUrls: readonly string[], deadlineMs: number, done: ChangeDone): void {
    this.#parts.propose({ kind: 'member-update', memberId: id, peerUrls }, deadlineMs, done);
  }

  promote(id: bigint, deadlineMs: number, done: ChangeDone): void {
    const { env, limits } = this.#parts;
    this.#forward(id, Math.min(deadlineMs, env.monotonicMs() + limits.requestTimeoutMs), done);
  }

  moveLeader(to: bigint, deadlineMs: number, done: ChangeDone): void {
    const { env, limits, memberId, members } = this.#parts;
    if (this.#parts.leader() !== memberId) {
      done(new DomainError('NOT_LEADER'));
      return;
    }
    const target = members.get(to);
    if (target === null || target.isLearner) {
      done(new DomainError('BAD_LEADER_TRANSFEREE'));
      return;
    }
    if (to === memberId) {
      done(null);
      return;
    }
    const result = this.#parts.transfer(to);
    if (!result.accepted) {
      done(new DomainError(result.reason === 'no-leader' ? 'NO_LEADER' : 'BAD_LEADER_TRANSFEREE'));
      return;
    }
    // Raft gives a transfer up after an election timeout; the old leader leads on then.
    const patienceMs = Math.max(0, Math.min(limits.requestTimeoutMs, deadlineMs - env.monotonicMs()));
    const timer = env.setTimer(patienceMs, () =>
      this.#endMove(move, new DomainError('TIMEOUT_LEADER_TRANSFER')),
    );
    const move: Move = { to, timer, done };
    this.#moves.add(move);
  }

  downgrade(
    action: 'validate' | 'enable' | 'cancel',
    target: string,
    deadlineMs: number,
    done: (error: Error | null, clusterVersion: string) => void,
  ): void {
    const { members } = this.#parts;
    const answer = (error: Error | null): void =>
      done(error, error === null ? majorMinor(members.clusterVersion ?? '') : '');
    // What the cluster agreed on, not what this member has heard of.
    this.#parts.confirmRead(deadlineMs, (error) => {
      if (error !== null) {
        answer(error);
        return;
      }
      if (action === 'cancel') {
        // Nothing to cancel is a success since etcd 3.6 (sem-195).
        if (members.downgradeTarget === null) {
          answer(null);
          return;
        }
        return this.#parts.propose({ kind: 'downgrade', target: null }, deadlineMs, answer);
      }
      const release = downgradeTargetOf(target, members.clusterVersion);
      if (release instanceof DomainError) {
        answer(release);
        return;
      }
      if (members.downgradeTarget !== null) {
        answer(new DomainError('DOWNGRADE_IN_PROCESS'));
        return;
      }
      if (action === 'validate') {
        answer(null);
        return;
      }
      this.#parts.propose({ kind: 'downgrade', target: release }, deadlineMs, answer);
    });
  }

  /** Before a leader stops: to the voter it has been connected to for longest. @param done at the latest after an election timeout */
  handOver(done: () => void): void {
    const { network, memberId, members, env, limits } = this.#parts;
    let heir: { id: bigint; sinceMs: number } | null = null;
    for (const { id, isLearner } of members.list()) {
      const sinceMs = id === memberId || isLearner ? null : network.connectedSince(id);
      if (sinceMs !== null && (heir === null || sinceMs < heir.sinceMs)) heir = { id, sinceMs };
    }
    if (heir === null) {
      done();
      return;
    }
    env.log.log('info', 'handing leadership over', {
      'member-id': formatId(memberId),
      to: formatId(heir.id),
    });
    this.moveLeader(heir.id, env.monotonicMs() + limits.electionTimeoutMs, () => done());
  }

  /** Learners promoted by this member while it led, and those that were not, by reason. */
  get promotions(): { readonly successes: number; readonly failures: ReadonlyMap<string, number> } {
    return { successes: this.#promotions, failures: this.#promotionFailures };
  }

  close(): void {
    this.#closed = true;
    for (const move of [...this.#moves]) this.#endMove(move, new DomainError('SERVER_STOPPED'));
  }

  #endMove(move: Move, error: Error | null): void {
    if (!this.#moves.delete(move)) return;
    move.timer.cancel();
    move.done(error);
  }

  /** The leader decides: it alone knows how far a learner has come. Asked again while there is none. */
  #forward(id: bigint, deadlineMs: number, done: ChangeDone): void {
    const { env, memberId, network } = this.#parts;
    if (this.#closed) {
      done(new DomainError('SERVER_STOPPED'));
      return;
    }
    const leader = this.#parts.leader();
    const leftMs = deadlineMs - env.monotonicMs();
    if (leader === memberId) {
      this.#promoteCounted(id, deadlineMs, done);
      return;
    }
    if (leftMs <= 0) {
      done(new DomainError(leader === 0n ? 'NO_LEADER' : 'REQUEST_TIMED_OUT'));
      return;
    }
    const again = (): void => {
      env.setTimer(Math.min(FORWARD_RETRY_MS, leftMs), () => this.#forward(id, deadlineMs, done));
    };
    if (leader === 0n) {
      again();
      return;
    }
    callPromote(network, leader, id, leftMs, (answer) => {
      // No answer, or no leader any more: whether it acted is unknown, and asking twice does no harm.
      if (answer === 'unanswered') again();
      else if (answer !== null) done(answer);
      // It is done, and shows here too when its caller hears of it; whether that can be confirmed changes nothing.
      else this.#parts.confirmRead(deadlineMs, () => done(null));
    });
  }

  /** Counted where it is decided, as etcd does: by a member that leads. */
  #promoteCounted(id: bigint, deadlineMs: number, done: ChangeDone): void {
    this.#promoteHere(id, deadlineMs, (error) => {
      if (error === null) this.#promotions++;
      else if (!(error instanceof DomainError && error.code === 'NOT_LEADER')) {
        const failures = this.#promotionFailures;
        const reason = error instanceof DomainError ? errorFacts[error.code].message : error.message;
        failures.set(reason, (failures.get(reason) ?? 0) + 1);
      }
      done(error);
    });
  }

  #promoteHere(id: bigint, deadlineMs: number, done: ChangeDone): void {
    const status = this.#parts.status();
    if (status.role !== 'leader') {
      done(new DomainError('NOT_LEADER'));
      return;
    }
    const learner = status.progress.find((progress) => progress.id === id);
    if (learner === undefined) {
      done(new DomainError('MEMBER_NOT_FOUND'));
      return;
    }
    const own = status.progress.find((progress) => progress.id === status.id);
    const target = this.#parts.members.get(id);
    const behind = learner.match < (own?.match ?? status.lastIndex) * READY_SHARE;
    if (target?.isLearner && (behind || !learner.recentlyActive)) {
      done(new DomainError('LEARNER_NOT_READY'));
      return;
    }
    const refusal = this.#parts.config.strictReconfigCheck ? refusePromote(this.#view()) : null;
    if (target?.isLearner && this.#refused('promote', refusal, done)) return;
    this.#parts.change({ kind: 'promote', id }, deadlineMs, done);
  }

  #refused(what: string, refusal: Refusal | null, done: ChangeDone): boolean {
    if (refusal === null) return false;
    this.#parts.env.log.log('warn', 'refused a change of members that could cost the quorum', {
      change: what,
      reason: refusal.reason,
    });
    done(new DomainError(refusal.code));
    return true;
  }

  #view(): QuorumView {
    const { env, network, members, memberId } = this.#parts;
    const nowMs = env.monotonicMs();
    return {
      members: members.list(),
      self: memberId,
      connected: (id) => network.connectedSince(id) !== null,
      connectedLong: (id) => {
        const sinceMs = network.connectedSince(id);
        return sinceMs !== null && nowMs - sinceMs >= HEALTH_INTERVAL_MS;
      },
    };
  }
}
