/**
 * Several whole members on one thread: virtual time, simulated disks and network, tables in memory.
 *
 * A `Host` is a machine: its disk and tables outlive the members that run on it. All share one clock; `crash` takes a member
 * away without a word, as a power cut does, and `start` boots the next one from what the disk kept.
 */
import { type MemoryBackend, memoryBackend } from '@quorate/mvcc';
import { Random, SimDisk, SimEnv, SimNetwork } from '@quorate/testing';
import type { Env } from '../../src/env.ts';
import { type Failpoint, NO_FAILPOINTS } from '../../src/failpoints.ts';
import { createLessor } from '../../src/lease/create-lessor.ts';
import type { Member } from '../../src/member.ts';
import type { MemberConfig, RemoteCluster } from '../../src/member-config.ts';
import type { ResolveHost } from '../../src/membership/peer-urls.ts';
import type { Operation } from '../../src/operations.ts';
import type { Outcome } from '../../src/results.ts';
import { startMember } from '../../src/start-member.ts';
import { put } from './sim-member.ts';
import { smallMember } from './small-member.ts';

/** Timers and turns of a member that is dead come to nothing. */
function mortal(env: SimEnv): { env: Env; kill: () => void } {
  let alive = true;
  const unlessDead = (callback: () => void) => () => {
    if (alive) callback();
  };
  return {
    kill: () => {
      alive = false;
    },
    env: {
      monotonicMs: () => env.monotonicMs(),
      wallMs: () => env.wallMs(),
      setTimer: (delayMs, callback) => env.setTimer(delayMs, unlessDead(callback)),
      afterPoll: (callback) => env.afterPoll(unlessDead(callback)),
      randomInt: (bound) => env.randomInt(bound),
      randomBytes: (length) => env.randomBytes(length),
      log: env.log as Env['log'],
    },
  };
}

export class Host {
  readonly name: string;
  readonly peerUrl: string;
  readonly disk: SimDisk;
  backend: MemoryBackend = memoryBackend();
  member: Member | null = null;
  /** The identity that runs here now. */
  id = 0n;
  failpoint: Failpoint = NO_FAILPOINTS;
  kill: () => void = () => {};
  /** What each write of the log takes. */
  diskDelayMs = 0;
  #stalled = false;
  #held: (() => void)[] = [];

  constructor(name: string, seed: number) {
    this.name = name;
    this.peerUrl = `http://${name}:2380`;
    this.disk = new SimDisk(new Random(seed, `disk ${name}`));
  }

