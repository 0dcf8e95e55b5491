/**
 * A Raft cluster in one process under virtual time: one seed, one run, equal to the last event.
 *
 * Safety phase: the schedule's actions and the noise of the network, invariants after every event. Then a liveness
 * phase: faults end, a core is started (`core.ts`), and it has to elect a leader, commit a marker and bring it to every
 * member of the configuration that is up. Read `schedule.ts` for what is done, `invariants.ts` for what is checked,
 * `sim-node.ts` for the host.
 */
import {
  type ConfState,
  EMPTY_CONF,
  EntryType,
  LEAVE_JOINT,
  type Message,
  MessageType,
  members,
} from '@quorate/raft';
import type { Rules } from '@quorate/raft/testing';
import { EventQueue } from '../sim/event-queue.ts';
import { Random } from '../sim/random.ts';
import { type Ambush, Ambushes, type Moment } from './ambush.ts';
import { drawAbsentees } from './core.ts';
import { Invariants, Violation } from './invariants.ts';
import { Network } from './network.ts';
import { requestData } from './request.ts';
import type { Action, PlannedChange, Schedule } from './schedule.ts';
import { type NodeHost, SimNode } from './sim-node.ts';

export interface RunResult {
  readonly violation: { readonly invariant: string; readonly detail: string } | null;
  /** How often what happened; what a set of runs must have seen is asserted on their sum. */
  readonly counts: Readonly<Record<string, number>>;
  readonly events: number;
  readonly virtualMs: number;
  /** Over everything that happened, in order: two runs of one schedule have the same. */
  readonly traceHash: number;
}

export interface RunOptions {
  /** Deliberately broken rules, to prove that the checks bite. */
  readonly rules?: Partial<Rules>;
  /** A broken disk, to the same end: it takes a write that was cut off for a whole one. */
  readonly trustsTornWrites?: boolean;
  /** Receives a line for every event. */
  readonly trace?: (line: string) => void;
}

type Event =
  | { readonly kind: 'tick'; readonly node: SimNode; readonly life: number }
  | { readonly kind: 'deliver'; readonly message: Message; readonly sent: number }
  | { readonly kind: 'disk'; readonly node: SimNode; readonly life: number }
  | { readonly kind: 'apply'; readonly node: SimNode; readonly life: number }
  | { readonly kind: 'start'; readonly node: SimNode }
  | { readonly kind: 'action'; readonly action: Action }
  | { readonly kind: 'strike'; readonly node: SimNode; readonly life: number; readonly ambush: Ambush }
  | { readonly kind: 'heal-all' }
  | { readonly kind: 'nudge' }
  | {
      readonly kind: 'report';
      readonly node: SimNode;
      readonly to: bigint;
      readonly life: number;
      readonly ok: boolean;
    }
  | { readonly kind: 'lost'; readonly node: SimNode; readonly to: bigint; readonly life: number };

const MARKER = new Uint8Array([0xff, 0x6d, 0x61, 0x72, 0x6b]);
const MAX_EVENTS = 2_000_000;
/** Virtual time the healed cluster has for the liveness phase. */
const LIVENESS_MS = 30_000;

export function runSchedule(schedule: Schedule, options: RunOptions = {}): RunResult {
  return new Simulation(schedule, options).run();
}

class Simulation implements NodeHost {
  readonly invariants = new Invariants();
  readonly nodes = new Map<bigint, SimNode>();
  readonly #list: SimNode[] = [];
  readonly #schedule: Schedule;
  readonly #queue = new EventQueue<Event>();
  readonly #noise: Random;
  readonly #network: Network;
  readonly #ambushes: Ambushes;
  readonly #counts: Record<string, number> = {};
  readonly #trace: ((line: string) => void) | undefined;
  readonly #bootstrap: ConfState;
  #healed = false;
  /** Nodes that do not come back when the others are healed. */
  #absent: ReadonlySet<bigint> = new Set();
  #events = 0;
  #traceHash = 0x811c9dc5;
  #nextContext = 1n;
  #nextRequest = 1;
  #markerIndex = 0;

  constructor(schedule: Schedule, options: RunOptions) {
    this.#schedule = schedule;
    this.#trace = options.trace;
    this.#noise = new Random(schedule.seed, 'network');
    this.#network = new Network(schedule, this.#noise, (what) => this.count(what));
    this.#ambushes = new Ambushes(new Random(schedule.seed, 'ambush'));
    if (schedule.raft.readOnly === 'lease') this.count('clusters with leases');
    for (const rate of schedule.tickRates) if (rate !== 1) this.count('skewed clocks');
    const ids = Array.from({ length: schedule.nodes }, (_, number) => BigInt(number + 1));
    const conf: ConfState = { ...EMPTY_CONF, voters: ids.slice(0, schedule.members) };
    this.#bootstrap = conf;
    for (const [number, id] of ids.entries()) {
      const node = new SimNode(this, {
        id,
        number,
        schedule,
        rules: options.rules ?? {},
        random: new Random(schedule.seed, `node ${number}`),
        tears: new Random(schedule.seed, `tears ${number}`),
        habits: new Random(schedule.seed, `host ${number}`),
        trustsTornWrites: options.trustsTornWrites ?? false,
        // Nodes that may join know nothing: they wait to be told.
        bootstrap: number < schedule.members ? conf : null,
      });
      this.nodes.set(id, node);
      this.#list.push(node);
    }
  }

