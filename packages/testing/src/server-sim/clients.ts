/**
 * Clients of the simulated cluster: each does one thing at a time, writes down what came of it, and goes to another
 * member when one does not answer.
 *
 * What they share (keys, leases, the newest revision heard of) makes them meet: compare-and-swap on what another has just
 * written, keep-alives of a lease that another revokes, reads at revisions that a compaction is about to take.
 */
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse, services } from '@quorate/proto';
import type { CompareClause, RecordedCall, TxnCall, TxnStep } from '../checkers/history.ts';
import type { HistoryRecorder, OpenCall, RecordingClient } from '../checkers/recorder.ts';
import type { SimEnv } from '../sim/env.ts';
import { Random } from '../sim/random.ts';
import { type Connections, TIMED_OUT } from './connection.ts';
import type { Machine } from './machine.ts';
import type { Mix, Plan } from './plan.ts';
import { headerOf, toWire } from './wire-calls.ts';

export interface ClientWorld {
  readonly env: SimEnv;
  readonly recorder: HistoryRecorder;
  readonly connections: Connections;
  /** Machines that clients know of. */
  machines(): readonly Machine[];
}

/** What clients tell each other. */
export class Shared {
  revision = 1;
  readonly leases: bigint[] = [];
  nextLease = 1n;
}

const TIMEOUT_MS = 2_500;
const KEEP_ALIVE = services['etcdserverpb.Lease'].LeaseKeepAlive.path;

export class Client {
  readonly #world: ClientWorld;
  readonly #plan: Plan;
  readonly #shared: Shared;
  readonly #random: Random;
  /** Of its own, so that wishes for streams do not move what else is drawn. */
  readonly #streams: Random;
  readonly #recording: RecordingClient;
  #machine: number;
  #stopped = false;
  busy = false;
  done = 0;
  acknowledged = 0;

  constructor(number: number, world: ClientWorld, plan: Plan, shared: Shared) {
    this.#world = world;
    this.#plan = plan;
    this.#shared = shared;
    this.#random = new Random(plan.seed, `client ${number}`);
    this.#streams = new Random(plan.seed, `streams of client ${number}`);
    this.#recording = world.recorder.client(`c${number}`);
    this.#machine = number;
  }

  start(): void {
    this.#later();
  }

  /** Begins nothing new. */
  stop(): void {
    this.#stopped = true;
  }

  /** One call now, after whatever is under way. @param done whether it succeeded */
  once(call: RecordedCall, machine: Machine, done: (ok: boolean) => void): void {
    this.#perform(call, machine, done);
  }

  /** Unique by its beginning; what fills it up is noise. */
  value(): string {
    const unique = `${this.#recording.uniqueValue()} `;
    return this.#random.chance(0.3) ? unique.padEnd(this.#plan.valueBytes, '.') : unique;
  }

