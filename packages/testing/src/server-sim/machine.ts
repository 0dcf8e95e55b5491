/**
 * A machine of the simulated cluster: a disk and tables that outlive its members, and the member that runs on it now.
 *
 *   start -> starting -> serving -> (crash | stop | fatal error) -> down -> start ...
 *
 * A crash may come between any two events and at any failpoint. The member is dead at that instant: its scheduler drops
 * all it had planned, its files refuse it, its tables take nothing from it, its links are cut off, its callers lose
 * their connection. What stays is what the disk promised: `powerLoss` settles unsynced writes by chance, a mere kill
 * keeps them. Tables keep whole transactions, as LMDB does.
 */
import type { HandlerTable } from '@quorate/grpc-server';
import { type MemoryBackend, memoryBackend, openStore } from '@quorate/mvcc';
import { RawNode } from '@quorate/raft';
import {
  DEFAULT_MEMBER_CONFIG,
  type Member,
  type MemberConfig,
  type MemberInfo,
  type NetworkHost,
  type World,
} from '@quorate/server';
import { createLessor, createServices, type Lessor, startMember } from '@quorate/server/testing';
import { SimDisk } from '../sim/disk.ts';
import type { SimEnv } from '../sim/env.ts';
import type { SimNetwork } from '../sim/network.ts';
import { Random } from '../sim/random.ts';
import { Crashed, MemberEnv } from './member-env.ts';
import type { Mutations } from './mutations.ts';
import { replacing } from './replacing.ts';

/** Limits so small that files are cut, memory is flushed and heads are written all the time. */
const SMALL_STORE = {
  flushBytes: 4 * 1024,
  flushAfterMs: 50,
  headEntries: 24,
  headPartEntries: 8,
  ringBytes: 8 * 1024,
  removeSliceRecords: 16,
  blockKeys: 4,
};

export interface MachineConfig {
  readonly name: string;
  readonly token: string;
  readonly initialCluster: MemberConfig['initialCluster'];
  readonly joins: boolean;
  readonly snapshotCount: number;
  readonly catchUpEntries: number;
  readonly walSegmentBytes: number;
  readonly tailBytes: number;
  readonly electionMs: number;
  readonly progressIntervalMs: number;
  readonly clock: { readonly offsetMs: number; readonly rate: number };
  readonly diskMs: number;
  /** Longest time that a step of the store's writer, or of a long read, waits for its turn. */
  readonly storeMs: number;
  readonly preVote: boolean;
}

/** What the simulation wants to hear from its machines. */
export interface MachineHost {
  readonly env: SimEnv;
  readonly network: SimNetwork;
  readonly mutations: Mutations;
  /** After anything a member did. */
  afterWork(machine: Machine): void;
  /** A store was opened: watch it. */
  onStore(machine: Machine, store: Member['store']): void;
  onMember(machine: Machine, member: Member): void;
  onLessorProposal(machine: Machine, kind: string, primary: boolean): void;
  onReadAsked(machine: Machine): (error: Error | null) => void;
  onServing(machine: Machine): void;
  /** A crash point was reached, or the machine lost power. */
  onDown(machine: Machine, why: string, downMs: number): void;
  /** The member ended by itself. */
  onEnded(machine: Machine, error: Error | null): void;
  onStartFailed(machine: Machine, error: Error): void;
  onUncaught(machine: Machine, error: Error): void;
  onLog(machine: Machine, level: string, message: string, fields?: Record<string, unknown>): void;
  cluster(): { clusterId: bigint; members: readonly MemberInfo[] } | null;
}

/** From the start of a process to its end. */
export class Life {
  readonly number: number;
  readonly env: MemberEnv;
  member: Member | null = null;
  handlers: HandlerTable | null = null;
  lessor: Lessor | null = null;
  closeServices: () => void = () => {};
  state: 'starting' | 'serving' | 'stopping' | 'over' = 'starting';
  /** Told when the process is gone: connections break. */
  readonly onGone = new Set<() => void>();

  constructor(number: number, env: MemberEnv) {
    this.number = number;
    this.env = env;
  }
}

