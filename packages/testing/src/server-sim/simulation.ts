/**
 * Whole members as a cluster in one process under virtual time: one plan, one run, equal to the last event.
 *
 *   1. `durationMs` of clients, weather and faults; `invariants.ts` looks after every piece of work of every member.
 *   2. Everything heals, clients stop, everybody is started. Within `HEALED_MS` the cluster must elect a leader, take a
 *      write through each member, and bring all members to the same state.
 *   3. `judge.ts` reads what clients wrote down.
 *
 * Read `plan.ts` for what is done, `machine.ts` for a member and its crashes, `clients.ts` and `watcher.ts` for its users.
 */
import type { EventBatch } from '@quorate/mvcc';
import { AlarmRequest, services } from '@quorate/proto';
import { decodeMessage, MessageType } from '@quorate/raft';
import type { Member } from '@quorate/server';
import { memberIdOf } from '@quorate/server/testing';
import type { HistoryWatch } from '../checkers/history.ts';
import { HistoryRecorder } from '../checkers/recorder.ts';
import { SimEnv } from '../sim/env.ts';
import { PERFECT_LINK, SimNetwork } from '../sim/network.ts';
import { Random } from '../sim/random.ts';
import { Administrator } from './administrator.ts';
import { Client, Shared } from './clients.ts';
import { Connections } from './connection.ts';
import { Invariants, Violation } from './invariants.ts';
import { judge } from './judge.ts';
import { Machine, type MachineHost } from './machine.ts';
import { Crashed } from './member-env.ts';
import { type Mutations, SOUND } from './mutations.ts';
import type { Fault, Plan } from './plan.ts';
import { Watcher } from './watcher.ts';

export interface RunResult {
  readonly violation: { readonly invariant: string; readonly detail: string } | null;
  readonly counts: Readonly<Record<string, number>>;
  readonly virtualMs: number;
  /** Pieces of work that members did. */
  readonly events: number;
  /** Of everything that members did and said, in order. */
  readonly hash: number;
}

export interface RunOptions {
  readonly mutations?: Mutations;
  readonly trace?: (line: string) => void;
}

const HEALED_MS = 60_000;
/**
 * Leases that nobody renews end within their TTL, 6 s at most, counted from the last leader's election; the rest is for slow clocks,
 * for the lessor, which looks twice a second, and for committing.
 */
const LEASES_END_MS = 9_000;
const TOKEN = 'simulated';
const ALARM = services['etcdserverpb.Maintenance'].Alarm.path;
const ALARM_ON = 1;
const ALARM_OFF = 2;
const NO_SPACE = 1;
const EVERYTHING = {
  key: 'k',
  end: '\0',
  withoutPuts: false,
  withoutDeletes: false,
  withPrevious: false,
  progress: false,
  needsLeader: false,
  stalls: 0,
};
const DEFRAGMENT = services['etcdserverpb.Maintenance'].Defragment.path;

export async function runPlan(plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  return new Simulation(plan, options).run();
}

export class Simulation implements MachineHost {
  readonly plan: Plan;
  readonly env: SimEnv;
  readonly network: SimNetwork;
  readonly mutations: Mutations;
  readonly invariants = new Invariants();
  readonly recorder: HistoryRecorder;
  readonly connections: Connections;
  readonly list: Machine[] = [];
  readonly counts: Record<string, number> = {};
  readonly #trace: ((line: string) => void) | undefined;
  readonly #clients: Client[] = [];
  readonly #watchers: Watcher[] = [];
  readonly #administrator: Administrator;
  #events = 0;
  #hash = 0x811c9dc5;
  #healed = false;
  /** Machines that are starting or stopping: promises are under way. */
  #moving = 0;

