/**
 * Hears what the machines report: every piece of work is looked at by the invariants and goes into the hash of the run, and what is
 * down is started again. An end is either meant (a crash, a failing disk, a removed member) or a violation.
 */
import type { Member } from '@quorate/server';
import type { SimEnv } from '../sim/env.ts';
import type { SimNetwork } from '../sim/network.ts';
import { Violation } from './invariants.ts';
import type { Machine, MachineHost } from './machine.ts';
import { Crashed } from './member-env.ts';
import type { Mutations } from './mutations.ts';
import type { Simulation } from './simulation.ts';

export class Supervisor implements MachineHost {
  readonly env: SimEnv;
  readonly network: SimNetwork;
  readonly mutations: Mutations;
  readonly #simulation: Simulation;
  /** Pieces of work that members did. */
  events = 0;
  /** Of everything that members did and said, in order. */
  hash = 0x811c9dc5;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.env = simulation.env;
    this.network = simulation.network;
    this.mutations = simulation.mutations;
  }

  afterWork(machine: Machine): void {
    this.events++;
    const { member } = machine;
    if (member === null) return;
    this.#simulation.invariants.look(machine.name, member);
    this.#mix(machine.number, member.appliedIndex + member.term);
    const late = machine.life?.env.lateCount ?? 0;
    if (late > 100_000) this.#simulation.invariants.broken('bounded', `${machine.name} holds ${late} events`);
    if (this.events % 4096 === 0 && this.#simulation.env.timerCount > 20_000) {
      this.#simulation.invariants.broken('bounded', `${this.#simulation.env.timerCount} timers are set`);
    }
  }

  onStore(machine: Machine, store: Member['store']): void {
    const { life } = machine;
    this.#simulation.invariants.watchStore(machine.name, store, () => life?.env.alive ?? false);
  }

  onMember(_machine: Machine, member: Member): void {
    let leads = false;
    member.onLeaderChange((leader) => {
      const now = leader === member.memberId;
      if (now && !leads) this.#simulation.count('reigns');
      leads = now;
    });
  }

  onLessorProposal(machine: Machine, kind: string, primary: boolean): void {
    if (kind !== 'lease-expire') return;
    this.#simulation.count('leases expired');
    const { member } = machine;
    this.#simulation.invariants.revokeProposed(machine.name, primary, member?.leader === machine.id);
  }

  onReadAsked(machine: Machine): (error: Error | null) => void {
    return this.#simulation.invariants.readAsked(machine.name, () => machine.member);
  }

  onServing(machine: Machine): void {
    this.#simulation.moving--;
    this.#simulation.note(`${machine.name} serves, life ${machine.lives}`);
    this.#simulation.count('starts');
    if (machine.forgetful !== null) {
      this.#simulation.invariants.broken('amnesia is refused', `${machine.name} serves without its log`);
    }
  }

  onDown(machine: Machine, why: string, downMs: number): void {
    if (machine.wasMoving) this.#simulation.moving--;
    this.#simulation.note(`${machine.name} crashes ${why}`);
    this.#simulation.count(why.startsWith('at ') ? `fault failpoint` : 'crashes');
    if (why.startsWith('at ')) this.#simulation.count(`failpoint ${why.slice(3)}`);
    if (!this.#simulation.healed) this.#simulation.restartLater(machine, downMs);
    else this.#simulation.restartLater(machine, Math.min(downMs, 1_000));
  }

  onEnded(machine: Machine, error: Error | null): void {
    this.#simulation.note(`${machine.name} ends: ${error?.message ?? 'as asked'}`);
    if (machine.leaving) {
      // The administrator switches it off in a while; until then it ends as often as it is started.
      if (machine.stoppingFor === null && !machine.mayFail) this.#simulation.count('removed members ended');
      else if (machine.stoppingFor !== null) this.#simulation.moving--;
      this.#simulation.restartLater(machine, 300);
      return;
    }
    if (machine.stoppingFor !== null) {
      this.#simulation.moving--;
      this.#simulation.restartLater(machine, machine.stoppingFor);
      if (error === null) return;
    }
    if (machine.mayFail) {
      this.#simulation.count('ended by a disk error');
      this.#simulation.restartLater(machine, 300);
      return;
    }
    this.#simulation.invariants.broken('members go on', `${machine.name} ended by itself: ${error?.stack}`);
  }

  onStartFailed(machine: Machine, error: Error): void {
    this.#simulation.moving--;
    this.#simulation.note(`${machine.name} does not start: ${error.message}`);
    if (machine.forgetful !== null) {
      machine.forgetful();
      machine.forgetful = null;
      if (!/already been bootstrapped|do not belong together/.test(error.message)) {
        this.#simulation.invariants.broken(
          'amnesia is refused',
          `${machine.name} for another reason: ${error.message}`,
        );
      }
      this.#simulation.restartLater(machine, 100);
    } else if (machine.leaving) {
      this.#simulation.count('removed members refused');
      this.#simulation.restartLater(machine, 300);
    } else if (machine.mayFail || (machine.config.joins && machine.lives < 400)) {
      this.#simulation.restartLater(machine, 300);
    } else {
      this.#simulation.invariants.broken('members start', `${machine.name}: ${error.stack}`);
    }
  }

  onUncaught(machine: Machine, error: Error): void {
    if (error instanceof Crashed) return;
    if (error instanceof Violation) return;
    this.#simulation.invariants.broken('nothing is uncaught', `${machine.name}: ${error.stack}`);
  }

  onLog(machine: Machine, level: string, message: string, fields?: Record<string, unknown>): void {
    this.#mix(machine.number, message.length);
    if (message.includes('snapshot') && message.includes('installed'))
      this.#simulation.count('snapshots installed');
    if (this.#simulation.traced) {
      this.#simulation.note(
        `${machine.name} ${level}: ${message} ${fields === undefined ? '' : inLine(fields)}`,
      );
    }
  }

  cluster(): ReturnType<MachineHost['cluster']> {
    const machine = this.#simulation.list.find(
      ({ serving, removed, leaving }) => serving && !removed && !leaving,
    );
    const member = machine?.member ?? null;
    return member === null ? null : { clusterId: member.clusterId, members: member.members() };
  }

  #mix(one: number, other: number): void {
    const nowUs = Math.floor(this.env.monotonicMs() * 1000);
    this.hash = Math.imul(this.hash ^ (one + other * 31 + nowUs), 0x01000193) >>> 0;
  }
}

function inLine(fields: Record<string, unknown>): string {
  return JSON.stringify(fields, (_key, value) =>
    typeof value === 'bigint' ? value.toString(16) : value instanceof Error ? value.message : value,
  );
}