  /** Set: the log's disk answers nothing until it is unset. */
  set stalled(stalled: boolean) {
    this.#stalled = stalled;
    if (!stalled) for (const flush of this.#held.splice(0)) flush();
  }

  /** A write of the log: now, later, or when the disk answers again. */
  write(env: Env, flush: () => void): void {
    if (this.#stalled) this.#held.push(() => env.afterPoll(flush));
    else if (this.diskDelayMs > 0) env.setTimer(this.diskDelayMs, flush);
    else env.afterPoll(flush);
  }
}

export class SimCluster {
  readonly env: SimEnv;
  readonly network: SimNetwork;
  readonly hosts = new Map<string, Host>();
  /** The names that DNS knows; unset: members compare URLs as texts. */
  resolveHost: ResolveHost | undefined;
  readonly #seed: number;
  readonly #config: Partial<MemberConfig>;

  constructor(seed: number, names: readonly string[], config: Partial<MemberConfig> = {}) {
    this.#seed = seed;
    this.#config = config;
    this.env = new SimEnv(seed);
    this.network = new SimNetwork(this.env, new Random(seed, 'network'));
    for (const name of names) this.addHost(name);
  }

  addHost(name: string): Host {
    const host = new Host(name, this.#seed);
    this.hosts.set(name, host);
    return host;
  }

  host(name: string): Host {
    return this.hosts.get(name)!;
  }

  member(name: string): Member {
    return this.host(name).member!;
  }

  get running(): readonly Member[] {
    return [...this.hosts.values()].flatMap(({ member }) => (member === null ? [] : [member]));
  }

  /** Boots a member on a host, with the hosts in `among` as its initial cluster. */
  async start(
    name: string,
    among: readonly string[] = [...this.hosts.keys()],
    config: Partial<MemberConfig> = {},
  ): Promise<Member> {
    const host = this.host(name);
    const { env, kill } = mortal(this.env);
    host.kill = kill;
    const starting = startMember(
      {
        ...smallMember('/data'),
        name,
        initialCluster: among.map((each) => ({ name: each, peerUrls: [this.host(each).peerUrl] })),
        clientUrls: [`http://${name}:2379`],
        ...this.#config,
        ...config,
      },
      {
        env,
        disk: host.disk,
        network: (self) => {
          host.id = self.memberId;
          return this.network.port(self.memberId, { host: () => self });
        },
        fetchCluster: (urls) => this.#fetch(urls),
        ...(this.resolveHost === undefined ? {} : { resolveHost: this.resolveHost }),
        failpoint: (at) => host.failpoint(at),
        failpointModule: null,
        modeOf: () => null,
        inThread: { backend: host.backend, schedule: (flush) => host.write(env, flush) },
      },
      createLessor,
    );
    const member = await this.until(starting);
    host.member = member;
    void member.stopped.then(() => {
      if (host.member === member) host.member = null;
    });
    return member;
  }

  /** All hosts as the first members of one cluster. */
  async bootstrap(): Promise<void> {
    const names = [...this.hosts.keys()];
    for (const name of names) await this.start(name, names);
    await this.leader();
  }

  /** The machine goes off: what was not synced is lost. */
  crash(name: string): void {
    const host = this.host(name);
    host.kill();
    this.network.crash(host.id);
    host.member = null;
    host.failpoint = NO_FAILPOINTS;
    host.stalled = false;
    host.disk.crash();
    host.backend = host.backend.reopen();
  }

  /** The member that a majority follows; time passes until there is one. */
  async leader(): Promise<Member> {
    await this.eventually(() => this.#leader() !== undefined);
    return this.#leader()!;
  }

  nameOf(member: Member): string {
    return [...this.hosts.values()].find((host) => host.member === member)!.name;
  }

  others(member: Member): readonly Member[] {
    return this.running.filter((other) => other !== member);
  }

  #leader(): Member | undefined {
    return this.running.find(
      (member) =>
        member.leader === member.memberId &&
        this.running.filter(({ leader, term }) => leader === member.memberId && term === member.term).length *
          2 >
          member.members().filter(({ isLearner }) => !isLearner).length,
    );
  }

  async until<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    for (let passedMs = 0; !settled; passedMs += 10) {
      if (passedMs > limitMs) throw new Error('nothing came of it');
      await drainMicrotasks();
      if (!settled) this.env.advance(10);
    }
    return promise;
  }

  async eventually(condition: () => boolean, limitMs = 60_000): Promise<void> {
    for (let passedMs = 0; !condition(); passedMs += 10) {
      if (passedMs > limitMs) throw new Error('it never came true');
      this.env.advance(10);
      await drainMicrotasks();
    }
  }

  async pass(durationMs: number): Promise<void> {
    for (let passedMs = 0; passedMs < durationMs; passedMs += 10) {
      this.env.advance(10);
      await drainMicrotasks();
    }
  }

  propose(member: Member, operation: Operation): Promise<Outcome> {
    return this.until(
      new Promise((resolve, reject) => {
        member.propose(operation, 0, Number.POSITIVE_INFINITY, (error, outcome) =>
          error === null ? resolve(outcome!) : reject(error),
        );
      }),
    );
  }

  async put(member: Member, key: string, value: string): Promise<void> {
    await this.propose(member, put(key, value));
  }

  /** A linearizable read of one key; undefined when it does not exist. */
  async get(member: Member, key: string): Promise<string | undefined> {
    await this.until(
      new Promise<void>((resolve, reject) => {
        member.confirmRead(Number.POSITIVE_INFINITY, (error) => (error === null ? resolve() : reject(error)));
      }),
    );
    const record = member.store.get(Buffer.from(key));
    return record === null ? undefined : Buffer.from(record.value).toString();
  }

  /** For the callbacks of `member.cluster`. */
  ask<T = void>(begin: (done: (error: Error | null, result?: T) => void) => void): Promise<T> {
    return this.until(
      new Promise<T>((resolve, reject) => {
        begin((error, result) => (error === null ? resolve(result as T) : reject(error)));
      }),
    );
  }

  add(member: Member, name: string, isLearner = false): Promise<bigint> {
    const { peerUrl } = this.hosts.get(name) ?? this.addHost(name);
    return this.ask<bigint>((done) =>
      member.cluster.add([peerUrl], isLearner, Number.POSITIVE_INFINITY, (error, id) => done(error, id)),
    );
  }

  remove(member: Member, id: bigint): Promise<void> {
    return this.ask((done) => member.cluster.remove(id, Number.POSITIVE_INFINITY, done));
  }

  promote(member: Member, id: bigint): Promise<void> {
    return this.ask((done) => member.cluster.promote(id, Number.POSITIVE_INFINITY, done));
  }

  /** Until every running member has applied what the leader has. */
  async settled(): Promise<void> {
    await this.eventually(() => {
      const indexes = this.running.map(({ appliedIndex }) => appliedIndex);
      return indexes.every((index) => index === indexes[0]);
    });
  }

  async hash(member: Member): Promise<number> {
    return this.ask<number>((done) =>
      member.store.hashKv(0, (error, result) => done(error, result?.hash ?? undefined)),
    );
  }

  async #fetch(urls: readonly string[]): Promise<RemoteCluster> {
    const hosts = [...this.hosts.values()];
    for (const url of urls) {
      const member = hosts.find(({ peerUrl }) => peerUrl === url)?.member;
      if (member) return { clusterId: member.clusterId, members: member.members() };
    }
    throw new Error('could not retrieve cluster information from the given URLs');
  }
}

async function drainMicrotasks(): Promise<void> {
  for (let i = 0; i < 10; i++) await null;
}
