/**
 * One random schedule: a few nodes, a network that delays, reorders, repeats and loses, slow disks, crashes,
 * configuration changes, snapshots, reads and transfers; the properties of thesis figure 3.2 after every event.
 *
 * Small and fast, to be run with every change of the core; the simulator of `@quorate/testing` goes further.
 */
import { type ConfState, type Message, MessageType } from '@quorate/raft';
import { EMPTY_CONF, type Rules } from '@quorate/raft/testing';
import { Checks } from '../scenario/checks.ts';
import { type Options, ScenarioNode } from '../scenario/node.ts';
import { generator } from './generator.ts';

/** What happened, so that a green run can be shown not to be empty. */
export interface Tally {
  events: number;
  leaders: number;
  commits: number;
  reads: number;
  crashes: number;
  snapshots: number;
  confChanges: number;
  transfers: number;
}

export function emptyTally(): Tally {
  return {
    events: 0,
    leaders: 0,
    commits: 0,
    reads: 0,
    crashes: 0,
    snapshots: 0,
    confChanges: 0,
    transfers: 0,
  };
}

class Schedule {
  readonly #draw: (bound: number) => number;
  readonly #nodes = new Map<bigint, ScenarioNode>();
  readonly #checks = new Checks();
  readonly #tally: Tally;
  #network: Message[] = [];
  #cuts = new Set<string>();
  #counter = 0;
  #commits = 0;
  /** Reads under way: what was committed anywhere when they began. */
  #reads = new Map<bigint, { node: bigint; floor: number }>();
  #seenAnswers = new Map<bigint, number>();
  #lastLeaders = '';
  readonly #confs = new Map<bigint, ConfState>();