  constructor(plan: Plan, { mutations = SOUND, trace }: RunOptions) {
    this.plan = plan;
    this.mutations = mutations;
    this.#trace = trace;
    this.env = new SimEnv(`${plan.seed}/world`);
    this.network = new SimNetwork(this.env, new Random(plan.seed, 'network'));
    this.network.quality = plan.quality;
    this.network.mayRepeat = (message) => decodeMessage(message).type !== MessageType.propose;
    this.recorder = new HistoryRecorder({ nowNs: () => Math.round(this.env.monotonicMs() * 1e6) });
    this.connections = new Connections(this.env, new Random(plan.seed, 'connections'));
    const names = Array.from({ length: plan.members }, (_, number) => `m${number}`);
    const initialCluster = names.map((name) => ({ name, peerUrls: [peerUrlOf(name)] }));
    for (const [number, name] of names.entries()) {
      const id = memberIdOf([peerUrlOf(name)], TOKEN, null);
      this.list.push(this.#machine(number, id, name, initialCluster, false));
    }
    this.#administrator = new Administrator(this);
  }

  async run(): Promise<RunResult> {
    const { plan } = this;
    try {
      for (const machine of this.list) machine.start();
      this.#startClients();
      for (const { atMs, fault } of plan.faults) this.env.setTimer(atMs, () => this.#strike(fault));
      await this.#pass(plan.durationMs);
      await this.#heal();
    } catch (error) {
      if (!(error instanceof Violation)) {
        const { name, message, stack } = error as Error;
        this.invariants.broken('the simulator works', `${name}: ${message}\n${stack}`);
      }
    }
    const { violation } = this.invariants;
    this.#count('leader changes', this.invariants.leaderChanges);
    this.#count('revisions', this.invariants.highestRevision);
    this.#count('client calls', sum(this.#clients.map(({ done }) => done)));
    this.#count('client calls acknowledged', sum(this.#clients.map(({ acknowledged }) => acknowledged)));
    this.#count('messages delivered', this.network.tally.delivered);
    this.#count('messages lost', this.network.tally.lost);
    this.#count('messages repeated', this.network.tally.repeated);
    this.#count('snapshots broken', this.network.tally.snapshotsBroken);
    this.#count('chunks damaged', this.network.tally.chunksDamaged);
    this.#count('calls between members', this.network.tally.calls);
    for (const { disk } of this.list) {
      this.#count('unsynced writes lost or torn', disk.tally.droppedWrites + disk.tally.tornWrites);
      this.#count('unsynced names lost', disk.tally.droppedNames);
    }
    return {
      violation: violation === null ? null : { invariant: violation.invariant, detail: violation.message },
      counts: this.counts,
      virtualMs: this.env.monotonicMs(),
      events: this.#events,
      hash: this.#hash,
    };
  }

  // What time brings

  /** Lets time pass, one moment after the other, and looks for what broke. */
  async #pass(durationMs: number, until: () => boolean = () => false): Promise<void> {
    const endMs = this.env.monotonicMs() + durationMs;
    for (;;) {
      this.env.settle();
      await this.#drain();
      if (this.invariants.violation !== null) throw this.invariants.violation;
      if (until()) return;
      const nowMs = this.env.monotonicMs();
      const nextMs = this.env.nextDueMs;
      if (nextMs === null || nextMs > endMs) {
        this.env.advance(endMs - nowMs);
        return;
      }
      this.env.advance(nextMs - nowMs);
    }
  }

  /** Steps of promises: members use them only to start and to end. */
  async #drain(): Promise<void> {
    const steps = this.#moving > 0 ? 24 : 1;
    for (let step = 0; step < steps; step++) await null;
  }