export interface ArmedFailpoint {
  readonly name: string;
  left: number;
  readonly power: boolean;
  readonly downMs: number;
}

export class Machine {
  readonly number: number;
  readonly config: MachineConfig;
  readonly id: bigint;
  disk: SimDisk;
  backend: MemoryBackend = memoryBackend();
  life: Life | null = null;
  lives = 0;
  armed: ArmedFailpoint[] = [];
  /** How long the log's disk takes for a batch. */
  diskMs: number;
  /** A failure was injected into this life: it may end by itself. */
  mayFail = false;
  /** Being taken out of the cluster, or taken out: it may end by itself. */
  leaving = false;
  /** Taken out of the cluster and ended: is not started again. */
  removed = false;
  /** Was asked to stop, to come back after so many milliseconds. */
  stoppingFor: number | null = null;
  /** The log is lost: the next start must be refused, and then this finds it again. */
  forgetful: (() => void) | null = null;
  /** Whether it was starting or stopping when it crashed. */
  wasMoving = false;
  /** Of the store, when its last member crashed. */
  durableIndex = 0;
  /** Clients cannot reach it. */
  clientsCut = false;
  readonly #host: MachineHost;
  readonly #seed: string;

  constructor(number: number, id: bigint, config: MachineConfig, seed: string, host: MachineHost) {
    this.number = number;
    this.id = id;
    this.config = config;
    this.diskMs = config.diskMs;
    this.#seed = `${seed}/machine ${number}`;
    this.#host = host;
    this.disk = new SimDisk(new Random(this.#seed, 'disk'));
  }

  get name(): string {
    return this.config.name;
  }

  get running(): boolean {
    return this.life !== null;
  }

  get serving(): boolean {
    return this.life?.state === 'serving';
  }

  /** The member, when it takes part. */
  get member(): Member | null {
    const member = this.life?.member ?? null;
    return member === null || member.ended ? null : member;
  }

  start(): void {
    if (this.life !== null || this.removed) return;
    const host = this.#host;
    const env = new MemberEnv(host.env, `${this.#seed}/life ${this.lives}`, this.config.clock, {
      afterWork: () => host.afterWork(this),
      onUncaught: (error) => host.onUncaught(this, error),
      onLog: (level, message, fields) => host.onLog(this, level, message, fields),
    });
    const life = new Life(this.lives++, env);
    this.life = life;
    // An error that was injected and not met yet strikes this life too.
    this.mayFail = this.disk.faultsLeft > 0;
    this.stoppingFor = null;
    const { mutations } = host;
    const started = startMember(
      this.#memberConfig(),
      this.#world(life),
      ({ env: clock, store, member }) => {
        life.member = member;
        host.onMember(this, member);
        const watched = replacing(member, {
          propose: (...call) => {
            if (life.lessor !== null) host.onLessorProposal(this, call[0].kind, life.lessor.primary);
            member.propose(...call);
          },
        });
        life.lessor = mutations.lessor(createLessor({ env: clock, store, member: watched }), member);
        return life.lessor;
      },
      {
        openStore: (options) => {
          const { storeMs } = this.config;
          const later: typeof options.afterPoll =
            storeMs === 0
              ? options.afterPoll
              : (callback) => void env.setTimer(env.randomInt(storeMs + 1), callback);
          const store = mutations.store(openStore({ ...options, afterPoll: later }), life.env);
          host.onStore(this, store);
          return store;
        },
        createNode: (config) => {
          const small = { ...config, maxTailBytes: this.config.tailBytes };
          return mutations.node?.(small) ?? new RawNode(small);
        },
      },
    );
    started.then(
      (member) => this.#served(life, member),
      (error: Error) => {
        if (!env.alive || this.life !== life) return;
        this.#over(life);
        host.onStartFailed(this, error);
      },
    );
  }

  /** Ends the member in the middle of whatever it does. */
  crash(power: boolean, why: string, downMs: number): void {
    const { life } = this;
    if (life === null) return;
    this.wasMoving = life.state !== 'serving';
    this.durableIndex = life.member?.store.durableIndex ?? this.durableIndex;
    this.#over(life);
    if (power) this.disk.crash();
    else this.disk.kill();
    this.#host.onDown(this, why, downMs);
  }

  /** The log is gone, or everything. @returns what brings it back */
  lose(total: boolean): () => void {
    const { disk, backend } = this;
    this.disk = new SimDisk(new Random(this.#seed, `empty disk ${this.lives}`));
    if (total) this.backend = memoryBackend();
    return () => {
      this.disk = disk;
      if (total) this.backend = backend;
    };
  }

  pause(): void {
    this.life?.env.pause();
  }

  resume(): void {
    this.life?.env.resume();
  }

  /** As SIGTERM does. */
  stop(downMs: number): void {
    const { life } = this;
    if (life?.member == null || life.state !== 'serving') return;
    this.stoppingFor = downMs;
    life.state = 'stopping';
    life.closeServices();
    void life.member.stop();
  }

  #served(life: Life, member: Member): void {
    if (!life.env.alive) return;
    const { mutations } = this.#host;
    const confirming = replacing(member, {
      confirmRead: (deadlineMs, done) => {
        const check = this.#host.onReadAsked(this);
        mutations.confirmRead(member, deadlineMs, (error) => {
          if (life.env.alive) check(error);
          done(error);
        });
      },
    });
    const services = createServices(confirming);
    life.handlers = mutations.handlers(services.handlers, member);
    life.closeServices = () => services.close();
    life.state = 'serving';
    this.#host.onServing(this);
    void member.stopped.then((error) => {
      if (!life.env.alive) return;
      this.#over(life);
      this.disk.kill();
      this.#host.onEnded(this, error);
    });
  }

  #over(life: Life): void {
    life.state = 'over';
    life.env.end();
    this.life = null;
    this.#host.network.crash(this.id);
    // A transaction of the dead member that was not committed by now never will be.
    this.backend.beforeCommit = () => {
      throw new Crashed('a dead member commits nothing');
    };
    this.backend = this.backend.reopen();
    for (const gone of [...life.onGone]) gone();
    life.onGone.clear();
  }

  #memberConfig(): MemberConfig {
    const { config } = this;
    return {
      ...DEFAULT_MEMBER_CONFIG,
      name: config.name,
      dataDirectory: '/data',
      initialCluster: config.initialCluster,
      initialClusterToken: config.token,
      initialClusterState: config.joins ? 'existing' : 'new',
      clientUrls: [`http://${config.name}:2379`],
      electionMs: config.electionMs,
      preVote: config.preVote,
      snapshotCount: config.snapshotCount,
      snapshotCatchUpEntries: config.catchUpEntries,
      watchProgressIntervalMs: config.progressIntervalMs,
      walSegmentBytes: config.walSegmentBytes,
      storeLimits: SMALL_STORE,
    };
  }

  #world(life: Life): World {
    const { mutations, network } = this.#host;
    const { env } = life;
    let self: NetworkHost | null = null;
    const port = mutations.network(
      network.port(this.id, { monotonicMs: () => env.monotonicMs(), run: env.run, host: () => self }),
    );
    return {
      env,
      disk: mutations.disk(this.disk),
      network: (host) => {
        self = host;
        return port;
      },
      fetchCluster: async () => {
        const found = this.#host.cluster();
        if (found === null) throw new Error('no member answers');
        return found;
      },
      failpoint: (name) => this.#visit(life, name),
      failpointModule: null,
      modeOf: () => null,
      inThread: {
        backend: mutations.backend(this.backend, (name) => this.#visit(life, name)),
        // Zero would keep the order of turns, but a disk takes its time.
        schedule: (flush) => env.setTimer(this.diskMs, flush),
      },
    };
  }

  #visit(life: Life, name: string): void {
    if (!life.env.alive) throw new Crashed(name);
    for (const armed of this.armed) {
      if (armed.name !== name || --armed.left > 0) continue;
      this.armed = this.armed.filter((other) => other !== armed);
      this.crash(armed.power, `at ${name}`, armed.downMs);
      throw new Crashed(name);
    }
  }
}