  constructor(seed: number, rules: Partial<Rules>, tally: Tally) {
    this.#draw = generator(seed);
    this.#tally = tally;
    const voters = Array.from({ length: 1 + this.#draw(5) }, (_, position) => BigInt(position + 1));
    const options: Options = {
      preVote: this.#draw(2) === 0,
      checkQuorum: this.#draw(2) === 0,
      electionTicks: 4,
      maxMessageBytes: 1 + this.#draw(12),
      maxInflightMessages: 1 + this.#draw(4),
      maxTailBytes: 1 + this.#draw(30),
    };
    for (const id of [...voters, 6n, 7n]) {
      const conf = voters.includes(id) ? { ...EMPTY_CONF, voters } : EMPTY_CONF;
      this.#nodes.set(id, new ScenarioNode(id, conf, options, rules));
    }
  }

  /** @throws Error when a property breaks */
  run(events: number): void {
    for (let count = 0; count < events; count += 1) {
      this.#event();
      this.#check();
      this.#tally.events += 1;
    }
    this.#heal();
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#draw(items.length)]!;
  }

  #event(): void {
    const node = this.#pick([...this.#nodes.values()]);
    const dice = this.#draw(100);
    if (!node.running) {
      if (dice < 30) {
        this.#checks.restarted(node);
        this.#seenAnswers.set(node.id, node.answered.length);
        for (const [context, read] of this.#reads) if (read.node === node.id) this.#reads.delete(context);
        node.jitter = [this.#draw(4), this.#draw(4), this.#draw(4)];
        node.restart();
      }
      return;
    }
    if (dice < 30) this.#deliver();
    else if (dice < 60) this.#ready(node, this.#draw(3) === 0);
    else if (dice < 68) this.#write(node);
    else if (dice < 82) {
      node.jitter.push(this.#draw(4));
      if (node.jitter.length > 3) node.jitter.shift();
      node.raw.tick();
    } else if (dice < 89) {
      this.#counter += 1;
      node.raw.propose(new TextEncoder().encode(`p${this.#counter}`));
    } else if (dice < 92) this.#read(node);
    else if (dice < 93) this.#confChange(node);
    else if (dice < 94) {
      const target = this.#pick([...this.#nodes.keys()]);
      if (node.raw.transferLeadership(target).accepted) this.#tally.transfers += 1;
    } else if (dice < 95) this.#compact(node);
    else if (dice < 97) this.#cutOrHeal();
    else if (dice < 98) {
      node.crash();
      this.#tally.crashes += 1;
    } else if (dice < 99) node.raw.campaign();
    else node.raw.reportUnreachable(this.#pick([...this.#nodes.keys()]));
  }

  #ready(node: ScenarioNode, slow: boolean): void {
    if (!node.raw.hasReady()) return;
    const { ready, out } = node.takeReady(slow);
    if (ready.snapshot !== null) this.#tally.snapshots += 1;
    this.#send(out);
  }

  #write(node: ScenarioNode): void {
    if (node.writing.length > 0) this.#send(node.finishWrite());
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      const lost = this.#cuts.has(`${message.from}>${message.to}`) || this.#draw(20) === 0;
      if (!lost) this.#network.push(message);
      // The transport reports every snapshot, delivered or not, though it may be wrong about "delivered".
      if (message.type === MessageType.snapshot) {
        const sender = this.#nodes.get(message.from)!;
        if (sender.running) sender.raw.reportSnapshot(message.to, lost ? 'failed' : 'delivered');
      }
    }
  }

  #deliver(): void {
    if (this.#network.length === 0) return;
    // Mostly in order, sometimes not; sometimes the message stays and arrives again.
    const position = this.#draw(3) === 0 ? this.#draw(this.#network.length) : 0;
    const message = this.#network[position]!;
    if (this.#draw(15) !== 0) this.#network.splice(position, 1);
    const node = this.#nodes.get(message.to);
    if (node?.running !== true || this.#cuts.has(`${message.from}>${message.to}`)) return;
    node.raw.step(message);
  }

  #read(node: ScenarioNode): void {
    this.#counter += 1;
    const context = BigInt(this.#counter);
    if (!node.raw.readIndex(context).accepted) return;
    this.#reads.set(context, { node: node.id, floor: this.#commits });
  }

  #confChange(node: ScenarioNode): void {
    const kinds = ['add-voter', 'add-learner', 'remove-node'] as const;
    const steps = Array.from({ length: this.#draw(4) }, () => ({
      kind: this.#pick(kinds),
      id: this.#pick([...this.#nodes.keys()]),
    }));
    const transition = this.#pick(['auto', 'auto', 'joint-auto-leave', 'joint-explicit'] as const);
    const result = node.raw.proposeConfChange({ transition, steps, context: new Uint8Array(0) });
    if (result.accepted) this.#tally.confChanges += 1;
  }

  #compact(node: ScenarioNode): void {
    const first = node.storage.firstIndex();
    // What is being written may replace what is on disk; a real host compacts only what is settled.
    if (node.writing.length > 0 || node.appliedIndex < first || node.appliedIndex > node.storage.lastIndex())
      return;
    node.compact(first + this.#draw(node.appliedIndex - first + 1));
  }

  #cutOrHeal(): void {
    if (this.#draw(2) === 0) this.#cuts.clear();
    else this.#cuts.add(`${this.#pick([...this.#nodes.keys()])}>${this.#pick([...this.#nodes.keys()])}`);
  }

  #check(): void {
    const nodes = [...this.#nodes.values()];
    this.#checks.after(nodes);
    const leaders: string[] = [];
    for (const node of nodes) {
      if (!node.running) continue;
      const status = node.raw.status();
      if (status.role === 'leader') {
        leaders.push(`${node.id}@${status.hardState.term}`);
        this.#durable(node);
      }
      this.#commits = Math.max(this.#commits, status.hardState.commit);
      const seen = this.#seenAnswers.get(node.id) ?? 0;
      for (const { context, index } of node.answered.slice(seen)) {
        const read = this.#reads.get(context);
        if (read === undefined) continue;
        if (index < read.floor)
          throw new Error(`read ${context} sees ${index}, but ${read.floor} was committed`);
        this.#tally.reads += 1;
      }
      this.#seenAnswers.set(node.id, node.answered.length);
    }
    for (const node of nodes) this.#confs.set(node.id, node.raw.status().conf);
    const now = leaders.join(' ');
    if (now !== this.#lastLeaders && leaders.length > 0) this.#tally.leaders += 1;
    this.#lastLeaders = now;
  }

  /** What a leader calls committed is on the disks of a quorum of its configuration. */
  #durable(node: ScenarioNode): void {
    const { conf, hardState } = node.raw.status();
    // The event may have applied a change right after committing under the configuration before it.
    const before = this.#confs.get(node.id) ?? conf;
    const index = hardState.commit;
    if (index <= this.#commits) return;
    this.#tally.commits += index - this.#commits;
    const last = node.raw.status().lastIndex;
    const own = node.writing.flatMap((ready) => ready.entries).findLast((entry) => entry.index === index);
    const term =
      own?.term ?? (index <= Math.min(last, node.storage.lastIndex()) ? node.storage.term(index) : 0);
    const holds = (id: bigint) => {
      const { storage } = this.#nodes.get(id)!;
      if (storage.firstIndex() > index) return true;
      return storage.lastIndex() >= index && storage.term(index) === term;
    };
    const agreed = (half: readonly bigint[]) =>
      half.length === 0 || half.filter(holds).length * 2 > half.length;
    if (![conf, before].some((each) => agreed(each.voters) && agreed(each.votersOutgoing))) {
      throw new Error(
        `entry ${index} is committed and not durable on a quorum of (${conf.voters.join(' ')})`,
      );
    }
  }

  /** Liveness: with everything mended, what is proposed is committed everywhere before long. */
  #heal(): void {
    this.#cuts.clear();
    for (const node of this.#nodes.values()) {
      if (node.running) continue;
      this.#checks.restarted(node);
      node.restart();
    }
    for (let round = 0; round < 200; round += 1) {
      for (const node of this.#nodes.values()) {
        node.jitter = [this.#draw(4)];
        node.raw.tick();
      }
      for (let turn = 0; turn < 30; turn += 1) {
        for (const node of this.#nodes.values()) {
          while (node.writing.length > 0) this.#send(node.finishWrite());
          while (node.raw.hasReady()) this.#ready(node, false);
        }
        const messages = this.#network;
        this.#network = [];
        for (const message of messages) this.#nodes.get(message.to)?.raw.step(message);
        if (messages.length === 0) break;
      }
      this.#check();
      if (round >= 30 && this.#settled()) return;
    }
    if (!this.#stranded()) throw new Error('no agreement long after the faults ended');
  }

  /**
   * The known limit of configurations that take effect when applied: the leader applied its own removal and crashed
   * before anybody else knew that it is committed. Those that stay still count on its vote, and it has the longer
   * log. With three or more voters a majority of the others suffices, so this is about two becoming one (or a joint
   * change of that shape).
   */
  #stranded(): boolean {
    const logEnd = (node: ScenarioNode) => {
      const last = node.storage.lastIndex();
      return node.storage.term(last) * 1e6 + last;
    };
    const voting = (node: ScenarioNode) => {
      const { conf } = node.raw.status();
      return conf.voters.includes(node.id) || conf.votersOutgoing.includes(node.id);
    };
    const nodes = [...this.#nodes.values()];
    const gone = nodes.filter((node) => !voting(node) && node.raw.status().conf.voters.length > 0);
    const staying = nodes.filter(voting);
    return gone.some((node) => staying.every((other) => logEnd(other) < logEnd(node)));
  }

  #settled(): boolean {
    const leader = [...this.#nodes.values()].find((node) => node.raw.status().role === 'leader');
    if (leader === undefined) return false;
    const { conf, hardState, lastIndex } = leader.raw.status();
    if (hardState.commit !== lastIndex) return false;
    const members = [...conf.voters, ...conf.votersOutgoing, ...conf.learners];
    return members.every((id) => this.#nodes.get(id)!.appliedIndex === hardState.commit);
  }
}

/** Runs the schedule of `seed`. @throws Error when a property breaks */
export function runSchedule(seed: number, events: number, rules: Partial<Rules>, tally = emptyTally()): void {
  new Schedule(seed, rules, tally).run(events);
}
