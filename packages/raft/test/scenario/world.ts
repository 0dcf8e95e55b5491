/**
 * The world of a scenario: nodes, messages on their way, and the commands that move them.
 *
 * Nothing happens by itself. Messages wait in the order sent until a command delivers or drops them.
 */
import {
  type ConfChange,
  type ConfChangeStep,
  type ConfState,
  describeConf,
  describeMessage,
  describeReady,
  describeStatus,
  EntryType,
  type Message,
  MessageType,
  makeMessage,
} from '@quorate/raft';
import type { Rules } from '@quorate/raft/testing';
import { parseArguments } from './arguments.ts';
import { Checks } from './checks.ts';
import { NOBODY, type Options, ScenarioNode } from './node.ts';

export class World {
  readonly nodes = new Map<bigint, ScenarioNode>();
  readonly #rules: Partial<Rules>;
  #options: Options = {};
  #network: Message[] = [];
  /** Directed links that lose everything, as `from>to`. */
  #cuts = new Set<string>();
  #slowDisks = new Set<bigint>();
  #lines: string[] = [];
  #quiet = false;
  readonly #checks = new Checks();

  constructor(rules: Partial<Rules> = {}) {
    this.#rules = rules;
  }

  /** Runs one command and returns what it prints. */
  run(command: string): string {
    this.#lines = [];
    this.#quiet = command.startsWith('quiet ');
    const { name, words, options } = parseArguments(this.#quiet ? command.slice(6) : command);
    const action = this.#commands[name];
    if (action === undefined) throw new Error(`unknown command: ${name}`);
    action(words, options);
    this.#checks.after([...this.nodes.values()]);
    return this.#lines.join('\n');
  }

  node(word: string | undefined): ScenarioNode {
    const node = this.nodes.get(BigInt(word ?? 0));
    if (node === undefined) throw new Error(`there is no node ${word}`);
    return node;
  }

  #print(text: string): void {
    if (!this.#quiet) this.#lines.push(text);
  }

  readonly #commands: Record<string, (words: string[], options: Record<string, string>) => void> = {
    /** cluster 3 | cluster voters=1,2,3 learners=4 outgoing=..; options of the nodes by name */
    cluster: (words, options) => {
      const { voters, learners, outgoing, autoleave, ...rest } = options;
      this.#options = nodeOptions(rest);
      const count = Number(words[0] ?? 0);
      const conf: ConfState = {
        ...NOBODY,
        voters: voters ? ids(voters) : Array.from({ length: count }, (_, position) => BigInt(position + 1)),
        votersOutgoing: ids(outgoing ?? ''),
        learners: ids(learners ?? ''),
        autoLeave: autoleave === 'on',
      };
      for (const id of new Set([...conf.voters, ...conf.votersOutgoing, ...conf.learners])) {
        this.nodes.set(id, new ScenarioNode(id, conf, this.#options, this.#rules));
      }
    },
    /** join 4: a node that knows nothing yet */
    join: (words) => {
      for (const word of words) {
        this.nodes.set(BigInt(word), new ScenarioNode(BigInt(word), NOBODY, this.#options, this.#rules));
      }
    },
    /** log 1 1,1,2 term=3 commit=1: what an earlier life left on disk */
    log: (words, options) => {
      const terms = (words[1] ?? '').split(',').filter(Boolean).map(Number);
      this.node(words[0]).preset(
        terms.map((term, position) => ({
          index: position + 1,
          term,
          type: EntryType.normal,
          data: new TextEncoder().encode(`${position + 1}.${term}`),
        })),
        {
          term: Number(options.term ?? terms.at(-1) ?? 0),
          vote: BigInt(options.vote ?? 0),
          commit: Number(options.commit ?? 0),
        },
      );
    },
    /** elect 1: a quiet campaign, up to the committed no-op */
    elect: (words) => {
      const quiet = this.#quiet;
      this.#quiet = true;
      this.node(words[0]).raw.campaign();
      this.#stabilize([]);
      this.#quiet = quiet;
      if (this.node(words[0]).raw.status().role !== 'leader') throw new Error(`${words[0]} was not elected`);
    },
    /** unreadable 1: its storage cannot deliver entries just now; readable 1: it can again, and says so */
    unreadable: (words) => {
      this.node(words[0]).storage.readable = false;
    },
    readable: (words) => {
      this.node(words[0]).storage.readable = true;
      this.node(words[0]).raw.storageAvailable();
    },
    /** hold 1: its state machine stops applying; apply 1: it catches up and stops no more */
    hold: (words) => {
      this.node(words[0]).applyLater ??= [];
    },
    apply: (words) => {
      const node = this.node(words[0]);
      const waiting = node.applyLater ?? [];
      node.applyLater = null;
      for (const ready of waiting) node.apply(ready);
    },
    campaign: (words) => this.node(words[0]).raw.campaign(),
    forget: (words) => this.node(words[0]).raw.forgetLeader(),
    tick: (words) => {
      for (let count = Number(words[1] ?? 1); count > 0; count -= 1) this.node(words[0]).raw.tick();
    },
    jitter: (words) => this.node(words[0]).jitter.push(...words.slice(1).map(Number)),
    /** propose 1 x [bytes=100] */
    propose: (words, options) => {
      const text = (words[1] ?? '').padEnd(Number(options.bytes ?? 0), '.');
      this.#result(this.node(words[0]).raw.propose(new TextEncoder().encode(text)));
    },
    /** confchange 1 v4 l5 r2 [transition=joint-explicit] */
    confchange: (words, options) => {
      const steps = words.slice(1).map(parseStep);
      const transition = (options.transition ?? 'auto') as ConfChange['transition'];
      this.#result(
        this.node(words[0]).raw.proposeConfChange({ transition, steps, context: new Uint8Array(0) }),
      );
    },
    read: (words) => this.#result(this.node(words[0]).raw.readIndex(BigInt(words[1]!))),
    transfer: (words) => this.#result(this.node(words[0]).raw.transferLeadership(BigInt(words[1]!))),
    unreachable: (words) => this.node(words[0]).raw.reportUnreachable(BigInt(words[1]!)),
    'snapshot-sent': (words) =>
      this.node(words[0]).raw.reportSnapshot(
        BigInt(words[1]!),
        words[2] === 'failed' ? 'failed' : 'delivered',
      ),
    compact: (words) => this.node(words[0]).compact(Number(words[1])),
    crash: (words) => {
      for (const word of words) this.node(word).crash();
    },
    restart: (words) => {
      for (const word of words) {
        this.#checks.restarted(this.node(word));
        this.node(word).restart();
      }
    },
    /** slow 1: writes wait for `persisted 1` */
    slow: (words) => {
      for (const word of words) this.#slowDisks.add(BigInt(word));
    },
    fast: (words) => {
      for (const word of words) this.#slowDisks.delete(BigInt(word));
    },
    ready: (words) => this.#ready(this.node(words[0])),
    persisted: (words) => {
      for (let count = Number(words[1] ?? 1); count > 0; count -= 1)
        this.#send(this.node(words[0]).finishWrite());
    },
    /** deliver 2 [from=1] [type=append] [count=1] [last]: messages on their way to 2 */
    deliver: (words, options) => this.#deliver(this.#pick(words[0]!, options)),
    /** drop 2 [from=1] [type=append] [count=1] */
    drop: (words, options) => {
      for (const message of this.#pick(words[0]!, options)) this.#print(`lost ${describeMessage(message)}`);
    },
    /** repeat 2 ...: delivers copies, the originals stay */
    repeat: (words, options) => {
      const before = [...this.#network];
      const messages = this.#pick(words[0]!, options);
      this.#network = before;
      this.#deliver(messages);
    },
    /** cut 1 2 loses what 1 sends to 2; isolate 1 cuts all its links; heal mends everything */
    cut: (words) => {
      this.#cuts.add(`${words[0]}>${words[1]}`);
    },
    isolate: (words) => {
      for (const word of words) {
        for (const other of this.nodes.keys()) {
          if (words.includes(String(other))) continue;
          this.#cuts.add(`${word}>${other}`);
          this.#cuts.add(`${other}>${word}`);
        }
      }
    },
    heal: () => this.#cuts.clear(),
    /** stabilize [1 2]: until nothing moves any more */
    stabilize: (words) => this.#stabilize(words.map(BigInt)),
    /** rounds 3: a tick for every node, then stabilize, three times */
    rounds: (words) => {
      for (let count = Number(words[0]); count > 0; count -= 1) {
        for (const node of this.nodes.values()) if (node.running) node.raw.tick();
        this.#stabilize([]);
      }
    },
    status: (words) => {
      const chosen = words.length > 0 ? words.map((word) => this.node(word)) : [...this.nodes.values()];
      for (const node of chosen) this.#print(describeStatus(node.raw.status()));
    },
    /** logs: term of each durable entry; `.` compacted, `|` after the last committed */
    logs: () => {
      for (const node of this.nodes.values()) {
        const commit = node.raw.status().hardState.commit;
        const terms = node.durableTerms().map((term, at) => `${term ?? '.'}${at + 1 === commit ? '|' : ' '}`);
        this.#print(`${node.id}: ${terms.join('').trimEnd()}`);
      }
    },
    applied: () => {
      for (const node of this.nodes.values()) this.#print(`${node.id}: ${node.applied.join(' ')}`);
    },
    conf: () => {
      for (const node of this.nodes.values()) {
        this.#print(`${node.id}: ${describeConf(node.raw.status().conf)}`);
      }
    },
    network: () => {
      for (const message of this.#network) this.#print(describeMessage(message));
    },
    /** inject type=vote from=2 to=1 term=5 index=3 logTerm=2 ...: a message out of thin air */
    inject: (_words, options) => {
      const { type, from, to, term, context, ...numbers } = options;
      this.#network.push(
        makeMessage({
          type: MessageType[type as keyof typeof MessageType],
          from: BigInt(from!),
          to: BigInt(to!),
          term: Number(term),
          ...Object.fromEntries(
            Object.entries(numbers).map(([key, value]) => [
              key,
              key === 'reject' ? value === 'true' : Number(value),
            ]),
          ),
          context: BigInt(context ?? 0),
        }),
      );
    },
    /** expect leader=1 term=2 commit=5 role@2=follower applied@3=x,y: states the point in so many words */
    expect: (_words, options) => {
      for (const [key, wanted] of Object.entries(options)) {
        const [what, at] = key.split('@') as [string, string | undefined];
        const found = this.#observe(what, at);
        if (found !== wanted) throw new Error(`expected ${key}=${wanted}, found ${found}`);
      }
    },
  };

  #observe(what: string, at: string | undefined): string {
    if (what === 'leader' && at === undefined) {
      const leaders = [...this.nodes.values()].filter(
        (each) => each.running && each.raw.status().role === 'leader',
      );
      return leaders.map((each) => each.id).join(',') || 'none';
    }
    const node = this.node(at ?? this.#observe('leader', undefined));
    const status = node.raw.status();
    switch (what) {
      case 'role':
        return status.role;
      case 'leader':
        return status.leader === 0n ? 'none' : String(status.leader);
      case 'term':
        return String(status.hardState.term);
      case 'commit':
        return String(status.hardState.commit);
      case 'last':
        return String(status.lastIndex);
      case 'persisted':
        return String(status.persistedIndex);
      case 'applied':
        return node.applied.join(',') || 'none';
      case 'reads':
        return node.answered.map((read) => `${read.context}@${read.index}`).join(',') || 'none';
      case 'voters':
        return [status.conf.voters, status.conf.votersOutgoing].map((half) => half.join('+')).join('&');
      default:
        throw new Error(`nothing is known about ${what}`);
    }
  }

  #result(result: { accepted: boolean; reason?: string; how?: string }): void {
    if (!result.accepted) this.#print(`dropped: ${result.reason}`);
    else if (result.how === 'forwarded') this.#print('forwarded');
  }

  #ready(node: ScenarioNode): void {
    const slow = this.#slowDisks.has(node.id);
    const { ready, out } = node.takeReady(slow);
    this.#print(indent(`${node.id} ready${slow ? ' (slow disk)' : ''}:`, describeReady(ready)));
    this.#send(out);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (this.#cuts.has(`${message.from}>${message.to}`)) continue;
      this.#network.push(message);
    }
  }

  /** Takes matching messages off the network. */
  #pick(to: string, options: Record<string, string>): Message[] {
    const matching = this.#network.filter(
      (message) =>
        (to === 'all' || message.to === BigInt(to)) &&
        (options.from === undefined || message.from === BigInt(options.from)) &&
        (options.type === undefined ||
          message.type === MessageType[options.type as keyof typeof MessageType]),
    );
    const count = Number(options.count ?? matching.length);
    const chosen = options.order === 'newest' ? matching.reverse().slice(0, count) : matching.slice(0, count);
    if (chosen.length === 0) throw new Error('no such message is on its way');
    this.#network = this.#network.filter((message) => !chosen.includes(message));
    return chosen;
  }

