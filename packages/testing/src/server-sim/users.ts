/**
 * Everybody who uses the simulated cluster: the clients and watchers of the plan, single calls on somebody's behalf, and in the
 * end a write through each member.
 */
import { Random } from '../sim/random.ts';
import { Client, Shared } from './clients.ts';
import type { Machine } from './machine.ts';
import type { Simulation } from './simulation.ts';
import { Watcher, type WatcherWorld } from './watcher.ts';

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

export class Users {
  readonly clients: Client[] = [];
  readonly watchers: Watcher[] = [];
  readonly #simulation: Simulation;
  readonly #world: WatcherWorld;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#world = {
      env: simulation.env,
      recorder: simulation.recorder,
      connections: simulation.connections,
      machines: () => simulation.reachable(),
      count: (what) => simulation.count(what),
    };
  }

  start(): void {
    const { plan, env } = this.#simulation;
    const shared = new Shared();
    for (let number = 0; number < plan.clients; number++) {
      const client = new Client(number, this.#world, plan, shared);
      this.clients.push(client);
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
      const watcher = new Watcher(number, wish, this.#world, new Random(plan.seed, `watcher ${number}`));
      this.watchers.push(watcher);
      env.setTimer(random.int(3_000), () => watcher.start());
    }
  }

  /** A client that does nothing by itself. Its number makes its values unique. */
  own(from: number, number = this.clients.length): Client {
    const client = new Client(from + number, this.#world, this.#simulation.plan, new Shared());
    this.clients.push(client);
    return client;
  }

  /** A watch that begins exactly where a compaction ended, which is the oldest it may ask for. */
  watchFrom(revision: number): void {
    const wish = { ...EVERYTHING, startRevision: revision };
    const number = this.watchers.length;
    const random = new Random(this.#simulation.plan.seed, `watcher ${number}`);
    const watcher = new Watcher(random.int(this.#simulation.list.length), wish, this.#world, random);
    this.watchers.push(watcher);
    watcher.start();
  }

  /** A write through one member, again and again until it is taken. */
  probe(machine: Machine, number: number, untilMs: number): { ok: boolean } {
    const probe = { ok: false };
    const client = this.own(200, number);
    const endMs = this.#simulation.env.monotonicMs() + untilMs - 5_000;
    const attempt = (): void => {
      if (this.#simulation.env.monotonicMs() > endMs || machine.removed || machine.leaving) {
        probe.ok = machine.removed || machine.leaving;
        return;
      }
      const call = { kind: 'put', key: `probe ${number}`, value: client.value() } as const;
      client.once(call, machine, (ok) => {
        if (!ok) {
          this.#simulation.env.setTimer(200, attempt);
          return;
        }
        client.once({ kind: 'range', key: 'k', end: '\0' }, machine, (read) => {
          probe.ok = read;
          if (!read) this.#simulation.env.setTimer(200, attempt);
        });
      });
    };
    attempt();
    return probe;
  }

  /** Every watch that stands hears of everything. */
  async seenByAll(left: () => number): Promise<void> {
    const { env, invariants } = this.#simulation;
    // Leases go on expiring: what is newest is asked anew each time.
    const last = (): number => invariants.highestRevision;
    const asking = (): void => {
      for (const watcher of this.watchers) if (watcher.created) watcher.ask();
      env.setTimer(1_000, asking);
    };
    asking();
    const seen = (): boolean => this.watchers.every((watcher) => watcher.created && watcher.next > last());
    await this.#simulation.pass(Math.max(0, left()), seen);
    this.#simulation.live('watches hear of everything', seen(), () =>
      this.watchers.map(({ next, created }) => `next ${next} of ${last()}, created ${created}`).join('; '),
    );
    for (const watcher of this.watchers) watcher.stop(last());
  }
}
