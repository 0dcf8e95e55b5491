/**
 * Changes of the cluster through its own API: members added as learners and promoted, removed, replaced; leadership moved.
 *
 * One change at a time, as a careful operator makes them. An answer that never came is looked up in the list of members before
 * anything else is done.
 */
import {
  type Codec,
  MemberAddRequest,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberRemoveRequest,
  MoveLeaderRequest,
  services,
} from '@quorate/proto';
import type { Answer } from './connection.ts';
import type { Machine } from './machine.ts';
import type { Simulation } from './simulation.ts';

const Cluster = services['etcdserverpb.Cluster'];
const Maintenance = services['etcdserverpb.Maintenance'];
const TIMEOUT_MS = 8_000;
const RETRY_MS = 300;
/** Tries until an operator gives up. */
const MAX_TRIES = 60;
/** A cluster that is not well takes no changes; the operator waits for better weather this often. */
const WEATHER_TRIES = 8;
const WEATHER_MS = 1_000;

export class Administrator {
  readonly #simulation: Simulation;
  /** Changes that wait for the one under way. */
  readonly #queue: (() => void)[] = [];
  #busy = false;
  #joined = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  get idle(): boolean {
    return !this.#busy && this.#queue.length === 0;
  }

  moveLeader(to: Machine, fired: () => void): void {
    const leader = this.#leader();
    if (leader === null || leader === to) return;
    const request = MoveLeaderRequest.encode({ targetID: to.id });
    this.#simulation.connections.call(leader, Maintenance.MoveLeader.path, request, TIMEOUT_MS, (answer) => {
      if (answer.status === 'ok') fired();
    });
  }

  add(fired: () => void): void {
    this.#enqueue((next) => this.#add(fired, next));
  }

  remove(machine: Machine, fired: () => void): void {
    this.#enqueue((next) => this.#remove(machine, fired, next));
  }

  /** The old one goes first, as etcd advises. */
  replace(machine: Machine, fired: () => void): void {
    this.#enqueue((next) =>
      this.#remove(
        machine,
        () => {},
        (removed) => {
          if (removed) this.#add(fired, next);
          else next(false);
        },
      ),
    );
  }

  #enqueue(change: (next: (done: boolean) => void) => void): void {
    this.#queue.push(() =>
      change(() => {
        this.#busy = false;
        this.#next();
      }),
    );
    this.#next();
  }

  #next(): void {
    if (this.#busy) return;
    const change = this.#queue.shift();
    if (change === undefined) return;
    this.#busy = true;
    change();
  }

  #add(fired: () => void, next: (done: boolean) => void, tries = WEATHER_TRIES): void {
    const simulation = this.#simulation;
    const name = `j${this.#joined++}`;
    const peerUrl = `http://${name}:2380`;
    const request = MemberAddRequest.encode({ peerURLs: [peerUrl], isLearner: true });
    this.#ask(Cluster.MemberAdd.path, request, (answer) => {
      if (answer.status === 'error') {
        simulation.count(`not added: ${answer.message}`);
        if (tries === 0 || simulation.healed) next(false);
        else simulation.env.setTimer(WEATHER_MS, () => this.#add(fired, next, tries - 1));
        return;
      }
      this.#list((members) => {
        const added = members?.find(({ peerURLs }) => peerURLs.includes(peerUrl));
        if (added === undefined) {
          next(false);
          return;
        }
        simulation.count('learners added');
        const initialCluster = members!.map(({ peerURLs }) => ({
          name: nameOf(peerURLs[0]!),
          peerUrls: peerURLs,
        }));
        const machine = simulation.join(name, added.ID, initialCluster);
        this.#promote(machine, MAX_TRIES, (promoted) => {
          if (promoted) fired();
          next(promoted);
        });
      });
    });
  }

  #promote(machine: Machine, tries: number, done: (promoted: boolean) => void): void {
    if (tries === 0) {
      done(false);
      return;
    }
    this.#ask(Cluster.MemberPromote.path, MemberPromoteRequest.encode({ ID: machine.id }), (answer) => {
      if (answer.status === 'ok') {
        this.#simulation.count('learners promoted');
        done(true);
        return;
      }
      this.#simulation.env.setTimer(RETRY_MS, () =>
        this.#list((members) => {
          const listed = members?.find(({ ID }) => ID === machine.id);
          if (listed?.isLearner === false) {
            this.#simulation.count('learners promoted');
            done(true);
          } else this.#promote(machine, tries - 1, done);
        }),
      );
    });
  }

  #remove(machine: Machine, fired: () => void, next: (done: boolean) => void, tries = WEATHER_TRIES): void {
    const simulation = this.#simulation;
    if (machine.removed || machine.leaving || simulation.reachable().length === 1) {
      next(false);
      return;
    }
    machine.leaving = true;
    const request = MemberRemoveRequest.encode({ ID: machine.id });
    this.#ask(
      Cluster.MemberRemove.path,
      request,
      (answer) => {
        const settle = (members: readonly { ID: bigint }[] | null): void => {
          const gone = members?.every(({ ID }) => ID !== machine.id);
          if (gone !== true) {
            machine.leaving = false;
            if (answer.status === 'error') simulation.count(`not removed: ${answer.message}`);
            if (tries === 0 || simulation.healed) next(false);
            else simulation.env.setTimer(WEATHER_MS, () => this.#remove(machine, fired, next, tries - 1));
            return;
          }
          simulation.count('members removed');
          fired();
          simulation.env.setTimer(3_000, () => this.#switchOff(machine, next));
        };
        this.#list(settle);
      },
      machine,
    );
  }

  /**
   * It ends when it hears of it; whoever does not is switched off. Not before a leader is there that does without it: after a
   * crash the others may need its vote to learn that it is gone.
   */
  #switchOff(machine: Machine, next: (done: boolean) => void): void {
    const leader = this.#leader(this.#simulation.list.filter((one) => one !== machine));
    if (leader?.member?.members().every(({ id }) => id !== machine.id) !== true) {
      this.#simulation.env.setTimer(RETRY_MS, () => this.#switchOff(machine, next));
      return;
    }
    machine.crash(false, 'is switched off', Number.POSITIVE_INFINITY);
    machine.removed = true;
    next(true);
  }

  #list(
    done: (members: readonly { ID: bigint; peerURLs: string[]; isLearner: boolean }[] | null) => void,
  ): void {
    const attempt = (tries: number): void => {
      this.#ask(Cluster.MemberList.path, MemberListRequest.encode({ linearizable: true }), (answer) => {
        if (answer.status === 'ok') done(decode(MemberListResponse, answer.response).members);
        else if (tries === 0) done(null);
        else this.#simulation.env.setTimer(RETRY_MS, () => attempt(tries - 1));
      });
    };
    attempt(MAX_TRIES);
  }

  /** @param except is not asked: it is about to leave */
  #ask(path: string, request: Uint8Array, done: (answer: Answer) => void, except?: Machine): void {
    const simulation = this.#simulation;
    const attempt = (tries: number): void => {
      const serving = simulation.list.filter(
        (machine) =>
          machine.serving &&
          machine !== except &&
          !machine.leaving &&
          !machine.clientsCut &&
          machine.member?.isLearner === false,
      );
      const machine = this.#leader(serving) ?? serving[tries % Math.max(1, serving.length)];
      if (machine === undefined) {
        if (tries === 0) done({ status: 'lost', message: 'nobody serves' });
        else simulation.env.setTimer(RETRY_MS, () => attempt(tries - 1));
        return;
      }
      simulation.connections.call(machine, path, request, TIMEOUT_MS, done);
    };
    attempt(MAX_TRIES);
  }

  #leader(among: readonly Machine[] = this.#simulation.list): Machine | null {
    return among.find(({ serving, member, id }) => serving && member?.leader === id) ?? null;
  }
}

function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  return codec.decode(bytes);
}

/** `http://m1:2380` is m1. */
function nameOf(peerUrl: string): string {
  return peerUrl.slice('http://'.length, -':2380'.length);
}
