/**
 * A cluster of real processes, ours or the real etcd, with a proxy on every link: what faults are done to.
 *
 *   const cluster = await Cluster.start({ kind: 'etcd', size: 3 });
 *   const leader = await cluster.waitForLeader();
 *   cluster.mesh.cut([leader.name], cluster.others(leader));
 *   ...
 *   await cluster.stop();          // ends exactly the processes started here and removes the folder
 *
 * Everything waits with a limit. When a test fails, `stop({ keepLogs: true })` leaves the logs and says where.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Member, services } from '@quorate/proto';
import type { ServerKind } from '../process/server-process.ts';
import { type CallResult, Connection, headerOf, hex } from './connection.ts';
import { ClusterMember, type MemberPlace } from './member.ts';
import { Mesh } from './mesh.ts';
import { stablePorts } from './ports.ts';

export interface ClusterOptions {
  readonly kind: ServerKind;
  readonly size: number;
  /** Flags in etcd's form, for every member. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Variables of one member alone. */
  readonly envOf?: (name: string) => Readonly<Record<string, string>>;
  readonly heartbeatMs?: number;
  readonly electionMs?: number;
  /** Where a member keeps its data; by default a folder of the cluster. For folders on special file systems. */
  readonly folderOf?: (name: string) => string;
  readonly readyTimeoutMs?: number;
}

export interface MemberStatus {
  readonly member: string;
  readonly leader: string;
  readonly term: number;
  readonly revision: number;
  readonly appliedIndex: number;
  readonly isLearner: boolean;
}

const HEARTBEAT_MS = 100;
const ELECTION_MS = 1000;
/** Generous: a whole cluster starting on a busy machine takes its time. */
const READY_MS = 60_000;

export class Cluster {
  readonly kind: ServerKind;
  readonly electionMs: number;
  readonly members: ClusterMember[] = [];
  readonly mesh: Mesh;
  readonly folder: string;
  readonly #options: ClusterOptions;
  readonly #token: string;
  /** Past the proxies, for looking on. */
  readonly #observers = new Map<string, Connection>();
  readonly #ids = new Map<string, string>();

  private constructor(options: ClusterOptions) {
    this.kind = options.kind;
    this.electionMs = options.electionMs ?? ELECTION_MS;
    this.#options = options;
    this.folder = mkdtempSync(join(tmpdir(), `${options.kind}-cluster-`));
    this.#token = this.folder.slice(-6);
    this.mesh = new Mesh(() => new Map(this.running().map((member) => [member.pid, member.name])));
  }