  #startClients(): void {
    const { plan } = this;
    const shared = new Shared();
    const world = {
      env: this.env,
      recorder: this.recorder,
      connections: this.connections,
      machines: () => this.reachable(),
      count: (what: string) => this.#count(what),
    };
    for (let number = 0; number < plan.clients; number++) {
      const client = new Client(number, world, plan, shared);
      this.#clients.push(client);
      client.start();
    }
    const random = new Random(plan.seed, 'watchers');
    for (let number = 0; number < plan.watchers; number++) {
      const one = random.chance(0.4);
      const wish = {
        key: one ? `k${random.int(plan.keys)}` : 'k',
        end: one ? null : random.pick(['l', '\0']),
        withoutPuts: random.chance(0.1),
        withoutDeletes: random.chance(0.1),
        withPrevious: random.chance(0.5),
        progress: random.chance(0.6),
        needsLeader: random.chance(0.4),
        startRevision: random.pick([0, 1, 1, 5, 20]),
        stalls: random.pick([0, 0, 0.1, 0.4]),
      };
      const watcher = new Watcher(number, wish, world, new Random(plan.seed, `watcher ${number}`));
      this.#watchers.push(watcher);
      this.env.setTimer(random.int(3_000), () => watcher.start());
    }
  }

  // Faults

  #strike(fault: Fault): void {
    if (this.#healed) return;
    const machine = 'machine' in fault ? this.list[fault.machine % this.list.length]! : null;
    this.note(`fault ${JSON.stringify(fault)}`);
    switch (fault.kind) {
      case 'crash':
        if (machine!.running) this.#fired(fault);
        machine!.crash(fault.power, 'killed', fault.downMs);
        return;
      case 'crash-all':
        this.#fired(fault);
        for (const one of this.list) one.crash(fault.power, 'killed with all others', fault.downMs);
        return;
      case 'failpoint':
        machine!.armed.push({ name: fault.name, left: fault.nth, power: fault.power, downMs: fault.downMs });
        return;
      case 'stop':
        if (machine!.serving) {
          this.#fired(fault);
          this.#moving++;
          machine!.stop(fault.downMs);
        }
        return;
      case 'pause':
        if (!machine!.running) return;
        this.#fired(fault);
        machine!.pause();
        this.env.setTimer(fault.forMs, () => machine!.resume());
        return;
      case 'partition':
        this.#fired(fault);
        this.#partition(fault.side, fault.oneWay, fault.forMs);
        return;
      case 'cut-link': {
        const from = this.list[fault.from]!.id;
        const to = this.list[fault.to]!.id;
        this.#fired(fault);
        this.#cut(from, to, fault.forMs);
        return;
      }
      case 'cut-clients':
        this.#fired(fault);
        machine!.clientsCut = true;
        this.env.setTimer(fault.forMs, () => {
          machine!.clientsCut = false;
        });
        return;
      case 'slow-disk':
        this.#fired(fault);
        machine!.diskMs = fault.latencyMs;
        this.env.setTimer(fault.forMs, () => {
          machine!.diskMs = this.plan.diskMs;
        });
        return;
      case 'disk-error':
        if (!machine!.running) return;
        this.#fired(fault);
        machine!.mayFail = true;
        machine!.disk.inject({ operation: fault.operation });
        return;
      case 'clock-jump':
        this.#fired(fault);
        if (machine!.life !== null) machine!.life.env.wallOffsetMs += fault.byMs;
        return;
      case 'amnesia':
        this.#forget(machine!, fault.total, fault.downMs);
        return;
      case 'move-leader':
        this.#administrator.moveLeader(this.list[fault.to]!, () => this.#fired(fault));
        return;
      case 'defragment':
        if (!machine!.serving) return;
        this.connections.call(machine!, DEFRAGMENT, new Uint8Array(0), 20_000, (answer) => {
          if (answer.status === 'ok') this.#fired(fault);
        });
        return;
      case 'compact': {
        const client = new Client(100 + this.#clients.length, this.#clientWorld(), this.plan, new Shared());
        this.#clients.push(client);
        const revision = this.invariants.highestRevision - fault.behind;
        const target = this.list.find(({ serving }) => serving);
        if (target === undefined || revision < 1) return;
        client.once({ kind: 'compact', revision }, target, (ok) => {
          if (!ok) return;
          this.#fired(fault);
          this.#watchFrom(revision);
        });
        return;
      }
      case 'alarm':
        this.#alarm(machine!.id, ALARM_ON, () => {
          this.#fired(fault);
          this.env.setTimer(fault.forMs, () => this.#alarm(machine!.id, ALARM_OFF, () => {}));
        });
        return;
      case 'add':
        this.#administrator.add(() => this.#fired(fault));
        return;
      case 'remove':
        this.#administrator.remove(machine!, () => this.#fired(fault));
        return;
      case 'replace':
        this.#administrator.replace(machine!, () => this.#fired(fault));
        return;
    }
  }

  /** A watch that begins exactly where a compaction ended, which is the oldest it may ask for. */
  #watchFrom(revision: number): void {
    const wish = { ...EVERYTHING, startRevision: revision };
    const number = this.#watchers.length;
    const random = new Random(this.plan.seed, `watcher ${number}`);
    const world = { ...this.#clientWorld(), count: (what: string) => this.#count(what) };
    const watcher = new Watcher(random.int(this.list.length), wish, world, random);
    this.#watchers.push(watcher);
    watcher.start();
  }

  /** Tries one member after the other until one takes it. */
  #alarm(memberID: bigint, action: number, done: () => void, tries = 40): void {
    const machines = this.reachable();
    const machine = machines[tries % machines.length]!;
    if (tries === 0) return;
    const request = AlarmRequest.encode({ action, memberID, alarm: NO_SPACE });
    this.connections.call(machine, ALARM, request, 8_000, (answer) => {
      if (answer.status === 'ok') done();
      else this.env.setTimer(200, () => this.#alarm(memberID, action, done, tries - 1));
    });
  }

  #fired(fault: Fault): void {
    this.#count(`fault ${fault.kind}`);
  }

  #clientWorld() {
    return {
      env: this.env,
      recorder: this.recorder,
      connections: this.connections,
      machines: () => this.reachable(),
    };
  }

  #partition(side: readonly number[], oneWay: boolean, forMs: number): void {
    const inside = new Set(side);
    for (const from of this.list) {
      for (const to of this.list) {
        if (inside.has(from.number) === inside.has(to.number)) continue;
        if (oneWay && !inside.has(from.number)) continue;
        this.#cut(from.id, to.id, forMs);
      }
    }
  }

  #cut(from: bigint, to: bigint, forMs: number): void {
    this.network.cut(from, to);
    this.env.setTimer(forMs, () => this.network.mend(from, to));
  }

  /**
   * Comes back without its log, or with nothing at all: starting must be refused (case 25), or it might vote a second time.
   * Then everything is found again.
   */
  #forget(machine: Machine, total: boolean, downMs: number): void {
    if (!machine.running) return;
    machine.crash(false, 'forgets', Number.POSITIVE_INFINITY);
    this.env.setTimer(downMs, () => {
      if (machine.running || machine.removed || this.#healed) {
        this.startMachine(machine);
        return;
      }
      // Who has nothing at all is known by the others that its flags name; who has lost its log alone, by its store.
      const listed = this.cluster()?.members.find(({ id }) => id === machine.id);
      const asks = machine.config.initialCluster.length > 1 && (listed?.clientUrls.length ?? 0) > 0;
      const known = total ? asks : machine.durableIndex > 0;
      if (known) {
        const restore = machine.lose(total);
        machine.forgetful = () => {
          restore();
          this.#count(total ? 'total amnesia refused' : 'lost log refused');
          this.#count('fault amnesia');
        };
      }
      this.startMachine(machine);
    });
  }

  #restartLater(machine: Machine, downMs: number): void {
    if (downMs === Number.POSITIVE_INFINITY) return;
    this.env.setTimer(downMs, () => this.startMachine(machine));
  }

  startMachine(machine: Machine): void {
    if (machine.running || machine.removed) return;
    this.#moving++;
    machine.start();
  }

  // MachineHost

  afterWork(machine: Machine): void {
    this.#events++;
    const { member } = machine;
    if (member === null) return;
    this.invariants.look(machine.name, member);
    this.#mix(machine.number, member.appliedIndex + member.term);
    const late = machine.life?.env.lateCount ?? 0;
    if (late > 100_000) this.invariants.broken('bounded', `${machine.name} holds ${late} events`);
    if (this.#events % 4096 === 0 && this.env.timerCount > 20_000) {
      this.invariants.broken('bounded', `${this.env.timerCount} timers are set`);
    }
  }

  onStore(machine: Machine, store: Member['store']): void {
    const { life } = machine;
    this.invariants.watchStore(machine.name, store, () => life?.env.alive ?? false);
  }

  onMember(_machine: Machine, member: Member): void {
    let leads = false;
    member.onLeaderChange((leader) => {
      const now = leader === member.memberId;
      if (now && !leads) this.#count('reigns');
      leads = now;
    });
  }

  onLessorProposal(machine: Machine, kind: string, primary: boolean): void {
    if (kind !== 'lease-expire') return;
    this.#count('leases expired');
    const { member } = machine;
    this.invariants.revokeProposed(machine.name, primary, member?.leader === machine.id);
  }

  onReadAsked(machine: Machine): (error: Error | null) => void {
    return this.invariants.readAsked(machine.name, () => machine.member);
  }

  onServing(machine: Machine): void {
    this.#moving--;
    this.note(`${machine.name} serves, life ${machine.lives}`);
    this.#count('starts');
    if (machine.forgetful !== null) {
      this.invariants.broken('amnesia is refused', `${machine.name} serves without its log`);
    }
  }

  onDown(machine: Machine, why: string, downMs: number): void {
    if (machine.wasMoving) this.#moving--;
    this.note(`${machine.name} crashes ${why}`);
    this.#count(why.startsWith('at ') ? `fault failpoint` : 'crashes');
    if (why.startsWith('at ')) this.#count(`failpoint ${why.slice(3)}`);
    if (!this.#healed) this.#restartLater(machine, downMs);
    else this.#restartLater(machine, Math.min(downMs, 1_000));
  }

  onEnded(machine: Machine, error: Error | null): void {
    this.note(`${machine.name} ends: ${error?.message ?? 'as asked'}`);
    if (machine.leaving) {
      // The administrator switches it off in a while; until then it ends as often as it is started.
      if (machine.stoppingFor === null && !machine.mayFail) this.#count('removed members ended');
      else if (machine.stoppingFor !== null) this.#moving--;
      this.#restartLater(machine, 300);
      return;
    }
    if (machine.stoppingFor !== null) {
      this.#moving--;
      this.#restartLater(machine, machine.stoppingFor);
      if (error === null) return;
    }
    if (machine.mayFail) {
      this.#count('ended by a disk error');
      this.#restartLater(machine, 300);
      return;
    }
    this.invariants.broken('members go on', `${machine.name} ended by itself: ${error?.stack}`);
  }

  onStartFailed(machine: Machine, error: Error): void {
    this.#moving--;
    this.note(`${machine.name} does not start: ${error.message}`);
    if (machine.forgetful !== null) {
      machine.forgetful();
      machine.forgetful = null;
      if (!/already been bootstrapped|do not belong together/.test(error.message)) {
        this.invariants.broken('amnesia is refused', `${machine.name} for another reason: ${error.message}`);
      }
      this.#restartLater(machine, 100);
    } else if (machine.leaving) {
      this.#count('removed members refused');
      this.#restartLater(machine, 300);
    } else if (machine.mayFail || (machine.config.joins && machine.lives < 400)) {
      this.#restartLater(machine, 300);
    } else {
      this.invariants.broken('members start', `${machine.name}: ${error.stack}`);
    }
  }

  onUncaught(machine: Machine, error: Error): void {
    if (error instanceof Crashed) return;
    if (error instanceof Violation) return;
    this.invariants.broken('nothing is uncaught', `${machine.name}: ${error.stack}`);
  }

  onLog(machine: Machine, level: string, message: string, fields?: Record<string, unknown>): void {
    this.#mix(machine.number, message.length);
    if (message.includes('snapshot') && message.includes('installed')) this.#count('snapshots installed');
    if (this.#trace !== undefined) {
      this.note(`${machine.name} ${level}: ${message} ${fields === undefined ? '' : inLine(fields)}`);
    }
  }

  cluster(): ReturnType<MachineHost['cluster']> {
    const machine = this.list.find(({ serving, removed, leaving }) => serving && !removed && !leaving);
    const member = machine?.member ?? null;
    return member === null ? null : { clusterId: member.clusterId, members: member.members() };
  }

  // For the parts of the simulation

  /** Faults are over. */
  get healed(): boolean {
    return this.#healed;
  }

  /** Machines that clients may ask. */
  reachable(): readonly Machine[] {
    const reachable = this.list.filter(({ removed, leaving }) => !removed && !leaving);
    return reachable.length > 0 ? reachable : this.list;
  }

  /** A machine for a member that was added with this peer URL. */
  join(name: string, id: bigint, initialCluster: Machine['config']['initialCluster']): Machine {
    const machine = this.#machine(this.list.length, id, name, initialCluster, true);
    this.list.push(machine);
    this.startMachine(machine);
    return machine;
  }

  count(what: string): void {
    this.#count(what);
  }

  note(line: string): void {
    if (this.#trace !== undefined) this.#trace(`${this.env.monotonicMs().toFixed(1).padStart(9)}  ${line}`);
  }

  #machine(
    number: number,
    id: bigint,
    name: string,
    initialCluster: Machine['config']['initialCluster'],
    joins: boolean,
  ): Machine {
    const { plan } = this;
    const rate = plan.clockRates[number % plan.clockRates.length]!;
    this.#moving += joins ? 0 : 1;
    const config = {
      name,
      token: TOKEN,
      initialCluster,
      joins,
      snapshotCount: plan.snapshotCount,
      catchUpEntries: plan.catchUpEntries,
      walSegmentBytes: plan.walSegmentBytes,
      tailBytes: plan.tailBytes,
      electionMs: plan.electionMs,
      progressIntervalMs: plan.progressIntervalMs,
      clock: { offsetMs: 1_000_000 * (number + 1), rate },
      diskMs: plan.diskMs,
      storeMs: plan.storeMs,
      preVote: plan.preVote,
    };
    return new Machine(number, id, config, plan.seed, this);
  }

  #count(what: string, times = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + times;
  }

  #mix(one: number, other: number): void {
    const nowUs = Math.floor(this.env.monotonicMs() * 1000);
    this.#hash = Math.imul(this.#hash ^ (one + other * 31 + nowUs), 0x01000193) >>> 0;
  }

  // The end

  async #heal(): Promise<void> {
    this.note('heal');
    this.#healed = true;
    this.network.quality = PERFECT_LINK;
    this.network.heal();
    for (const client of this.#clients) client.stop();
    for (const machine of this.list) {
      machine.clientsCut = false;
      machine.diskMs = this.plan.diskMs;
      machine.armed = [];
      machine.disk.clearFaults();
      machine.resume();
    }
    const startMs = this.env.monotonicMs();
    const left = (): number => startMs + HEALED_MS - this.env.monotonicMs();
    // Machines that are down come back by themselves within seconds, the last one crashed for so long.
    await this.#pass(left(), () => this.#calm());
    this.#live('members come back', this.#calm(), () => this.#describe());
    for (const { memberId } of this.members()[0]!.alarms()) this.#alarm(memberId, ALARM_OFF, () => {});
    const probes = this.reachable().map((machine, number) => this.#probe(machine, number, left()));
    await this.#pass(left(), () => probes.every(({ ok }) => ok));
    this.#live(
      'every member takes a write',
      probes.every(({ ok }) => ok),
      () => this.#describe(),
    );
    await this.#pass(left(), () => this.#converged());
    this.#live('members converge', this.#converged(), () => this.#describe());
    await this.#seenByWatchers(left);
    this.#count('ms to heal', Math.round(this.env.monotonicMs() - startMs));
    await judge(this, {
      story: () => this.#story(),
      pass: (until) => this.#pass(left(), () => until() && this.#converged()),
    });
    // Nobody renews any more: every lease ends.
    const ended = (): boolean => this.members().every(({ lessor }) => lessor.list().length === 0);
    const reigns = this.counts.reigns ?? 0;
    await this.#pass(Math.min(left(), LEASES_END_MS), ended);
    // A new leader may count every TTL from its election.
    if (this.counts.reigns !== reigns) await this.#pass(Math.min(left(), LEASES_END_MS), ended);
    this.#live('leases end', ended(), () => this.#describe());
  }

  #live(invariant: string, holds: boolean, describe: () => string): void {
    if (!holds) throw this.invariants.broken(invariant, describe());
  }

  /** Nothing is under way: all machines serve, all clients have their answers. */
  #calm(): boolean {
    return (
      this.list.every(({ serving, removed, leaving }) => serving || removed || leaving) &&
      this.#clients.every(({ busy }) => !busy) &&
      this.#administrator.idle
    );
  }

  /** A write through one member, again and again until it is taken. */
  #probe(machine: Machine, number: number, untilMs: number): { ok: boolean } {
    const probe = { ok: false };
    const client = new Client(200 + number, this.#clientWorld(), this.plan, new Shared());
    this.#clients.push(client);
    const endMs = this.env.monotonicMs() + untilMs - 5_000;
    const attempt = (): void => {
      if (this.env.monotonicMs() > endMs || machine.removed || machine.leaving) {
        probe.ok = machine.removed || machine.leaving;
        return;
      }
      const call = { kind: 'put', key: `probe ${number}`, value: client.value() } as const;
      client.once(call, machine, (ok) => {
        if (!ok) {
          this.env.setTimer(200, attempt);
          return;
        }
        client.once({ kind: 'range', key: 'k', end: '\0' }, machine, (read) => {
          probe.ok = read;
          if (!read) this.env.setTimer(200, attempt);
        });
      });
    };
    attempt();
    return probe;
  }

  members(): Member[] {
    return this.reachable().flatMap(({ member }) => (member === null ? [] : [member]));
  }

  #converged(): boolean {
    const members = this.members();
    const [first] = members;
    return (
      first !== undefined &&
      members.every(
        ({ appliedIndex, committedIndex, store }) =>
          appliedIndex === first.appliedIndex &&
          store.appliedIndex === appliedIndex &&
          committedIndex === appliedIndex &&
          store.revision === first.store.revision,
      ) &&
      this.invariants.highestRevision === first.store.revision
    );
  }

  /** Every watch that stands hears of everything. */
  async #seenByWatchers(left: () => number): Promise<void> {
    // Leases go on expiring: what is newest is asked anew each time.
    const last = (): number => this.invariants.highestRevision;
    const asking = (): void => {
      for (const watcher of this.#watchers) if (watcher.created) watcher.ask();
      this.env.setTimer(1_000, asking);
    };
    asking();
    const seen = (): boolean => this.#watchers.every((watcher) => watcher.created && watcher.next > last());
    await this.#pass(Math.max(0, left()), seen);
    this.#live('watches hear of everything', seen(), () =>
      this.#watchers.map(({ next, created }) => `next ${next} of ${last()}, created ${created}`).join('; '),
    );
    for (const watcher of this.#watchers) watcher.stop(last());
  }

  /** What the stores showed, as a watch from the beginning would have seen it. */
  #story(): HistoryWatch {
    const responses = [...this.invariants.revisions.values()]
      .sort((a, b) => a.revision - b.revision)
      .map((batch) => observed(batch));
    const created = {
      headerRevision: 1,
      created: true,
      canceled: false,
      compactRevision: 0,
      fragment: false,
    };
    const record = {
      key: '\0',
      end: '\0',
      withoutPuts: false,
      withoutDeletes: false,
      withPrevious: false,
      sessions: [{ startRevision: 1, responses: [{ ...created, events: [] }, ...responses] }],
    };
    return { member: 'stores', endpoint: 'stores', record };
  }

  #describe(): string {
    return this.list
      .map((machine) => {
        const { member } = machine;
        const state = machine.removed ? 'removed' : (machine.life?.state ?? 'down');
        return member === null
          ? `${machine.name}: ${state}`
          : `${machine.name}: ${state} leader ${member.leader.toString(16)} term ${member.term} committed ${member.committedIndex} applied ${member.appliedIndex} revision ${member.store.revision}`;
      })
      .join('\n');
  }
}

function observed(batch: EventBatch) {
  return {
    headerRevision: batch.revision,
    created: false,
    canceled: false,
    compactRevision: 0,
    fragment: false,
    events: batch.events.map(({ type, record }) => ({
      type,
      record: {
        key: Buffer.from(record.key).toString('latin1'),
        value: type === 'delete' ? '' : Buffer.from(record.value).toString('latin1'),
        createRevision: type === 'delete' ? 0 : record.createRevision,
        modRevision: record.modRevision,
        version: type === 'delete' ? 0 : record.version,
        lease: type === 'delete' ? 0n : record.lease,
      },
      previous: null,
    })),
  };
}

function peerUrlOf(name: string): string {
  return `http://${name}:2380`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function inLine(fields: Record<string, unknown>): string {
  return JSON.stringify(fields, (_key, value) =>
    typeof value === 'bigint' ? value.toString(16) : value instanceof Error ? value.message : value,
  );
}
