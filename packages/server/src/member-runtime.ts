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
import {
  type ConfState,
  type Entry,
  encodeConfChange,
  NONE,
  type RawNode,
  type SnapshotMeta,
  type SoftState,
} from '@quorate/raft';
import type { Disk, Wal } from '@quorate/wal';
import { AlarmKind, type Alarms } from './alarms.ts';
import type { Applied, Applier } from './apply/applier.ts';
import { ApplyLoop } from './apply/apply-loop.ts';
import { Driver } from './consensus/driver.ts';
import { checkPassedOn, encodeChecked } from './consensus/entry-check.ts';
import { EntryError } from './consensus/entry-codec.ts';
import { HeadStart } from './consensus/head-start.ts';
import { Installer } from './consensus/installer.ts';
import { LogRelease } from './consensus/log-release.ts';
import { type ProposalDone, Proposals } from './consensus/proposals.ts';
import { type ReadDone, Reads } from './consensus/reads.ts';
import type { SnapshotImages } from './consensus/snapshot-images.ts';
import { timeoutReason } from './consensus/timeout-reason.ts';
import type { WalStorage } from './consensus/wal-storage.ts';
import type { Env } from './env.ts';
import { DomainError } from './errors.ts';
import type { Failpoint } from './failpoints.ts';
import type { Histogram } from './histogram.ts';
import { CorruptionCheck, NO_CORRUPTION_CHECKS } from './integrity/corruption-check.ts';
import type { StateHash } from './integrity/state-hash.ts';
import { StateMonitor } from './integrity/state-monitor.ts';
import { NOBODY_KNOWS } from './integrity/verdict.ts';
import type { Lessor } from './lease/lessor.ts';
import {
  type ClusterAdmin,
  type Member,
  type MemberInfo,
  type MemberLimits,
  MemberRemovedError,
} from './member.ts';
import { electionTicksOf, type MemberConfig } from './member-config.ts';
import { MembershipAdmin } from './membership/admin.ts';
import { type DecodedChange, encodeChange, type MembershipChange } from './membership/change.ts';
import type { ConfHistory } from './membership/conf-history.ts';
import { formatId } from './membership/ids.ts';
import type { Members } from './membership/members.ts';
import { Peers } from './membership/peers.ts';
import { VersionMonitor } from './membership/version-monitor.ts';
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
  readonly disk: Disk;
  readonly node: RawNode;
  readonly wal: Wal;
  readonly storage: WalStorage;
  readonly images: SnapshotImages;
  readonly store: Store;
  readonly alarms: Alarms;
  readonly members: Members;
  readonly confs: ConfHistory;
  /** Those to talk to before anything is applied that says so. */
  readonly initialPeers: readonly MemberInfo[];
  readonly applier: Applier;
  readonly stateHash: StateHash;
  /** What this server runs: `MAJOR.MINOR.PATCH`. */
  readonly serverVersion: string;
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
/** Ends of leases get through when requests do not: they are small, bounded by the lessor, and clients wait for them. */
const EXPIRY_PRIORITY = 2;
/** A removed member answers whoever asked for it before it stops. */
const REMOVED_DELAY_MS = 1_000;
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
  readonly #installer: Installer;
  readonly #headStart: HeadStart | null;
  readonly #admin: MembershipAdmin;
  readonly #peers: Peers;
  readonly #versions: VersionMonitor;
  readonly #states: StateMonitor;
  readonly #corruption: CorruptionCheck;
  #lessor: Lessor | null = null;
  #phase: Phase = 'starting';
  readonly #appliedListeners: ((batch: EventBatch) => void)[] = [];
  readonly #leaderListeners: ((leader: bigint) => void)[] = [];
  readonly #replacedListeners: (() => void)[] = [];
  #leaderElectedMs = Number.NEGATIVE_INFINITY;
  /** Requests refused for want of space that wait until the alarm says so to everybody (sem-176). */
  #awaitingAlarm: (() => void)[] = [];
  #publishing = false;
  #leaving = false;
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
        onConfChangeApplied: (entry, decoded, applied) => this.#confChangeApplied(entry, decoded, applied),
        onProgress: (index) => this.#progressed(index),
        onFatal: (error) => this.#fatal(error),
      },
      store.appliedIndex,
    );
    this.#installer = new Installer({
      store,
      disk: parts.disk,
      dataDirectory: config.dataDirectory,
      failpoint: parts.failpoint,
      pauseApplying: () => this.#loop.clear(),
      reload: (meta) => this.#reload(meta),
    });
    this.#headStart = config.advanceFirstElection
      ? new HeadStart({
          env,
          node: parts.node,
          network: parts.network,
          electionTicks: electionTicksOf(config),
        })
      : null;
    this.#driver = new Driver(
      {
        node: parts.node,
        wal: parts.wal,
        storage: parts.storage,
        images: parts.images,
        store,
        network: parts.network,
        env,
        proposals: this.#proposals,
        reads: this.#reads,
        failpoint: parts.failpoint,
      },
      { tickMs: config.heartbeatMs, committedIndex: parts.committedIndex },
      {
        checkPassedOn,
        onCommitted: (entries) => this.#loop.push(entries),
        onInstall: (meta, sink, done) => this.#installer.install(meta, sink, done),
        onInstalled: (meta) => this.#installed(meta),
        onSoftState: (state, previous) => this.#moved(state, previous),
        onTick: (nowMs) => this.#ticked(nowMs),
        onFatal: (error) => this.#fatal(error),
      },
    );
    this.#peers = new Peers({
      network: parts.network,
      env,
      memberId: parts.memberId,
      initial: parts.initialPeers,
      isRemoved: (id) => parts.members.isRemoved(id),
      farewellMs: 2 * parts.limits.electionTimeoutMs,
    });
    this.#versions = new VersionMonitor({
      env,
      network: parts.network,
      members: parts.members,
      memberId: parts.memberId,
      serverVersion: parts.serverVersion,
      propose: (operation, done) => this.#submit(operation, Number.POSITIVE_INFINITY, done),
    });
    this.#states = new StateMonitor({
      env,
      network: parts.network,
      memberId: parts.memberId,
      hash: parts.stateHash,
      voters: () => votersOf(this.#conf),
      members: () => parts.members.list().map(({ id }) => id),
      onDiverged: (error) => this.#fatal(error),
      onUndecided: (index) => {
        this.#log('error', 'members differ in their state and nobody can tell who is right', { index });
        this.#raiseCorrupt(NOBODY_KNOWS);
      },
    });
    this.#corruption = new CorruptionCheck({
      env,
      network: parts.network,
      store,
      memberId: parts.memberId,
      options: config.corruptionChecks ?? NO_CORRUPTION_CHECKS,
      members: () => parts.members.list().map(({ id }) => id),
      confirmRead: (deadlineMs, done) => this.confirmRead(deadlineMs, done),
      raise: (id) => this.#raiseCorrupt(id),
    });
    this.#admin = new MembershipAdmin({
      env,
      config,
      network: parts.network,
      members: parts.members,
      memberId: parts.memberId,
      limits: parts.limits,
      status: () => this.#driver.status(),
      leader: () => this.#driver.leader,
      confirmRead: (deadlineMs, done) => this.confirmRead(deadlineMs, done),
      transfer: (to) => this.#driver.transferLeadership(to),
      change: (change, deadlineMs, done) => this.#submitChange(change, deadlineMs, done),
      propose: (operation, deadlineMs, done) => this.#submit(operation, deadlineMs, done),
      onLeaderChange: (listener) => this.onLeaderChange(listener),
    });
    store.onFatal((error) => this.#fatal(error));
  }

  get cluster(): ClusterAdmin {
    return this.#admin;
  }

  get network(): Network {
    return this.#parts.network;
  }

  get downgradeTarget(): string | null {
    return this.#parts.members.downgradeTarget;
  }

  get #conf(): ConfState | null {
    return this.#parts.confs.current;
  }

  /** Begins to take part; resolves when requests can be answered. @param lessor made over this member */
  start(lessor: Lessor): Promise<void> {
    this.#lessor = lessor;
    return new Promise((resolve, reject) => {
      this.#onServing = resolve;
      void this.stopped.then((error) => reject(error ?? new DomainError('SERVER_STOPPED')));
      this.#peers.onRemoved(() => this.#removed());
      this.#peers.set(this.#parts.members.list());
      this.#corruption.initial((error) => {
        if (this.#phase === 'ended') return;
        if (error !== null) {
          this.#fatal(error);
          return;
        }
        this.#driver.start();
        this.#maybeServe();
      });
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
    return !(this.#conf?.voters.includes(this.memberId) ?? false);
  }

  get pendingProposals(): number {
    return this.#proposals.size;
  }

  get syncSeconds(): Histogram {
    return this.#driver.syncSeconds;
  }

  get ended(): boolean {
    return this.#phase === 'ended';
  }

  get clusterVersion(): string | null {
    return this.#parts.members.clusterVersion;
  }

  propose(operation: Operation, encodedBytes: number, deadlineMs: number, done: ProposalDone): void {
    const refusal = this.#refuse(encodedBytes, operation.kind === 'lease-expire' ? EXPIRY_PRIORITY : 1);
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

  onStoreReplaced(listener: () => void): void {
    this.#replacedListeners.push(listener);
  }

  /** A member of the cluster says that this one is no longer part of it. */
  removedBy(by: bigint): void {
    if (this.#phase === 'ended') return;
    this.#log('error', 'another member says that this one was removed from the cluster', {
      by: formatId(by),
    });
    this.#removed();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** The process is in a state nobody planned for (an uncaught error): stops answering at once. */
  abort(error: Error): void {
    this.#fatal(error);
  }

  /** @param patience how many times as much may wait before this one is refused */
  #refuse(encodedBytes: number, patience: number): DomainError | null {
    if (this.#phase === 'stopping' || this.#phase === 'ended') return new DomainError('SERVER_STOPPED');
    if (encodedBytes > this.limits.maxRequestBytes) return new DomainError('REQUEST_TOO_LARGE');
    const backlog = this.#driver.committedIndex - this.#loop.appliedIndex;
    const { size, bytes } = this.#proposals;
    const waits = size >= patience * MAX_WAITING_REQUESTS || bytes >= patience * MAX_WAITING_BYTES;
    return backlog > patience * MAX_APPLY_BACKLOG || waits ? new DomainError('TOO_MANY_REQUESTS') : null;
  }

  /** Encodes at once: nothing of `operation` is needed afterwards. */
  #submit(operation: Operation, deadlineMs: number, done: ProposalDone): void {
    const nowMs = this.env.monotonicMs();
    const sequence = this.#proposals.nextSequence();
    let data: Uint8Array;
    try {
      data = encodeChecked(this.#proposals.origin, sequence, operation);
    } catch (error) {
      if (!(error instanceof EntryError)) throw error;
      done(error, null);
      return;
    }
    const untilMs = Math.min(deadlineMs, nowMs + this.limits.requestTimeoutMs);
    this.#proposals.add(sequence, data, nowMs, untilMs, done);
    this.#driver.propose(sequence);
  }

  #publish(events: EventBatch): void {
    for (const listener of this.#appliedListeners) listener(events);
  }

  #answer(origin: number, sequence: number, data: Uint8Array, operation: Operation, applied: Applied): void {
    if (operation.kind === 'member-update' && applied.refusal === null) this.#memberUpdated();
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

  #submitChange(change: MembershipChange, deadlineMs: number, done: (error: Error | null) => void): void {
    if (this.#phase === 'stopping' || this.#phase === 'ended') {
      done(new DomainError('SERVER_STOPPED'));
      return;
    }
    const nowMs = this.env.monotonicMs();
    const { origin } = this.#proposals;
    const sequence = this.#proposals.nextSequence();
    const data = encodeConfChange(encodeChange({ origin, sequence }, change));
    const untilMs = Math.min(deadlineMs, nowMs + this.limits.requestTimeoutMs);
    this.#proposals.add(sequence, data, nowMs, untilMs, (error) => done(error));
    this.#driver.proposeConfChange(sequence);
  }

  #applyConfChange(entry: Entry): ConfState | null {
    const conf = this.#driver.applyConfChange(entry);
    if (conf !== null) {
      this.#parts.confs.changed(entry.index, conf);
      this.#release.confChanged(entry.index);
    }
    return conf;
  }

  #confChangeApplied(entry: Entry, { request, change }: DecodedChange, { refusal, outcome }: Applied): void {
    if (refusal === null && change !== null) {
      const { id, kind } = change;
      this.#log('info', 'membership changed', { change: kind, member: formatId(id) });
      this.#peers.set(this.#parts.members.list());
      if (kind === 'remove' && id === this.memberId) this.#removed();
    }
    if (request === null) return;
    this.#proposals.take(request.origin, request.sequence, entry.data)?.(refusal, outcome);
  }

  #memberUpdated(): void {
    this.#peers.set(this.#parts.members.list());
  }

  /** The others go on without this member; it stops after whoever asked for it has his answer. A leader hands over first. */
  #removed(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    const leave = (roundsLeft: number): void => {
      if (this.#driver.role === 'leader' && roundsLeft > 0) {
        this.env.setTimer(this.limits.electionTimeoutMs, () => leave(roundsLeft - 1));
        return;
      }
      const error = new MemberRemovedError();
      if (this.#phase !== 'ended') this.#log('error', error.message);
      void this.#end(error);
    };
    this.env.setTimer(REMOVED_DELAY_MS, () => leave(3));
  }

  /** Everything that mirrors the store reads it again. */
  #reload(meta: SnapshotMeta): void {
    const { members, alarms, confs, stateHash } = this.#parts;
    members.reload();
    alarms.reload();
    this.#lessor?.reload();
    stateHash.reload(this.store);
    this.#quota.forget();
    confs.restart(meta.index, members.conf ?? meta.conf);
    this.#loop.restartAt(meta.index);
  }

  #installed(meta: SnapshotMeta): void {
    const { members } = this.#parts;
    this.#installer.finished();
    this.#release.restartAt(meta.index);
    this.#log('info', 'installed a snapshot', { index: meta.index, revision: this.store.revision });
    this.#peers.set(members.list());
    for (const listener of this.#replacedListeners) listener();
    if (members.isRemoved(this.memberId)) this.#removed();
    this.#maybeServe();
  }

  #progressed(index: number): void {
    this.#driver.applied(index);
    this.#states.applied(index);
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
    this.#versions.lead(state.role === 'leader');
    this.#states.lead(state.role === 'leader');
    this.#corruption.lead(state.role === 'leader');
    this.#maybeServe();
    if (state.leader !== NONE) this.#publishAttributes();
  }

  #ticked(nowMs: number): void {
    this.#headStart?.tick(nowMs);
    this.#proposals.expire(nowMs, (startedMs) => this.#timeout(startedMs));
    // Reads get no reason, as in etcd (sem-016).
    this.#reads.expire(nowMs, () => new DomainError('REQUEST_TIMED_OUT'));
    this.#releaseLog(nowMs);
    this.#versions.tick(nowMs);
    this.#states.tick();
    this.#corruption.tick(nowMs);
    if (this.#driver.leader !== NONE) this.#publishAttributes();
    if (this.#proposals.size === 0) this.#onIdle?.();
  }

  #releaseLog(nowMs: number): void {
    const { images, confs, store } = this.#parts;
    const conf = this.#conf;
    if (conf === null) return;
    const alone = conf.voters.length + conf.learners.length <= 1;
    const progress = alone || this.#driver.role !== 'leader' ? [] : this.#driver.status().progress;
    images.tick(nowMs, progress);
    confs.forgetBefore(store.durableIndex);
    // A leader knows how far each of them is; the others keep what they may be asked for as the next leader.
    let wantedAfter = alone || progress.length > 0 ? Number.POSITIVE_INFINITY : 0;
    for (const { id, match } of progress)
      if (id !== this.memberId) wantedAfter = Math.min(wantedAfter, match);
    this.#release.tick(conf, wantedAfter, images.heldIndex);
  }

  #timeout(startedMs: number): DomainError {
    const { network, members } = this.#parts;
    const view = {
      network,
      self: this.memberId,
      leader: this.#driver.leader,
      members: members.list(),
      leaderElectedMs: this.#leaderElectedMs,
      electionTimeoutMs: this.limits.electionTimeoutMs,
    };
    return new DomainError(timeoutReason(view, startedMs));
  }

  #raiseNoSpace(then: () => void): void {
    const { alarms } = this.#parts;
    const isCrowded = this.#awaitingAlarm.length >= MAX_WAITING_REQUESTS;
    if (isCrowded || alarms.has(this.memberId, AlarmKind.noSpace) || this.#phase !== 'serving') {
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

  #raiseCorrupt(memberId: bigint): void {
    if (this.#parts.alarms.has(memberId, AlarmKind.corrupt) || this.#phase !== 'serving') return;
    const operation = { kind: 'alarm', action: 1, memberId, alarm: AlarmKind.corrupt } as const;
    // What fails is found and raised again.
    this.#submit(operation, Number.POSITIVE_INFINITY, () => {});
  }

  /** Tells the cluster this member's name and client URLs; repeated until it holds. */
  #publishAttributes(): void {
    const { members, config } = this.#parts;
    const own = members.get(this.memberId);
    // A learner's proposals travel like a voter's.
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
    }
  }

  async #stop(): Promise<void> {
    if (this.#phase === 'ended') return void (await this.stopped);
    this.#phase = 'stopping';
    this.#log('info', 'stopping', { waiting: this.#proposals.size + this.#reads.size });
    await this.#idle();
    await this.#handOver();
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

  /** A leader that stops leaves the others one, so that they need not wait for an election (sem-173). */
  #handOver(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#driver.role !== 'leader' || this.#phase === 'ended') resolve();
      else this.#admin.handOver(resolve);
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
    this.#installer.close();
    this.#lessor?.close();
    this.#versions.close();
    this.#states.close();
    this.#corruption.close();
    this.#peers.close();
    this.#admin.close();
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

/** Null while two configurations are in force. */
function votersOf(conf: ConfState | null): readonly bigint[] | null {
  return conf === null || conf.votersOutgoing.length > 0 ? null : conf.voters;
}