  /** All members serve when this resolves. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options);
    try {
      for (let number = 1; number <= options.size; number++) await cluster.prepare(`m${number}`);
      const initial = cluster.initialCluster(cluster.members);
      for (const member of cluster.members) member.start({ initial, state: 'new' });
      await cluster.waitUntilServing(cluster.members, options.readyTimeoutMs ?? READY_MS);
      return cluster;
    } catch (error) {
      await cluster.stop({ keepLogs: true });
      throw error;
    }
  }

  /** A member that has a place, ports and proxies, and was never started. */
  async prepare(name: string): Promise<ClusterMember> {
    const [clientPort, peerPort, ownClientPort, ownPeerPort] = (await stablePorts(4)) as [
      number,
      number,
      number,
      number,
    ];
    const folder = this.#options.folderOf?.(name) ?? join(this.folder, name);
    const place: MemberPlace = { name, clientPort, peerPort, ownClientPort, ownPeerPort, folder };
    mkdirSync(folder, { recursive: true });
    const flags = [
      `--initial-cluster-token=${this.#token}`,
      `--heartbeat-interval=${this.#options.heartbeatMs ?? HEARTBEAT_MS}`,
      `--election-timeout=${this.electionMs}`,
      ...(this.#options.flags ?? []),
    ];
    const member = new ClusterMember(this.kind, place, flags, {
      ...this.#options.env,
      ...this.#options.envOf?.(name),
    });
    await this.mesh.proxy(name, clientPort, ownClientPort, 'clients');
    await this.mesh.proxy(name, peerPort, ownPeerPort, 'members');
    this.members.push(member);
    return member;
  }

  /** The value of `--initial-cluster` for these members. */
  initialCluster(members: readonly ClusterMember[]): string {
    return members.map((member) => `${member.name}=${member.peerUrl}`).join(',');
  }

  /** Starts a member again, in its folder. */
  restart(member: ClusterMember, more: readonly string[] = []): void {
    member.start({ initial: this.initialCluster(this.members), state: 'existing' }, more);
  }

  member(name: string): ClusterMember {
    const member = this.members.find((candidate) => candidate.name === name);
    if (member === undefined) throw new Error(`no member ${name}`);
    return member;
  }

  running(): ClusterMember[] {
    return this.members.filter((member) => member.isRunning);
  }

  /** Names of all members but these. */
  others(...these: readonly ClusterMember[]): string[] {
    return this.members.filter((member) => !these.includes(member)).map((member) => member.name);
  }

  /** A connection past the proxies. */
  observer(member: ClusterMember): Connection {
    const connection = this.#observers.get(member.name) ?? new Connection(member.directEndpoint);
    this.#observers.set(member.name, connection);
    return connection;
  }

  async status(member: ClusterMember, timeoutMs = 500): Promise<MemberStatus | null> {
    if (!member.isRunning) return null;
    const method = services['etcdserverpb.Maintenance'].Status;
    const result = await this.observer(member).call(method, {}, timeoutMs);
    if (!result.ok) return null;
    const { response } = result;
    const status = {
      member: headerOf(response).member,
      leader: response.leader === 0n ? '' : hex(response.leader),
      term: Number(response.raftTerm),
      revision: headerOf(response).revision,
      appliedIndex: Number(response.raftAppliedIndex),
      isLearner: response.isLearner,
    };
    this.#ids.set(status.member, member.name);
    return status;
  }

  /** The member whose id (in hex) this is, as far as any status has told. */
  byId(id: string): ClusterMember | null {
    const name = this.#ids.get(id);
    return name === undefined ? null : this.member(name);
  }

  /** The member that the greatest term in sight calls its leader. */
  async leader(): Promise<ClusterMember | null> {
    const statuses = await Promise.all(
      this.members.map((member) => (member.isPaused ? null : this.status(member))),
    );
    const led = statuses.filter((status) => status !== null && status.leader !== '');
    const newest = led.sort((a, b) => b!.term - a!.term)[0];
    return newest === undefined || newest === null ? null : this.byId(newest.leader);
  }

  async waitForLeader(timeoutMs = READY_MS, not?: ClusterMember): Promise<ClusterMember> {
    const giveUp = performance.now() + timeoutMs;
    while (performance.now() < giveUp) {
      const leader = await this.leader();
      if (leader !== null && leader !== not && leader.isRunning) return leader;
      await sleep(20);
    }
    throw new Error(`no leader within ${timeoutMs} ms`);
  }

  /** Serving means: each of these answers a linearizable read, past the proxies. */
  async waitUntilServing(members: readonly ClusterMember[], timeoutMs = READY_MS): Promise<void> {
    const giveUp = performance.now() + timeoutMs;
    await Promise.all(
      members.map(async (member) => {
        let last = 'nothing tried';
        while (performance.now() < giveUp) {
          if (!member.isRunning) throw new Error(`${member.name} ended:\n${member.output().slice(-4000)}`);
          const result = await this.read(member, 1000);
          if (result.ok) return;
          last = result.error;
          await sleep(20);
        }
        const log = member.output().slice(-2000);
        throw new Error(`${member.name} does not serve within ${timeoutMs} ms: ${last}\n${log}`);
      }),
    );
  }

  read(member: ClusterMember, timeoutMs: number): Promise<CallResult<unknown>> {
    const method = services['etcdserverpb.KV'].Range;
    return this.observer(member).call(method, { key: Buffer.from('\0ready') }, timeoutMs);
  }

  async memberList(through: ClusterMember, timeoutMs = 2000): Promise<readonly Member[]> {
    const method = services['etcdserverpb.Cluster'].MemberList;
    const result = await this.observer(through).call(method, {}, timeoutMs);
    if (!result.ok) throw new Error(`member list from ${through.name}: ${result.error}`);
    return result.response.members;
  }

  /** Takes the member off the books; its ports stay. */
  forget(member: ClusterMember): void {
    this.members.splice(this.members.indexOf(member), 1);
    this.#observers.get(member.name)?.close();
    this.#observers.delete(member.name);
  }

  /** Heals every link, continues the paused, restarts the dead, and waits until all serve. */
  async healAll(timeoutMs = READY_MS): Promise<void> {
    this.mesh.healAll();
    for (const member of this.members) {
      if (member.isPaused) member.continue();
      if (!member.isRunning) this.restart(member);
    }
    await this.waitUntilServing(this.members, timeoutMs);
  }

  async stop(options: { readonly keepLogs?: boolean } = {}): Promise<void> {
    for (const connection of this.#observers.values()) connection.close();
    await Promise.all(this.members.map((member) => member.end('SIGKILL')));
    await this.mesh.close();
    if (options.keepLogs === true) console.error(`logs are in ${this.folder}`);
    else {
      for (const member of this.members) rmSync(member.place.folder, { recursive: true, force: true });
      rmSync(this.folder, { recursive: true, force: true });
    }
  }
}
