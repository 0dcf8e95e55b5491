/**
 * Whole members as a cluster in one process under virtual time: one plan, one run, equal to the last event.
 *
 *   1. `durationMs` of clients, weather and faults; `invariants.ts` looks after every piece of work of every member.
 *   2. Everything heals, clients stop, everybody is started. Within `HEALED_MS` the cluster must elect a leader, take a
 *      write through each member, and bring all members to the same state.
 *   3. `judge.ts` reads what clients wrote down.
 *
 * This file holds the world and lets time pass. Read `plan.ts` for what is done, `faults.ts` for how, `machine.ts` for a member and
 * its crashes, `supervisor.ts` for what is heard of it, `users.ts` for clients and watchers, `healing.ts` for the second half.
 */
import type { Member } from '@quorate/server';
import { memberIdOf } from '@quorate/server/testing';
import { HistoryRecorder } from '../checkers/recorder.ts';
import { SimEnv } from '../sim/env.ts';
import { SimNetwork } from '../sim/network.ts';
import { Random } from '../sim/random.ts';
import { Administrator } from './administrator.ts';
import { Connections } from './connection.ts';
import { Faults } from './faults.ts';
import { heal } from './healing.ts';
import { Invariants, Violation } from './invariants.ts';
import { Machine } from './machine.ts';
import { type Mutations, SOUND } from './mutations.ts';
import type { Plan } from './plan.ts';
import { Supervisor } from './supervisor.ts';
import { Users } from './users.ts';

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

const TOKEN = 'simulated';

export async function runPlan(plan: Plan, options: RunOptions = {}): Promise<RunResult> {
  return new Simulation(plan, options).run();
}

export class Simulation {
  readonly plan: Plan;
  readonly env: SimEnv;
  readonly network: SimNetwork;
  readonly mutations: Mutations;
  readonly invariants = new Invariants();
  readonly recorder: HistoryRecorder;
  readonly connections: Connections;
  readonly supervisor: Supervisor;
  readonly users: Users;
  readonly administrator: Administrator;
  readonly list: Machine[] = [];
  readonly counts: Record<string, number> = {};
  /** Faults are over. */
  healed = false;
  /** Machines that are starting or stopping: promises are under way. */
  moving = 0;
  readonly #trace: ((line: string) => void) | undefined;

  constructor(plan: Plan, { mutations = SOUND, trace }: RunOptions) {
    this.plan = plan;
    this.mutations = mutations;
    this.#trace = trace;
    this.env = new SimEnv(`${plan.seed}/world`);
    this.network = new SimNetwork(this.env, new Random(plan.seed, 'network'));
    this.network.quality = plan.quality;
    this.recorder = new HistoryRecorder({ nowNs: () => Math.round(this.env.monotonicMs() * 1e6) });
    this.connections = new Connections(this.env, new Random(plan.seed, 'connections'));
    this.supervisor = new Supervisor(this);
    this.users = new Users(this);
    this.administrator = new Administrator(this);
    const names = Array.from({ length: plan.members }, (_, number) => `m${number}`);
    const initialCluster = names.map((name) => ({ name, peerUrls: [peerUrlOf(name)] }));
    for (const [number, name] of names.entries()) {
      const id = memberIdOf([peerUrlOf(name)], TOKEN, null);
      this.list.push(this.#machine(number, id, name, initialCluster, false));
    }
  }

  async run(): Promise<RunResult> {
    const { plan } = this;
    try {
      for (const machine of this.list) machine.start();
      this.users.start();
      const faults = new Faults(this);
      for (const { atMs, fault } of plan.faults) this.env.setTimer(atMs, () => faults.strike(fault));
      await this.pass(plan.durationMs);
      await heal(this);
    } catch (error) {
      if (!(error instanceof Violation)) {
        const { name, message, stack } = error as Error;
        this.invariants.broken('the simulator works', `${name}: ${message}\n${stack}`);
      }
    }
    this.#countEverything();
    const { violation } = this.invariants;
    return {
      violation: violation === null ? null : { invariant: violation.invariant, detail: violation.message },
      counts: this.counts,
      virtualMs: this.env.monotonicMs(),
      events: this.supervisor.events,
      hash: this.supervisor.hash,
    };
  }

  /** Lets time pass, one moment after the other, and looks for what broke. */
  async pass(durationMs: number, until: () => boolean = () => false): Promise<void> {
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
    const steps = this.moving > 0 ? 24 : 1;
    for (let step = 0; step < steps; step++) await null;
  }

  /** @throws Violation unless it holds */
  live(invariant: string, holds: boolean, describe: () => string): void {
    if (!holds) throw this.invariants.broken(invariant, describe());
  }

  /** Machines that clients may ask. */
  reachable(): readonly Machine[] {
    const reachable = this.list.filter(({ removed, leaving }) => !removed && !leaving);
    return reachable.length > 0 ? reachable : this.list;
  }

  members(): Member[] {
    return this.reachable().flatMap(({ member }) => (member === null ? [] : [member]));
  }

  startMachine(machine: Machine): void {
    if (machine.running || machine.removed) return;
    this.moving++;
    machine.start();
  }

  restartLater(machine: Machine, downMs: number): void {
    if (downMs === Number.POSITIVE_INFINITY) return;
    this.env.setTimer(downMs, () => this.startMachine(machine));
  }

  /** A machine for a member that was added with this peer URL. */
  join(name: string, id: bigint, initialCluster: Machine['config']['initialCluster']): Machine {
    const machine = this.#machine(this.list.length, id, name, initialCluster, true);
    this.list.push(machine);
    this.startMachine(machine);
    return machine;
  }

  count(what: string, times = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + times;
  }

  get traced(): boolean {
    return this.#trace !== undefined;
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
    this.moving += joins ? 0 : 1;
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
    return new Machine(number, id, config, plan.seed, this.supervisor);
  }

  #countEverything(): void {
    this.count('leader changes', this.invariants.leaderChanges);
    this.count('revisions', this.invariants.highestRevision);
    this.count('client calls', sum(this.users.clients.map(({ done }) => done)));
    this.count('client calls acknowledged', sum(this.users.clients.map(({ acknowledged }) => acknowledged)));
    this.count('messages delivered', this.network.tally.delivered);
    this.count('messages lost', this.network.tally.lost);
    this.count('messages repeated', this.network.tally.repeated);
    this.count('snapshots broken', this.network.tally.snapshotsBroken);
    this.count('chunks damaged', this.network.tally.chunksDamaged);
    this.count('calls between members', this.network.tally.calls);
    for (const { disk } of this.list) {
      this.count('unsynced writes lost or torn', disk.tally.droppedWrites + disk.tally.tornWrites);
      this.count('unsynced names lost', disk.tally.droppedNames);
    }
  }
}

function peerUrlOf(name: string): string {
  return `http://${name}:2380`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