  #later(): void {
    this.#world.env.setTimer(this.#random.int(2 * this.#plan.thinkMs + 1), () => {
      if (this.#stopped) return;
      const machines = this.#world.machines();
      if (this.#random.chance(0.1)) this.#machine = this.#random.int(machines.length);
      const machine = machines[this.#machine % machines.length]!;
      this.#perform(this.#draw(), machine, (ok) => {
        if (!ok) this.#machine++;
        this.#later();
      });
    });
  }

  #perform(call: RecordedCall, machine: Machine, done: (ok: boolean) => void): void {
    this.busy = true;
    const open = this.#recording.begin(call, machine.name);
    const ended = (ok: boolean): void => {
      this.busy = false;
      this.done++;
      if (ok) this.acknowledged++;
      done(ok);
    };
    if (call.kind === 'lease-keepalive') {
      this.#keepAlive(call.lease, machine, open, ended);
      return;
    }
    const { path, request, decode } = toWire(call);
    this.#world.connections.call(machine, path, request, TIMEOUT_MS, (answer) => {
      if (answer.status === 'ok') {
        const { answer: decoded, header } = decode(answer.response);
        open.ok(decoded, { ...header, incarnation: answer.life });
        this.#shared.revision = Math.max(this.#shared.revision, header.revision);
        if (decoded.kind === 'lease-grant') this.#shared.leases.push(decoded.lease);
        ended(true);
      } else {
        open.error(answer.message);
        // A refusal is an answer of a member that works.
        ended(answer.status === 'error' && answer.code !== 14 && answer.code !== 4);
      }
    });
  }

  #keepAlive(lease: bigint, machine: Machine, open: OpenCall, ended: (ok: boolean) => void): void {
    let settled = false;
    const settle = (finish: () => void, ok: boolean): void => {
      if (settled) return;
      settled = true;
      timer.cancel();
      stream.close();
      finish();
      ended(ok);
    };
    const timer = this.#world.env.setTimer(TIMEOUT_MS, () => settle(() => open.error(TIMED_OUT), false));
    const stream = this.#world.connections.open(
      machine,
      KEEP_ALIVE,
      { needsLeader: this.#streams.chance(0.4) },
      (message) => {
        const { TTL, header } = LeaseKeepAliveResponse.decode(message);
        settle(() => open.ok({ kind: 'lease-keepalive', ttlSec: Number(TTL) }, headerOf(header)), true);
      },
      (message) => settle(() => open.error(message), false),
    );
    stream.send(LeaseKeepAliveRequest.encode({ ID: lease }));
  }

  #draw(): RecordedCall {
    const random = this.#random;
    const kind = random.weighted(this.#plan.mix as unknown as Record<keyof Mix, number>);
    switch (kind) {
      case 'put':
        return this.#put();
      case 'get':
        return { kind: 'range', key: this.#key(), end: '' };
      case 'range':
        return { kind: 'range', ...this.#span(), limit: random.pick([0, 0, 2]) };
      case 'serializable':
        return { kind: 'range', ...this.#span(), serializable: true };
      case 'old':
        return {
          kind: 'range',
          ...this.#span(),
          revision: Math.max(1, this.#shared.revision - random.int(6)),
        };
      case 'delete':
        return random.chance(0.7)
          ? { kind: 'delete', key: this.#key(), end: '', prevKv: random.chance(0.5) }
          : { kind: 'delete', ...this.#span(), prevKv: random.chance(0.5) };
      case 'txn':
        return this.#txn();
      case 'grant':
        return { kind: 'lease-grant', lease: this.#shared.nextLease++, ttlSec: random.pick([2, 3, 6]) };
      case 'keepalive':
      case 'revoke':
      case 'timeToLive': {
        const lease = this.#lease();
        if (lease === 0n) return this.#put();
        if (kind === 'keepalive') return { kind: 'lease-keepalive', lease };
        if (kind === 'revoke') return { kind: 'lease-revoke', lease };
        return { kind: 'lease-time-to-live', lease };
      }
    }
  }

  #put(): RecordedCall & TxnStep {
    const lease = this.#random.chance(0.3) ? this.#lease() : 0n;
    return {
      kind: 'put',
      key: this.#key(),
      value: this.value(),
      prevKv: this.#random.chance(0.3),
      ...(lease === 0n ? {} : { lease }),
    };
  }

  #txn(): TxnCall {
    const random = this.#random;
    const compare = Array.from({ length: random.int(3) }, () => this.#compare());
    const steps = (): TxnStep[] => {
      const taken = new Set<string>();
      const list: TxnStep[] = [];
      for (let left = random.int(4); left > 0; left--) {
        const draw = random.int(3);
        if (draw === 0) list.push({ kind: 'range', ...this.#span() });
        else {
          // A key may be written once in a txn.
          const key = this.#key();
          if (taken.has(key)) continue;
          taken.add(key);
          if (draw === 1) list.push({ kind: 'delete', key, end: '', prevKv: random.chance(0.5) });
          else list.push({ ...(this.#put() as Extract<TxnStep, { kind: 'put' }>), key });
        }
      }
      return list;
    };
    const success = steps();
    const failure = steps();
    // Without any step a txn counts as serializable: it asks nobody.
    if (success.length + failure.length === 0) success.push({ kind: 'range', ...this.#span() });
    return { kind: 'txn', compare, success, failure };
  }

  #compare(): CompareClause {
    const random = this.#random;
    const key = this.#key();
    const result = random.pick(['equal', 'greater', 'less', 'not-equal'] as const);
    switch (random.int(4)) {
      case 0:
        return { key, target: 'version', result, operand: random.int(3) };
      case 1:
        return { key, target: 'create', result, operand: random.pick([0, this.#shared.revision]) };
      case 2:
        return { key, target: 'lease', result, operand: random.pick([0n, this.#lease()]) };
      default:
        return { key, target: 'mod', result, operand: Math.max(0, this.#shared.revision - random.int(4)) };
    }
  }

  #key(): string {
    return `k${this.#random.int(this.#plan.keys)}`;
  }

  #span(): { key: string; end: string } {
    const random = this.#random;
    if (random.chance(0.3)) return { key: 'k', end: 'l' };
    if (random.chance(0.2)) return { key: this.#key(), end: '\0' };
    const [one, other] = [this.#key(), this.#key()].sort();
    return { key: one!, end: one === other ? '' : other! };
  }

  #lease(): bigint {
    const { leases } = this.#shared;
    if (leases.length === 0) return 0n;
    return leases[Math.max(0, leases.length - 1 - this.#random.int(4))]!;
  }
}