  get now(): number {
    return this.#queue.now;
  }

  get healed(): boolean {
    return this.#healed;
  }

  run(): RunResult {
    let violation: RunResult['violation'] = null;
    try {
      for (const node of this.#list) this.#start(node);
      for (const { atMs, action } of this.#schedule.actions)
        this.#queue.add(atMs, { kind: 'action', action });
      this.#queue.add(this.#schedule.durationMs, { kind: 'heal-all' });
      const end = this.#schedule.durationMs + LIVENESS_MS;
      while (!this.#converged()) {
        const event = this.#queue.take();
        if (event === undefined || this.now > end) {
          throw new Violation('liveness', this.#describeStall());
        }
        if (++this.#events > MAX_EVENTS) throw new Violation('liveness', `more than ${MAX_EVENTS} events`);
        this.#handle(event);
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      violation =
        error instanceof Violation
          ? { invariant: error.invariant, detail: error.message }
          : { invariant: `the core threw ${error.name}`, detail: error.stack ?? error.message };
    }
    return {
      violation,
      counts: this.#counts,
      events: this.#events,
      virtualMs: this.now,
      traceHash: this.#traceHash >>> 0,
    };
  }

  count(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1;
  }

  #note(line: string): void {
    for (let i = 0; i < line.length; i++) {
      this.#traceHash = Math.imul(this.#traceHash ^ line.charCodeAt(i), 0x01000193);
    }
    this.#trace?.(`${this.now.toFixed(1).padStart(9)}  ${line}`);
  }

  // The life of a node

  #start(node: SimNode): void {
    if (node.running || this.#absent.has(node.id)) return;
    node.start();
    this.#note(`start ${node.id}`);
    this.#scheduleTick(node);
  }

  #scheduleTick(node: SimNode): void {
    const rate = this.#schedule.tickRates[node.number] ?? 1;
    this.#queue.add(this.now + this.#schedule.tickMs * rate, { kind: 'tick', node, life: node.life });
  }

  #crash(node: SimNode, downMs: number): void {
    if (!node.running) return;
    this.#note(`crash ${node.id}`);
    this.count('crashes');
    if (node.conf.votersOutgoing.length > 0) this.count('crashes in a joint configuration');
    if (node.crash()) this.count('crashes that lost unsynced data');
    this.#queue.add(this.now + downMs, { kind: 'start', node });
  }

  scheduleDisk(node: SimNode): void {
    const slow = this.now < node.slowUntil && !this.#healed;
    const latency = slow
      ? node.slowLatencyMs
      : this.#schedule.diskLatencyMs * (0.5 + this.#noise.int(100) / 100);
    this.#queue.add(this.now + latency, { kind: 'disk', node, life: node.life });
  }

  scheduleApply(node: SimNode, delayMs: number): void {
    this.#queue.add(this.now + (this.#healed ? 1 : delayMs), { kind: 'apply', node, life: node.life });
  }

  moment(node: SimNode, moment: Moment): void {
    for (const { ambush, delayMs } of this.#ambushes.at(moment)) {
      // Links are cut before the node says another word; a node dies only after it has finished its turn.
      if (delayMs === 0 && ambush.strike !== 'crash') this.#strike(node, ambush);
      else this.#queue.add(this.now + delayMs, { kind: 'strike', node, life: node.life, ambush });
    }
  }

  #strike(node: SimNode, { on, strike, forMs, allies }: Ambush): void {
    this.#note(`strike ${strike} ${node.id}`);
    this.count(`ambushes: ${on}`);
    const others = this.#list.map(({ number }) => number).filter((number) => number !== node.number);
    switch (strike) {
      case 'crash':
        this.#crash(node, forMs);
        return;
      case 'part':
        this.#network.divide(
          [node.number, ...this.#ambushes.drawAllies(others, allies)],
          this.now + forMs,
          false,
        );
        return;
      case 'eclipse':
        for (const other of this.#list) {
          if (other.leading && other !== node) this.#network.divide([other.number], this.now + forMs, false);
        }
        return;
      case 'divide': {
        const voters = new Set(
          [...node.conf.voters, ...node.conf.votersOutgoing].map((id) => Number(id) - 1),
        );
        this.#network.divide(
          others.filter((number) => voters.has(number)),
          this.now + forMs,
          false,
        );
        return;
      }
    }
  }

