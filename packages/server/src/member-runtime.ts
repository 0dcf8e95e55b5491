/**
 * A running member as others hold it: `Member`, and what `start-member.ts` needs besides.
 *
 * Everything that happens is in `runtime/`: `core.ts` puts the parts together, `life.ts` shows the way from start to end.
 */
import type { EventBatch, Store } from '@quorate/mvcc';
import type { ConfState } from '@quorate/raft';
import type { ProposalDone } from './consensus/proposals.ts';
import type { ReadDone } from './consensus/reads.ts';
import type { Env } from './env.ts';
import type { Histogram } from './histogram.ts';
import type { Lessor } from './lease/lessor.ts';
import type { ClusterAdmin, Member, MemberCounts, MemberInfo, MemberLimits } from './member.ts';
import type { Network } from './network.ts';
import type { Operation } from './operations.ts';
import { MemberCore } from './runtime/core.ts';
import type { MemberParts } from './runtime/parts.ts';
import type { TurnEnd } from './turn-end.ts';

export class MemberRuntime implements Member {
  readonly env: Env;
  readonly turnEnd: TurnEnd;
  readonly store: Store;
  readonly network: Network;
  readonly limits: MemberLimits;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly cluster: ClusterAdmin;
  readonly stopped: Promise<Error | null>;
  readonly #core: MemberCore;
  /** What `#isLearner` is true of: every call asks, and looks ids up otherwise. */
  #conf: ConfState | null = null;
  #isLearner = true;

  constructor(parts: MemberParts) {
    this.env = parts.env;
    this.turnEnd = parts.turnEnd;
    this.store = parts.store;
    this.network = parts.network;
    this.limits = parts.limits;
    this.clusterId = parts.clusterId;
    this.memberId = parts.memberId;
    this.#core = new MemberCore(parts);
    this.cluster = this.#core.admin;
    this.stopped = this.#core.life.stopped;
  }

  /** Begins to take part; resolves when requests can be answered. @param lessor made over this member */
  start(lessor: Lessor): Promise<void> {
    return this.#core.start(lessor);
  }

  stop(): Promise<void> {
    return this.#core.life.stop();
  }

  abort(error: Error): void {
    this.#core.life.fatal(error);
  }

  /** A member of the cluster says that this one is no longer part of it. */
  removedBy(by: bigint): void {
    this.#core.removedBy(by);
  }

  propose(operation: Operation, encodedBytes: number, deadlineMs: number, done: ProposalDone): void {
    this.#core.requests.propose(operation, encodedBytes, deadlineMs, done);
  }

  confirmRead(deadlineMs: number, done: ReadDone): void {
    this.#core.requests.confirmRead(deadlineMs, done);
  }

  get lessor(): Lessor {
    const { lessor } = this.#core;
    if (lessor === null) throw new Error('the member has not been started');
    return lessor;
  }

  get ended(): boolean {
    return this.#core.life.phase === 'ended';
  }

  get term(): number {
    return this.#core.replica.driver.term;
  }

  get leader(): bigint {
    return this.#core.replica.driver.leader;
  }

  get committedIndex(): number {
    return this.#core.replica.driver.committedIndex;
  }

  get appliedIndex(): number {
    return this.#core.replica.appliedIndex;
  }

  get isLearner(): boolean {
    const conf = this.#core.parts.confs.current;
    if (conf !== this.#conf) {
      this.#conf = conf;
      this.#isLearner = conf === null || !conf.voters.includes(this.memberId);
    }
    return this.#isLearner;
  }

  get pendingProposals(): number {
    return this.#core.requests.proposals.size;
  }

  get syncSeconds(): Histogram {
    return this.#core.replica.driver.syncSeconds;
  }

  get commitSeconds(): Histogram {
    return this.#core.parts.commitSeconds;
  }

  counts(): MemberCounts {
    const { requests, replica, admin, parts } = this.#core;
    return {
      proposalsFailed: requests.proposals.failedTotal,
      readsFailed: requests.reads.failedTotal,
      slowReadRounds: requests.reads.slowRoundsTotal,
      slowApplies: replica.slowAppliesTotal,
      lateHeartbeats: replica.lateHeartbeatsTotal,
      logBytes: parts.wal.writtenBytes,
      isInstalling: replica.isInstalling,
      promotions: admin.promotions,
    };
  }

  get clusterVersion(): string | null {
    return this.#core.parts.members.clusterVersion;
  }

  get downgradeTarget(): string | null {
    return this.#core.parts.members.downgradeTarget;
  }

  members(): readonly MemberInfo[] {
    return this.#core.parts.members.list();
  }

  alarms(): readonly { readonly memberId: bigint; readonly alarm: number }[] {
    return this.#core.parts.alarms.list();
  }

  onApplied(listener: (batch: EventBatch) => void): void {
    this.#core.onApplied.add(listener);
  }

  onLeaderChange(listener: (leader: bigint) => void): void {
    this.#core.onLeaderChange.add(listener);
  }

  onStoreReplaced(listener: () => void): void {
    this.#core.onStoreReplaced.add(listener);
  }
}
