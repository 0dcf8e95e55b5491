/**
 * The faults of a plan, brought to the machines they name. A fault is counted when it strikes: one that meets a machine that is
 * down, or comes after the healing, is none.
 */
import { services } from '@quorate/proto';
import { ALARM_OFF, ALARM_ON, setAlarm } from './alarms.ts';
import type { Machine } from './machine.ts';
import type { Fault } from './plan.ts';
import type { Simulation } from './simulation.ts';

const DEFRAGMENT = services['etcdserverpb.Maintenance'].Defragment.path;

export class Faults {
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  strike(fault: Fault): void {
    if (this.#simulation.healed) return;
    const machine =
      'machine' in fault ? this.#simulation.list[fault.machine % this.#simulation.list.length]! : null;
    this.#simulation.note(`fault ${JSON.stringify(fault)}`);
    switch (fault.kind) {
      case 'crash':
        if (machine!.running) this.#fired(fault);
        machine!.crash(fault.power, 'killed', fault.downMs);
        return;
      case 'crash-all':
        this.#fired(fault);
        for (const one of this.#simulation.list)
          one.crash(fault.power, 'killed with all others', fault.downMs);
        return;
      case 'failpoint':
        machine!.armed.push({ name: fault.name, left: fault.nth, power: fault.power, downMs: fault.downMs });
        return;
      case 'stop':
        if (machine!.serving) {
          this.#fired(fault);
          this.#simulation.moving++;
          machine!.stop(fault.downMs);
        }
        return;
      case 'pause':
        if (!machine!.running) return;
        this.#fired(fault);
        machine!.pause();
        this.#simulation.env.setTimer(fault.forMs, () => machine!.resume());
        return;
      case 'partition':
        this.#fired(fault);
        this.#partition(fault.side, fault.oneWay, fault.forMs);
        return;
      case 'cut-link': {
        const from = this.#simulation.list[fault.from]!.id;
        const to = this.#simulation.list[fault.to]!.id;
        this.#fired(fault);
        this.#cut(from, to, fault.forMs);
        return;
      }
      case 'cut-clients':
        this.#fired(fault);
        machine!.clientsCut = true;
        this.#simulation.env.setTimer(fault.forMs, () => {
          machine!.clientsCut = false;
        });
        return;
      case 'slow-disk':
        this.#fired(fault);
        machine!.diskMs = fault.latencyMs;
        this.#simulation.env.setTimer(fault.forMs, () => {
          machine!.diskMs = this.#simulation.plan.diskMs;
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
        this.#simulation.administrator.moveLeader(this.#simulation.list[fault.to]!, () => this.#fired(fault));
        return;
      case 'defragment':
        if (!machine!.serving) return;
        this.#simulation.connections.call(machine!, DEFRAGMENT, new Uint8Array(0), 20_000, (answer) => {
          if (answer.status === 'ok') this.#fired(fault);
        });
        return;
      case 'compact': {
        const client = this.#simulation.users.own(100);
        const revision = this.#simulation.invariants.highestRevision - fault.behind;
        const target = this.#simulation.list.find(({ serving }) => serving);
        if (target === undefined || revision < 1) return;
        client.once({ kind: 'compact', revision }, target, (ok) => {
          if (!ok) return;
          this.#fired(fault);
          this.#simulation.users.watchFrom(revision);
        });
        return;
      }
      case 'alarm':
        setAlarm(this.#simulation, machine!.id, ALARM_ON, () => {
          this.#fired(fault);
          this.#simulation.env.setTimer(fault.forMs, () =>
            setAlarm(this.#simulation, machine!.id, ALARM_OFF),
          );
        });
        return;
      case 'add':
        this.#simulation.administrator.add(() => this.#fired(fault));
        return;
      case 'remove':
        this.#simulation.administrator.remove(machine!, () => this.#fired(fault));
        return;
      case 'replace':
        this.#simulation.administrator.replace(machine!, () => this.#fired(fault));
        return;
    }
  }

  #partition(side: readonly number[], oneWay: boolean, forMs: number): void {
    const inside = new Set(side);
    for (const from of this.#simulation.list) {
      for (const to of this.#simulation.list) {
        if (inside.has(from.number) === inside.has(to.number)) continue;
        if (oneWay && !inside.has(from.number)) continue;
        this.#cut(from.id, to.id, forMs);
      }
    }
  }

  #cut(from: bigint, to: bigint, forMs: number): void {
    this.#simulation.network.cut(from, to);
    this.#simulation.env.setTimer(forMs, () => this.#simulation.network.mend(from, to));
  }

  /**
   * Comes back without its log, or with nothing at all: starting must be refused (case 25), or it might vote a second time.
   * Then everything is found again.
   */
  #forget(machine: Machine, total: boolean, downMs: number): void {
    if (!machine.running) return;
    machine.crash(false, 'forgets', Number.POSITIVE_INFINITY);
    this.#simulation.env.setTimer(downMs, () => {
      if (machine.running || machine.removed || this.#simulation.healed) {
        this.#simulation.startMachine(machine);
        return;
      }
      // Who has nothing at all is known by the others that its flags name; who has lost its log alone, by its store.
      const listed = this.#simulation.supervisor.cluster()?.members.find(({ id }) => id === machine.id);
      const asks = machine.config.initialCluster.length > 1 && (listed?.clientUrls.length ?? 0) > 0;
      const known = total ? asks : machine.durableIndex > 0;
      if (known) {
        const restore = machine.lose(total);
        machine.forgetful = () => {
          restore();
          this.#simulation.count(total ? 'total amnesia refused' : 'lost log refused');
          this.#simulation.count('fault amnesia');
        };
      }
      this.#simulation.startMachine(machine);
    });
  }

  #fired(fault: Fault): void {
    this.#simulation.count(`fault ${fault.kind}`);
  }
}
