/**
 * A running member: `Member` over the consensus driver, the applier and the store.
 *
 * Life: `starting` (what the log holds is applied again) -> `serving` -> `stopping` (no new requests; those under way
 * end) -> `ended`. A fatal error leads to `ended` from anywhere: every waiting request is told that the server stopped,
 * nothing more is written or answered, and `stopped` says why. Whatever was acknowledged is durable in the log by then;
 * the next start applies it again.
 *
 * Who calls whom: services -> propose/confirmRead -> driver -> log, applier -> `#answer` -> services.
 */
import type { EventBatch, Store } from '@quorate/mvcc';
import { type ConfState, type Entry, NONE, type RawNode, type SoftState } from '@quorate/raft';
import type { Wal } from '@quorate/wal';
import { AlarmKind, type Alarms } from './alarms.ts';
import type { Applied, Applier } from './apply/applier.ts';
import { ApplyLoop } from './apply/apply-loop.ts';
import { Driver } from './consensus/driver.ts';
import { encodeEntry } from './consensus/entry-codec.ts';
import { LogRelease } from './consensus/log-release.ts';
import { type ProposalDone, Proposals } from './consensus/proposals.ts';
import { type ReadDone, Reads } from './consensus/reads.ts';
import type { Env } from './env.ts';
import { DomainError } from './errors.ts';
import type { Failpoint } from './failpoints.ts';
import type { Lessor } from './lease/lessor.ts';
import type { Member, MemberInfo, MemberLimits } from './member.ts';
import type { MemberConfig } from './member-config.ts';
import { formatId } from './membership/ids.ts';
import type { Members } from './membership/members.ts';
import type { Network } from './network.ts';
import type { Operation } from './operations.ts';
import { costBytes, Quota } from './quota.ts';

export interface MemberParts {
  readonly config: MemberConfig;
  readonly limits: MemberLimits;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly env: Env;
  readonly network: Network;
  readonly failpoint: Failpoint;
  readonly node: RawNode;
  readonly wal: Wal;
  readonly store: Store;
  readonly alarms: Alarms;
  readonly members: Members;
  readonly applier: Applier;
  /** The release of the cluster to publish when this member is alone. */
  readonly clusterVersion: string;
  /** As recovered from the log. */
  readonly committedIndex: number;
  /** End of the log as recovered. */
  readonly lastIndex: number;
  /** Gives up the data folder, after log and store are closed. */
  readonly releaseFolder: () => void;
}

type Phase = 'starting' | 'serving' | 'stopping' | 'ended';

/** Requests wait here while there is no leader or the disk is slow; beyond this they are refused (sem-013). */
const MAX_WAITING_REQUESTS = 50_000;
const MAX_WAITING_BYTES = 256 * 1024 * 1024;
/** Committed entries that may wait to be applied before new proposals are refused (sem-013). */
const MAX_APPLY_BACKLOG = 5000;
/** What a stop waits for requests under way. */
const STOP_PATIENCE_MS = 3000;

export class MemberRuntime implements Member {
  readonly env: Env;
  readonly store: Store;
  readonly limits: MemberLimits;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly stopped: Promise<Error | null>;

  readonly #parts: MemberParts;
  readonly #driver: Driver;
  readonly #loop: ApplyLoop;
  readonly #proposals: Proposals;
  readonly #reads = new Reads();
  readonly #quota: Quota;
  readonly #release: LogRelease;
  #lessor: Lessor | null = null;
  #phase: Phase = 'starting';
  readonly #appliedListeners: ((batch: EventBatch) => void)[] = [];
  readonly #leaderListeners: ((leader: bigint) => void)[] = [];
  #conf: ConfState | null;
  #leaderElectedMs = Number.NEGATIVE_INFINITY;
  /** Requests refused for want of space that wait until the alarm says so to everybody (sem-176). */
  #awaitingAlarm: (() => void)[] = [];
  #publishing = false;
  #onServing: (() => void) | null = null;
  #onIdle: (() => void) | null = null;
  #resolveStopped: (error: Error | null) => void = () => {};
  #stopping: Promise<void> | null = null;