  // The network

  send(message: Message): void {
    const from = this.nodes.get(message.from);
    if (from === undefined || !this.nodes.has(message.to)) return;
    const way = this.#network.send(from.number, Number(message.to) - 1, this.now);
    for (const delay of way?.delaysMs ?? []) {
      this.#queue.add(this.now + delay, { kind: 'deliver', message, sent: way!.sent });
    }
    if (message.type === MessageType.snapshot) this.#report(from, message.to, way !== null);
    if (way === null && this.#schedule.host.tellsOfLoss) {
      this.#queue.add(this.now + 5, { kind: 'lost', node: from, to: message.to, life: from.life });
    }
  }

  #report(node: SimNode, to: bigint, ok: boolean): void {
    this.#queue.add(this.now + 30, { kind: 'report', node, to, life: node.life, ok });
  }

  // Events

  #handle(event: Event): void {
    const paused = (node: SimNode) => node.running && this.now < node.pausedUntil && !this.#healed;
    switch (event.kind) {
      case 'tick': {
        const { node } = event;
        if (node.life !== event.life || node.raft === null) return;
        if (paused(node)) {
          // Time goes on; the tick that was due is handled late, and once.
          this.#queue.add(node.pausedUntil, event);
          return;
        }
        node.raft.tick();
        this.#scheduleTick(node);
        node.perform();
        return;
      }
      case 'deliver': {
        const node = this.nodes.get(event.message.to);
        if (node?.raft == null) return;
        if (paused(node)) {
          this.#queue.add(node.pausedUntil, event);
          return;
        }
        const { message, sent } = event;
        if (this.#absent.size > 0 && asksForAnotherConfiguration(message)) return;
        this.#network.delivered(Number(message.from) - 1, node.number, sent);
        this.#note(
          `${message.from}>${message.to} ${message.type} t${message.term} i${message.index} e${message.entries.length}`,
        );
        node.raft.step(message);
        node.perform();
        return;
      }
      case 'disk': {
        const { node } = event;
        if (node.life !== event.life || !node.running) return;
        if (paused(node)) {
          this.#queue.add(node.pausedUntil, event);
          return;
        }
        if (node.failNextWrite) {
          node.failNextWrite = false;
          this.count('disk errors');
          this.#crash(node, this.#healed ? 0 : 300);
          return;
        }
        this.#note(`disk ${node.id}`);
        node.diskDone();
        node.perform();
        return;
      }
      case 'report': {
        const { node } = event;
        if (node.life !== event.life || node.raft === null) return;
        node.raft.reportSnapshot(event.to, event.ok ? 'delivered' : 'failed');
        node.perform();
        return;
      }
      case 'apply': {
        const { node } = event;
        if (node.life !== event.life || !node.running) return;
        if (paused(node)) {
          this.#queue.add(node.pausedUntil, event);
          return;
        }
        this.#note(`apply ${node.id}`);
        node.applyNext();
        node.perform();
        return;
      }
      case 'lost': {
        const { node } = event;
        if (node.life !== event.life || node.raft === null) return;
        node.raft.reportUnreachable(event.to);
        this.count('losses reported');
        node.perform();
        return;
      }
      case 'start':
        this.#start(event.node);
        return;
      case 'action':
        this.#note(`action ${event.action.kind}`);
        this.#act(event.action);
        return;
      case 'strike':
        if (event.node.life === event.life && !this.#healed) this.#strike(event.node, event.ambush);
        return;
      case 'heal-all':
        this.#heal();
        return;
      case 'nudge':
        this.#nudge();
        return;
    }
  }

  #act(action: Action): void {
    const node = 'node' in action ? this.#list[action.node] : undefined;
    switch (action.kind) {
      case 'propose': {
        if (node?.raft == null) return;
        const result = node.raft.propose(requestData(this.#nextRequest++, action.bytes));
        this.count(result.accepted ? `proposals ${result.how}` : 'proposals dropped');
        node.perform();
        return;
      }
      case 'read': {
        if (node?.raft == null) return;
        node.read(this.#nextContext++);
        this.count('reads asked');
        node.perform();
        return;
      }
      case 'crash':
        if (node !== undefined) this.#crash(node, action.downMs);
        return;
      case 'disk-error':
        if (node !== undefined) node.failNextWrite = true;
        return;
      case 'slow-disk':
        if (node === undefined) return;
        node.slowUntil = this.now + action.forMs;
        node.slowLatencyMs = action.latencyMs;
        this.count('slow disks');
        return;
      case 'pause':
        if (node?.raft == null) return;
        node.pausedUntil = this.now + action.forMs;
        this.count('pauses');
        return;
      case 'partition': {
        this.#network.divide(action.side, this.now + action.forMs, action.oneWay);
        this.count(action.oneWay ? 'one-way partitions' : 'partitions');
        return;
      }
      case 'cut-link':
        this.#network.cut(action.from, action.to, this.now + action.forMs);
        this.count('links cut');
        return;
      case 'compact':
        node?.compact(action.keep);
        return;
      case 'transfer': {
        if (node?.raft == null) return;
        if (node.raft.transferLeadership(BigInt(action.to + 1)).accepted) this.count('transfers');
        node.perform();
        return;
      }
      case 'campaign':
        if (node?.raft == null) return;
        node.raft.campaign();
        this.count('forced campaigns');
        node.perform();
        return;
      case 'forget-leader':
        if (node?.raft == null) return;
        node.raft.forgetLeader();
        this.count('leaders forgotten');
        node.perform();
        return;
      case 'conf-change':
        if (node?.raft == null) return;
        node.raft.proposeConfChange(toConfChange(action.change));
        this.count('configuration changes proposed');
        node.perform();
        return;
      case 'ambush':
        this.#ambushes.lay(action);
        return;
    }
  }

  // Liveness

  #heal(): void {
    this.#note('heal');
    this.#healed = true;
    this.#network.heal();
    this.#ambushes.disarm();
    this.#leaveOut();
    for (const node of this.#list) {
      node.pausedUntil = 0;
      node.failNextWrite = false;
      this.#start(node);
    }
    this.#queue.add(this.now + 200, { kind: 'nudge' });
  }

  /** Some stay down for good, when it is clear who decides: no change of the configuration is under way. */
  #leaveOut(): void {
    if (this.#list.some((node) => node.changeUnderWay)) return;
    const configurations = [this.#bootstrap, ...this.invariants.configurations];
    const random = new Random(this.#schedule.seed, 'core');
    const absent = drawAbsentees([...this.nodes.keys()], configurations, random);
    if (absent.size === 0) return;
    this.count('cores healed without the others');
    for (const id of absent) this.#crash(this.nodes.get(id) as SimNode, 0);
    this.#absent = absent;
  }

  /** Proposes what the end of a run waits for, again and again, as clients would. */
  #nudge(): void {
    const leader = this.#list.find((node) => node.leading && node.raft !== null);
    if (leader?.raft != null && this.#markerIndex === 0) {
      const { conf } = leader;
      if (conf.votersOutgoing.length > 0 && !conf.autoLeave) leader.raft.proposeConfChange(LEAVE_JOINT);
      else if (conf.votersOutgoing.length === 0) {
        const result = leader.raft.propose(MARKER);
        if (result.accepted && result.how === 'appended') this.#markerIndex = result.index;
      }
      leader.perform();
    } else if (this.#markerIndex > 0 && this.invariants.highestCommitted < this.#markerIndex) {
      // The leader it was given to may have lost its reign.
      this.#markerIndex = 0;
    }
    this.#queue.add(this.now + 400, { kind: 'nudge' });
  }

  /** The marker is applied by every member that is up, of the configuration that the leader applied it under. */
  #converged(): boolean {
    if (this.#markerIndex === 0 || this.invariants.highestCommitted < this.#markerIndex) return false;
    const leader = this.#list.find(
      (node) => node.leading && node.running && node.appliedIndex >= this.#markerIndex,
    );
    if (leader === undefined) return false;
    const present = members(leader.conf).filter((id) => !this.#absent.has(id));
    return present.every((id) => (this.nodes.get(id)?.appliedIndex ?? 0) >= this.#markerIndex);
  }

  #describeStall(): string {
    const nodes = this.#list.map((node) => {
      const status = node.raft?.status();
      return status === undefined
        ? `${node.id}: down`
        : `${node.id}: ${status.role} term ${status.hardState.term} commit ${status.hardState.commit} last ${status.lastIndex} applied ${status.applied}`;
    });
    return `no convergence to index ${this.#markerIndex || '?'} within ${LIVENESS_MS} ms after healing\n${nodes.join('\n')}`;
  }
}

/**
 * A change of members that was still on its way to the leader when the faults ended. With nodes down for good it could
 * take the majority away from those that are left, which is not what the liveness phase is about: it gets lost.
 */
function asksForAnotherConfiguration({ type, entries }: Message): boolean {
  return type === MessageType.propose && entries.some((entry) => entry.type === EntryType.confChange);
}

function toConfChange(change: PlannedChange) {
  return {
    transition: change.transition,
    steps: change.steps.map(({ kind, node }) => ({ kind, id: BigInt(node + 1) })),
    context: new Uint8Array(0),
  };
}