  #deliver(messages: readonly Message[]): void {
    for (const message of messages) {
      const node = this.nodes.get(message.to);
      const lost = node === undefined || !node.running || this.#cuts.has(`${message.from}>${message.to}`);
      this.#print(`${lost ? 'lost ' : ''}${describeMessage(message)}`);
      if (!lost) node.raw.step(message);
    }
  }

  #stabilize(only: readonly bigint[]): void {
    const nodes = [...this.nodes.values()].filter((node) => only.length === 0 || only.includes(node.id));
    for (let turns = 0; turns < 1000; turns += 1) {
      let moved = false;
      for (const node of nodes) {
        while (node.running && node.raw.hasReady()) {
          this.#ready(node);
          moved = true;
        }
      }
      const mine = this.#network.filter((message) => nodes.some((node) => node.id === message.to));
      const lost = this.#network.filter((message) => !this.nodes.has(message.to));
      if (mine.length > 0) {
        this.#network = this.#network.filter((message) => !mine.includes(message) && !lost.includes(message));
        this.#deliver(mine);
        moved = true;
      }
      if (!moved) return;
    }
    throw new Error('the cluster does not come to rest');
  }
}

function indent(head: string, body: string): string {
  return `${head}\n${body.replace(/^/gm, '  ')}`;
}

function ids(list: string): bigint[] {
  return list.split(',').filter(Boolean).map(BigInt);
}

function parseStep(word: string): ConfChangeStep {
  const kinds = { v: 'add-voter', l: 'add-learner', r: 'remove-node' } as const;
  const kind = kinds[word[0] as keyof typeof kinds];
  if (kind === undefined) throw new Error(`unknown step ${word}`);
  return { kind, id: BigInt(word.slice(1)) };
}

/** Options of `cluster` by their names in `RaftConfig`: on and off, numbers, words. */
function nodeOptions(options: Record<string, string>): Options {
  const value = (text: string) =>
    text === 'on' ? true : text === 'off' ? false : /^\d+$/.test(text) ? Number(text) : text;
  return Object.fromEntries(Object.entries(options).map(([key, text]) => [key, value(text)]));
}
