/**
 * The parts of a running member, put together: what one of them says is passed to the others.
 *
 *     life.ts       starting, serving, stopping, ended            own-alarms.ts   NOSPACE and CORRUPT, raised here
 *     requests.ts   from `propose` to the answer, and reads       attributes.ts   this member's name and URLs, told to all
 *     replica.ts    what is committed is applied                  monitors.ts     versions, state hashes, corruption checks
 *
 * Who calls whom: requests -> replica (driver -> log, applier) -> `requests.applied` -> who waits.
 */
import type { EventBatch } from '@quorate/mvcc';
import { type Entry, NONE, type SnapshotMeta, type SoftState } from '@quorate/raft';
import type { Applied } from '../apply/applier.ts';
import type { ReadDone } from '../consensus/reads.ts';
import { timeoutReason } from '../consensus/timeout-reason.ts';
import { DomainError } from '../errors.ts';
import type { Lessor } from '../lease/lessor.ts';
import { MembershipAdmin } from '../membership/admin.ts';
import type { DecodedChange } from '../membership/change.ts';
import { formatId } from '../membership/ids.ts';
import { Peers } from '../membership/peers.ts';
import type { Operation } from '../operations.ts';
import { Quota } from '../quota.ts';
import { Attributes } from './attributes.ts';
import { Life } from './life.ts';
import { Listeners } from './listeners.ts';
import { Monitors } from './monitors.ts';
import { OwnAlarms } from './own-alarms.ts';
import { type MemberLog, type MemberParts, memberLog } from './parts.ts';
import { Replica } from './replica.ts';
import { Requests } from './requests.ts';

export class MemberCore {
  readonly parts: MemberParts;
  readonly life: Life;
  readonly requests: Requests;
  readonly replica: Replica;
  readonly admin: MembershipAdmin;
  /** Null until the member is started: it is made over the member. */
  lessor: Lessor | null = null;
  readonly onApplied = new Listeners<EventBatch>();
  readonly onLeaderChange = new Listeners<bigint>();
  readonly onStoreReplaced = new Listeners<void>();

