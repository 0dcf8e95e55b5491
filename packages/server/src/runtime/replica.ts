/**
 * The replicated state on this member: what raft commits is applied, in order; or a received state takes its place.
 *
 *     driver ─ committed ─▶ apply loop ─▶ applier ─▶ store
 *        │                      └─ applied index, changes of the configuration ─▶ driver
 *        └─ received snapshot ─▶ installer ─▶ store
 *
 * What came of it goes to the host. Read next: `../consensus/driver.ts`, `../apply/apply-loop.ts`, `../consensus/installer.ts`.
 */
import type { ConfState, Entry, SnapshotMeta, SoftState } from '@quorate/raft';
import { ApplyLoop, type ApplyLoopHost } from '../apply/apply-loop.ts';
import { Driver } from '../consensus/driver.ts';
import { checkPassedOn } from '../consensus/entry-check.ts';
import { HeadStart } from '../consensus/head-start.ts';
import { Installer } from '../consensus/installer.ts';
import type { Proposals } from '../consensus/proposals.ts';
import type { Reads } from '../consensus/reads.ts';
import { electionTicksOf } from '../member-config.ts';
import { LogKeeper } from './log-keeper.ts';
import type { MemberParts } from './parts.ts';

export interface ReplicaHost
  extends Pick<
    ApplyLoopHost,
    'onEvents' | 'onOutcome' | 'onConfChangeApplied' | 'onProgress' | 'onSlow' | 'onFatal'
  > {
  /** The leader or the own role changed. */
  onSoftState(state: SoftState, previous: SoftState): void;
  /** Once per tick, after raft's. */
  onTick(nowMs: number): void;
  /** Another state took the place of the store's: whatever mirrors it reads it again. */
  onReplaced(meta: SnapshotMeta): void;
  /** The log begins after that state now; the member goes on from there. */
  onInstalled(meta: SnapshotMeta): void;
}

const DEFAULT_SLOW_APPLY_MS = 100;

export class Replica {
  readonly driver: Driver;
  readonly #parts: MemberParts;
  readonly #host: ReplicaHost;
  readonly #loop: ApplyLoop;
  readonly #installer: Installer;
  readonly #headStart: HeadStart | null;
  readonly #logKeeper: LogKeeper;
  #lastTickMs = Number.POSITIVE_INFINITY;
  #lateHeartbeatsTotal = 0;

  constructor(
    parts: MemberParts,
    requests: { readonly proposals: Proposals; readonly reads: Reads },
    host: ReplicaHost,
  ) {
    const { config, env, store } = parts;
    this.#parts = parts;
    this.#host = host;
    this.#logKeeper = new LogKeeper(parts);
    const loopHost = {
      onEvents: host.onEvents,
      onOutcome: host.onOutcome,
      onConfChange: (entry: Entry) => this.#applyConfChange(entry),
      onConfChangeApplied: host.onConfChangeApplied,
      onProgress: (index: number) => this.#progressed(index),
      onSlow: host.onSlow,
      onFatal: host.onFatal,
    };
    this.#loop = new ApplyLoop(parts.applier, env, loopHost, {
      appliedIndex: store.appliedIndex,
      slowMs: config.slowApplyMs ?? DEFAULT_SLOW_APPLY_MS,
    });
    this.#installer = new Installer({
      store,
      disk: parts.disk,
      dataDirectory: config.dataDirectory,
      failpoint: parts.failpoint,
      pauseApplying: () => this.#loop.clear(),
      reload: (meta) => this.#reload(meta),
    });
    const electionTicks = electionTicksOf(config);
    this.#headStart = config.advanceFirstElection ? new HeadStart({ ...parts, electionTicks }) : null;
    this.driver = new Driver(
      { ...parts, proposals: requests.proposals, reads: requests.reads },
      { tickMs: config.heartbeatMs, committedIndex: parts.committedIndex },
      {
        checkPassedOn,
        onCommitted: (entries) => this.#loop.push(entries),
        onInstall: (meta, sink, done) => this.#installer.install(meta, sink, done),
        onInstalled: (meta) => this.#installed(meta),
        onSoftState: host.onSoftState,
        onTick: (nowMs) => this.#ticked(nowMs),
        onFatal: host.onFatal,
      },
    );
  }

  get appliedIndex(): number {
    return this.#loop.appliedIndex;
  }

  get slowAppliesTotal(): number {
    return this.#loop.slowRunsTotal;
  }

  get isInstalling(): boolean {
    return this.#installer.isInstalling;
  }

  /** Times this member led and its heartbeats went out more than one interval late. */
  get lateHeartbeatsTotal(): number {
    return this.#lateHeartbeatsTotal;
  }

  get isLeader(): boolean {
    return this.driver.role === 'leader';
  }

  /** Nothing is applied or sent from here on. */
  end(): void {
    this.driver.end();
    this.#loop.end();
    this.#installer.close();
  }

  #applyConfChange(entry: Entry): ConfState | null {
    const conf = this.driver.applyConfChange(entry);
    if (conf !== null) {
      this.#parts.confs.changed(entry.index, conf);
      this.#logKeeper.confChanged(entry.index);
    }
    return conf;
  }

  #progressed(index: number): void {
    this.driver.applied(index);
    this.#host.onProgress(index);
  }

  #reload(meta: SnapshotMeta): void {
    const { members, confs } = this.#parts;
    members.reload();
    confs.restart(meta.index, members.conf ?? meta.conf);
    this.#host.onReplaced(meta);
    this.#loop.restartAt(meta.index);
  }

  #installed(meta: SnapshotMeta): void {
    this.#installer.finished();
    this.#logKeeper.restartAt(meta.index);
    this.#host.onInstalled(meta);
  }

  #ticked(nowMs: number): void {
    const late = nowMs - this.#lastTickMs > 2 * this.#parts.config.heartbeatMs;
    if (late && this.isLeader) this.#lateHeartbeatsTotal++;
    this.#lastTickMs = nowMs;
    this.#headStart?.tick(nowMs);
    this.#logKeeper.tick(nowMs, this.isLeader ? () => this.driver.status().progress : null);
    this.#host.onTick(nowMs);
  }
}