  constructor(parts: MemberParts) {
    const { env, store, config } = parts;
    this.#parts = parts;
    this.env = env;
    this.store = store;
    this.limits = parts.limits;
    this.clusterId = parts.clusterId;
    this.memberId = parts.memberId;
    this.#conf = parts.members.conf;
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    this.#proposals = new Proposals(env.randomInt(2 ** 32));
    this.#quota = new Quota(parts.limits.quotaBytes, env, () => store.sizes().totalBytes);
    this.#release = new LogRelease(parts.wal, store, config, parts.failpoint);
    this.#loop = new ApplyLoop(
      parts.applier,
      env,
      {
        onEvents: (events) => this.#publish(events),
        onOutcome: (origin, sequence, data, operation, applied) =>
          this.#answer(origin, sequence, data, operation, applied),
        onConfChange: (entry) => this.#applyConfChange(entry),
        onProgress: (index) => this.#progressed(index),
        onFatal: (error) => this.#fatal(error),
      },
      store.appliedIndex,
    );
    this.#driver = new Driver(
      {
        node: parts.node,
        wal: parts.wal,
        network: parts.network,
        env,
        proposals: this.#proposals,
        reads: this.#reads,
        failpoint: parts.failpoint,
      },
      { tickMs: config.heartbeatMs, committedIndex: parts.committedIndex },
      {
        onCommitted: (entries) => this.#loop.push(entries),
        onSoftState: (state, previous) => this.#moved(state, previous),
        onTick: (nowMs) => this.#ticked(nowMs),
        onFatal: (error) => this.#fatal(error),
      },
    );
    store.onFatal((error) => this.#fatal(error));
  }

  /** Begins to take part; resolves when requests can be answered. @param lessor made over this member */
  start(lessor: Lessor): Promise<void> {
    this.#lessor = lessor;
    return new Promise((resolve, reject) => {
      this.#onServing = resolve;
      void this.stopped.then((error) => reject(error ?? new DomainError('SERVER_STOPPED')));
      this.#driver.start();
      this.#maybeServe();
    });
  }

  get lessor(): Lessor {
    if (this.#lessor === null) throw new Error('the member has not been started');
    return this.#lessor;
  }

  get term(): number {
    return this.#driver.term;
  }

  get leader(): bigint {
    return this.#driver.leader;
  }

  get committedIndex(): number {
    return this.#driver.committedIndex;
  }

  get appliedIndex(): number {
    return this.#loop.appliedIndex;
  }

  get isLearner(): boolean {
    return this.#conf?.learners.includes(this.memberId) ?? false;
  }

  get ended(): boolean {
    return this.#phase === 'ended';
  }

  get clusterVersion(): string | null {
    return this.#parts.members.clusterVersion;
  }

  propose(operation: Operation, encodedBytes: number, deadlineMs: number, done: ProposalDone): void {
    const refusal = this.#refuse(encodedBytes);
    if (refusal !== null) {
      done(refusal, null);
      return;
    }
    if (!this.#quota.fits(costBytes(operation))) {
      this.#raiseNoSpace(() => done(new DomainError('NO_SPACE'), null));
      return;
    }
    this.#submit(operation, deadlineMs, done);
  }

  confirmRead(deadlineMs: number, done: ReadDone): void {
    if (this.#phase === 'stopping' || this.#phase === 'ended') {
      done(new DomainError('SERVER_STOPPED'));
      return;
    }
    const nowMs = this.env.monotonicMs();
    this.#reads.add(nowMs, Math.min(deadlineMs, nowMs + this.limits.requestTimeoutMs), done);
    this.#driver.readsWait();
  }

  members(): readonly MemberInfo[] {
    return this.#parts.members.list();
  }

  alarms(): readonly { readonly memberId: bigint; readonly alarm: number }[] {
    return this.#parts.alarms.list();
  }

  onApplied(listener: (batch: EventBatch) => void): void {
    this.#appliedListeners.push(listener);
  }

  onLeaderChange(listener: (leader: bigint) => void): void {
    this.#leaderListeners.push(listener);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** The process is in a state nobody planned for (an uncaught error): stops answering at once. */
  abort(error: Error): void {
    this.#fatal(error);
  }

  #refuse(encodedBytes: number): DomainError | null {
    if (this.#phase === 'stopping' || this.#phase === 'ended') return new DomainError('SERVER_STOPPED');
    if (encodedBytes > this.limits.maxRequestBytes) return new DomainError('REQUEST_TOO_LARGE');
    const backlog = this.#driver.committedIndex - this.#loop.appliedIndex;
    const waits = this.#proposals.size >= MAX_WAITING_REQUESTS || this.#proposals.bytes >= MAX_WAITING_BYTES;
    return backlog > MAX_APPLY_BACKLOG || waits ? new DomainError('TOO_MANY_REQUESTS') : null;
  }

  /** Encodes at once: nothing of `operation` is needed afterwards. */
  #submit(operation: Operation, deadlineMs: number, done: ProposalDone): void {
    const nowMs = this.env.monotonicMs();
    const sequence = this.#proposals.nextSequence();
    const data = encodeEntry(this.#proposals.origin, sequence, operation);
    const untilMs = Math.min(deadlineMs, nowMs + this.limits.requestTimeoutMs);
    this.#proposals.add(sequence, data, nowMs, untilMs, done);
    this.#driver.propose(sequence);
  }

  #publish(events: EventBatch): void {
    for (const listener of this.#appliedListeners) listener(events);
  }

  #answer(origin: number, sequence: number, data: Uint8Array, operation: Operation, applied: Applied): void {
    const done = this.#proposals.take(origin, sequence, data);
    if (done === null) return;
    this.#parts.failpoint('beforeAnswer');
    if (applied.refusal === null && !this.#quota.fits(costBytes(operation))) {
      // It is written, and yet refused: those who fill the last page must not go unwarned (sem-177).
      this.#raiseNoSpace(() => done(new DomainError('NO_SPACE'), null));
    } else {
      done(applied.refusal, applied.outcome);
    }
    if (this.#proposals.size === 0) this.#onIdle?.();
  }

  #applyConfChange(entry: Entry): ConfState | null {
    const conf = this.#driver.applyConfChange(entry);
    if (conf !== null) {
      this.#conf = conf;
      this.#release.confChanged(entry.index);
    }
    return conf;
  }

  #progressed(index: number): void {
    this.#driver.applied(index);
    this.#maybeServe();
  }

  /**
   * A member serves once it has applied what it knew to be committed. A cluster of one leads then, and has applied its
   * whole log: what it acknowledged before it was ended is there for reads that ask nobody, too.
   */
  #maybeServe(): void {
    if (this.#phase !== 'starting' || this.#loop.appliedIndex < this.#parts.committedIndex) return;
    const alone = this.#conf?.voters.length === 1 && this.#conf.voters[0] === this.memberId;
    if (alone && (this.#driver.role !== 'leader' || this.#loop.appliedIndex < this.#parts.lastIndex)) return;
    this.#phase = 'serving';
    this.#log('info', 'ready to serve requests', { 'applied-index': this.#loop.appliedIndex });
    this.#onServing?.();
    if (this.#driver.leader !== NONE) this.#publishAttributes();
  }

  #moved(state: SoftState, previous: SoftState): void {
    if (state.leader !== previous.leader) {
      if (state.leader !== NONE) this.#leaderElectedMs = this.env.monotonicMs();
      this.#log('info', 'leader changed', { leader: formatId(state.leader), term: this.#driver.term });
      for (const listener of this.#leaderListeners) listener(state.leader);
    }
    if (state.role === 'leader' && previous.role !== 'leader') {
      this.#lessor?.promote(this.limits.electionTimeoutMs);
    } else if (state.role !== 'leader' && previous.role === 'leader') {
      this.#lessor?.demote();
    }
    this.#maybeServe();
    if (state.leader !== NONE) this.#publishAttributes();
  }

  #ticked(nowMs: number): void {
    const timeoutOf = (startedMs: number) => this.#timeout(startedMs);
    this.#proposals.expire(nowMs, timeoutOf);
    this.#reads.expire(nowMs, timeoutOf);
    const followers = (this.#conf?.voters.length ?? 0) + (this.#conf?.learners.length ?? 0) > 1;
    if (this.#conf !== null) this.#release.tick(this.#conf, followers);
    if (this.#driver.leader !== NONE) this.#publishAttributes();
    if (this.#proposals.size === 0) this.#onIdle?.();
  }

  /** Why a request that began at `startedMs` was not answered in time (sem-017). */
  #timeout(startedMs: number): DomainError {
    const elected = this.#leaderElectedMs;
    const afterLoss = startedMs > elected - 2 * this.limits.electionTimeoutMs && startedMs < elected;
    return new DomainError(afterLoss ? 'TIMEOUT_DUE_TO_LEADER_FAIL' : 'REQUEST_TIMED_OUT');
  }

  #raiseNoSpace(then: () => void): void {
    const { alarms } = this.#parts;
    if (alarms.has(this.memberId, AlarmKind.noSpace) || this.#phase !== 'serving') {
      then();
      return;
    }
    this.#awaitingAlarm.push(then);
    if (this.#awaitingAlarm.length > 1) return;
    this.#log('warn', 'the database exceeds its quota', { 'quota-bytes': this.limits.quotaBytes });
    const operation = {
      kind: 'alarm',
      action: 1,
      memberId: this.memberId,
      alarm: AlarmKind.noSpace,
    } as const;
    this.#submit(operation, Number.POSITIVE_INFINITY, () => {
      const waiting = this.#awaitingAlarm;
      this.#awaitingAlarm = [];
      for (const one of waiting) one();
    });
  }

  /** Tells the cluster this member's name and client URLs, and its version when alone; repeated until it holds. */
  #publishAttributes(): void {
    const { members, config, clusterVersion } = this.#parts;
    const own = members.get(this.memberId);
    if (this.#publishing || this.#phase !== 'serving' || own === null) return;
    const published = (error: Error | null) => {
      this.#publishing = false;
      // What failed is tried again with the next tick.
      if (error === null) this.#publishAttributes();
    };
    if (own.name !== config.name || own.clientUrls.join() !== config.clientUrls.join()) {
      this.#publishing = true;
      const { name, clientUrls } = config;
      const operation = { kind: 'member-attributes', memberId: this.memberId, name, clientUrls } as const;
      this.#submit(operation, Number.POSITIVE_INFINITY, published);
    } else if (members.clusterVersion !== clusterVersion && members.list().length === 1) {
      this.#publishing = true;
      this.#submit({ kind: 'cluster-version', version: clusterVersion }, Number.POSITIVE_INFINITY, published);
    }
  }

  async #stop(): Promise<void> {
    if (this.#phase === 'ended') return void (await this.stopped);
    this.#phase = 'stopping';
    this.#log('info', 'stopping', { waiting: this.#proposals.size + this.#reads.size });
    await this.#idle();
    await this.#end(null);
  }

  /** Until no request is under way, or patience ends. */
  #idle(): Promise<void> {
    if (this.#proposals.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.env.setTimer(STOP_PATIENCE_MS, resolve);
      this.#onIdle = () => {
        timer.cancel();
        resolve();
      };
      void this.stopped.then(() => this.#onIdle?.());
    });
  }

  #fatal(error: Error): void {
    if (this.#phase === 'ended') return;
    this.#log('fatal', 'the member cannot go on', { error, stack: error.stack });
    void this.#end(error);
  }

  /** Nothing is answered or applied from here on; log, store and folder are closed, whatever each of them says. */
  async #end(error: Error | null): Promise<void> {
    if (this.#phase === 'ended') return void (await this.stopped);
    this.#phase = 'ended';
    this.#driver.end();
    this.#loop.end();
    this.#lessor?.close();
    const reason = new DomainError('SERVER_STOPPED');
    this.#proposals.failAll(reason);
    this.#reads.failAll(reason);
    const { network, wal, store, releaseFolder } = this.#parts;
    let failure = error;
    for (const close of [() => network.close(), () => wal.close(), () => store.close()]) {
      try {
        await close();
      } catch (cause) {
        failure ??= cause as Error;
        this.#log('error', 'closing failed', { error: cause });
      }
    }
    releaseFolder();
    this.#log('info', 'stopped');
    this.#resolveStopped(failure);
  }

  #log(level: 'info' | 'warn' | 'error' | 'fatal', message: string, fields?: Record<string, unknown>): void {
    this.env.log.log(level, message, { 'member-id': formatId(this.memberId), ...fields });
  }
}