  readonly #log: MemberLog;
  readonly #quota: Quota;
  readonly #peers: Peers;
  readonly #attributes: Attributes;
  readonly #monitors: Monitors;
  #leaderElectedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: MemberParts) {
    const { env, store, config, limits, memberId, network, members, wal } = parts;
    this.parts = parts;
    this.#log = memberLog(parts);
    const onFatal = (error: Error): void => this.life.fatal(error);
    this.life = new Life({
      env,
      log: this.#log,
      electionTimeoutMs: limits.electionTimeoutMs,
      waitingRequests: () => this.requests.waiting,
      idle: (patienceMs) => this.requests.idle(patienceMs),
      isLeader: () => this.replica.isLeader,
      handOver: (done) => this.admin.handOver(done),
      cut: () => this.#cut(),
      closers: [() => network.close(), () => wal.close(), () => store.close()],
      release: parts.releaseFolder,
    });
    this.#quota = new Quota(limits.quotaBytes, env, () => store.sizes().totalBytes);
    const alarms = new OwnAlarms({
      alarms: parts.alarms,
      memberId,
      quotaBytes: limits.quotaBytes,
      log: this.#log,
      isServing: () => this.life.phase === 'serving',
      submit: (...args) => submit(...args),
    });
    this.requests = new Requests({
      env,
      limits,
      quota: this.#quota,
      failpoint: parts.failpoint,
      pipeline: () => this.replica.driver,
      appliedIndex: () => this.replica.appliedIndex,
      isClosing: () => this.life.isClosing,
      raiseNoSpace: (then) => alarms.raiseNoSpace(then),
    });
    const submit: Requests['submit'] = (...args) => this.requests.submit(...args);
    const confirmRead = (deadlineMs: number, done: ReadDone): void =>
      this.requests.confirmRead(deadlineMs, done);
    this.replica = new Replica(parts, this.requests, {
      onEvents: (events) => this.onApplied.tell(events),
      onOutcome: (...args) => this.#outcome(...args),
      onConfChangeApplied: (...args) => this.#confChangeApplied(...args),
      onProgress: (index) => this.#progressed(index),
      onSlow: (index, elapsedMs) =>
        this.#log('warn', 'applying took long', { index, 'took-ms': Math.round(elapsedMs) }),
      onReplaced: () => this.#reload(),
      onInstalled: (meta) => this.#installed(meta),
      onSoftState: (state, previous) => this.#moved(state, previous),
      onTick: (nowMs) => this.#ticked(nowMs),
      onFatal,
    });
    this.#peers = new Peers({
      network,
      env,
      memberId,
      initial: parts.initialPeers,
      isRemoved: (id) => members.isRemoved(id),
      farewellMs: 2 * limits.electionTimeoutMs,
    });
    this.#monitors = new Monitors(parts, {
      log: this.#log,
      submit,
      confirmRead,
      raiseCorrupt: (id) => alarms.raiseCorrupt(id),
      onFatal,
    });
    const { driver } = this.replica;
    this.admin = new MembershipAdmin({
      env,
      config,
      network,
      members,
      memberId,
      limits,
      status: () => driver.status(),
      leader: () => driver.leader,
      confirmRead,
      transfer: (to) => driver.transferLeadership(to),
      change: (...args) => this.requests.submitChange(...args),
      propose: submit,
      onLeaderChange: (listener) => this.onLeaderChange.add(listener),
    });
    this.#attributes = new Attributes({
      members,
      memberId,
      config,
      mayPublish: () => this.life.phase === 'serving' && driver.leader !== NONE,
      submit,
    });
    store.onFatal(onFatal);
  }

  /** Begins to take part; resolves when requests can be answered. */
  start(lessor: Lessor): Promise<void> {
    this.lessor = lessor;
    return this.life.start(() => {
      this.#peers.onRemoved(() => this.life.leave());
      this.#membersChanged();
      this.#monitors.checkInitially((error) => {
        if (this.life.phase === 'ended') return;
        if (error !== null) {
          this.life.fatal(error);
          return;
        }
        this.replica.driver.start();
        this.#maybeServe();
      });
    });
  }

  /** A member of the cluster says that this one is no longer part of it. */
  removedBy(by: bigint): void {
    if (this.life.phase === 'ended') return;
    const fields = { by: formatId(by) };
    this.#log('error', 'another member says that this one was removed from the cluster', fields);
    this.life.leave();
  }

  #outcome(origin: number, sequence: number, data: Uint8Array, operation: Operation, applied: Applied): void {
    if (operation.kind === 'member-update' && applied.refusal === null) this.#membersChanged();
    this.requests.applied(origin, sequence, data, operation, applied);
  }

  #confChangeApplied(entry: Entry, { request, change }: DecodedChange, { refusal, outcome }: Applied): void {
    if (refusal === null && change !== null) {
      const { id, kind } = change;
      this.#log('info', 'membership changed', { change: kind, member: formatId(id) });
      this.#membersChanged();
      if (kind === 'remove' && id === this.parts.memberId) this.life.leave();
    }
    if (request === null) return;
    this.requests.proposals.take(request.origin, request.sequence, entry.data)?.(refusal, outcome);
  }

  #membersChanged(): void {
    this.#peers.set(this.parts.members.list());
  }

  /** Everything that mirrors the store reads it again. */
  #reload(): void {
    const { alarms, stateHash, store } = this.parts;
    alarms.reload();
    this.lessor?.reload();
    stateHash.reload(store);
    this.#quota.forget();
  }

  #installed({ index }: SnapshotMeta): void {
    const { members, store, memberId } = this.parts;
    this.#log('info', 'installed a snapshot', { index, revision: store.revision });
    this.#membersChanged();
    this.onStoreReplaced.tell();
    if (members.isRemoved(memberId)) this.life.leave();
    this.#maybeServe();
  }

  #progressed(index: number): void {
    this.#monitors.applied(index);
    this.#maybeServe();
  }

  /**
   * A member serves once it has applied what it knew to be committed. A cluster of one leads then, and has applied its
   * whole log: what it acknowledged before it was ended is there for reads that ask nobody, too.
   */
  #maybeServe(): void {
    const { memberId, confs, committedIndex, lastIndex } = this.parts;
    const { appliedIndex, isLeader } = this.replica;
    if (this.life.phase !== 'starting' || appliedIndex < committedIndex) return;
    const voters = confs.current?.voters ?? [];
    const alone = voters.length === 1 && voters[0] === memberId;
    if (alone && (!isLeader || appliedIndex < lastIndex)) return;
    this.#log('info', 'ready to serve requests', { 'applied-index': appliedIndex });
    this.life.serve();
    this.#attributes.maybePublish();
  }

  #moved(state: SoftState, previous: SoftState): void {
    if (state.leader !== previous.leader) {
      if (state.leader !== NONE) this.#leaderElectedMs = this.parts.env.monotonicMs();
      const { term } = this.replica.driver;
      this.#log('info', 'leader changed', { leader: formatId(state.leader), term });
      this.onLeaderChange.tell(state.leader);
    }
    const isLeader = state.role === 'leader';
    if (isLeader && previous.role !== 'leader') this.lessor?.promote(this.parts.limits.electionTimeoutMs);
    else if (!isLeader && previous.role === 'leader') this.lessor?.demote();
    this.#monitors.lead(isLeader);
    this.#maybeServe();
    this.#attributes.maybePublish();
  }

  #ticked(nowMs: number): void {
    this.requests.expire(nowMs, (startedMs) => this.#timeout(startedMs));
    this.#monitors.tick(nowMs);
    this.#attributes.maybePublish();
  }

  #timeout(startedMs: number): DomainError {
    const { network, members, memberId, limits } = this.parts;
    const view = {
      network,
      self: memberId,
      leader: this.replica.driver.leader,
      members: members.list(),
      leaderElectedMs: this.#leaderElectedMs,
      electionTimeoutMs: limits.electionTimeoutMs,
    };
    return new DomainError(timeoutReason(view, startedMs));
  }

  #cut(): void {
    this.replica.end();
    this.lessor?.close();
    this.#monitors.close();
    this.#peers.close();
    this.admin.close();
    this.requests.failAll(new DomainError('SERVER_STOPPED'));
  }
}
