/**
 * Links between members in one process: delayed, lost, repeated, overtaken and cut, as a seed decides.
 *
 * `port(id)` is what one member sees: the server's `Network`. Each ordered pair of members is a link of its own, so that one
 * direction may fail alone. A message takes a base delay and a random part of the jitter; unless the link is `ordered`,
 * messages overtake each other. Snapshots and calls run over the same links: each chunk and each answer is a
 * journey of its own, which may be the one that fails (`exchanges.ts`).
 *
 * Who gets in is as over gRPC: peers, and callers that are neither peers nor removed and can say where they are reached. Such a
 * *remote* gets answers too, until the list of peers says what it is.
 *
 * What is cut or down is noticed when a message should arrive: it is dropped, and its sender is told. A connection counts as
 * made when both ends are up and neither direction is cut.
 */
import type {
  CallHandler,
  MessageKind,
  Network,
  NetworkHost,
  PeerReport,
  SnapshotListener,
} from '@quorate/server';
import type { SimEnv } from './env.ts';
import { carryCall, carrySnapshot } from './exchanges.ts';
import type { Random } from './random.ts';

export interface LinkQuality {
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Chance in `[0, 1]` that a message is lost, and that it arrives twice. */
  readonly loss: number;
  readonly repeat: number;
  /** As on a stream: within a kind nothing overtakes. */
  readonly ordered?: boolean;
  /** Chance in `[0, 1]`, for each chunk of a snapshot, that the stream breaks there, and that one of its bits flips. */
  readonly chunkLoss?: number;
  readonly chunkDamage?: number;
}

export const PERFECT_LINK: LinkQuality = { delayMs: 1, jitterMs: 0, loss: 0, repeat: 0 };

/** What the network has done; a run asserts that it was not spared. */
export interface NetworkTally {
  delivered: number;
  lost: number;
  repeated: number;
  /** Kept back by a cut link or for a member that is down. */
  cut: number;
  snapshots: number;
  snapshotsBroken: number;
  chunksDamaged: number;
  calls: number;
  callsFailed: number;
}

export interface PortOptions {
  /** The member's own clock, for `connectedSince`. Default: the network's. */
  readonly monotonicMs?: () => number;
  /** Runs at the member what has arrived for it: at once by default, later when it is paused. */
  readonly run?: (work: () => void) => void;
  /** The member; null until there is one. Default: nobody is removed, and it can say where it is reached. */
  readonly host?: () => Pick<NetworkHost, 'memberId' | 'isRemoved' | 'describe'> | null;
}

/** One end: a run of a member, from its start to its end. */
export interface Port {
  readonly id: bigint;
  readonly run: (work: () => void) => void;
  open: boolean;
  onMessage: ((from: bigint, message: Uint8Array) => void) | null;
  onReport: ((report: PeerReport) => void) | null;
  onSnapshot: SnapshotListener | null;
  readonly calls: Map<string, CallHandler>;
  /** Null until `setPeers`: everybody is a peer. */
  peers: ReadonlySet<bigint> | null;
  /** Were peers once: refused. */
  readonly gone: Set<bigint>;
  /** Got in without being peers. */
  readonly remotes: Set<bigint>;
  readonly host: PortOptions['host'];
}

export class SimNetwork {
  readonly tally: NetworkTally = {
    delivered: 0,
    lost: 0,
    repeated: 0,
    cut: 0,
    snapshots: 0,
    snapshotsBroken: 0,
    chunksDamaged: 0,
    calls: 0,
    callsFailed: 0,
  };
  quality: LinkQuality = PERFECT_LINK;
  readonly env: SimEnv;
  readonly random: Random;
  readonly #ports = new Map<bigint, Port>();
  /** `from>to` of links that let nothing through. */
  readonly #cut = new Set<string>();
  /** When the connection between two members was made, by `smaller-larger`, on the network's clock. */
  readonly #connected = new Map<string, number>();
  /** When the last message of a link and kind arrives, for ordered links. */
  readonly #arrivals = new Map<string, number>();

  constructor(env: SimEnv, random: Random) {
    this.env = env;
    this.random = random;
  }

  /** The network as member `id` sees it. A new port replaces the member's former one: it was restarted. */
  port(id: bigint, options: PortOptions = {}): Network {
    this.crash(id);
    const port: Port = {
      id,
      run: options.run ?? ((work) => work()),
      open: true,
      onMessage: null,
      onReport: null,
      onSnapshot: null,
      calls: new Map(),
      peers: null,
      gone: new Set(),
      remotes: new Set(),
      host: options.host,
    };
    this.#ports.set(id, port);
    this.#reconnect();
    const clock = options.monotonicMs ?? (() => this.env.monotonicMs());
    return {
      send: (to, message, kind) => this.#send(port, to, message, kind),
      sendSnapshot: (to, message, content) => {
        if (!port.open) {
          content.close();
          return;
        }
        this.tally.snapshots++;
        carrySnapshot(this, port, to, message.slice(), content);
      },
      call: (to, method, request, timeoutMs, done) => {
        this.tally.calls++;
        carryCall(this, port, { to, method, request: request.slice(), timeoutMs }, done);
      },
      onMessage: (listener) => {
        port.onMessage = listener;
      },
      onSnapshot: (listener) => {
        port.onSnapshot = listener;
      },
      onCall: (method, handler) => {
        port.calls.set(method, handler);
      },
      onReport: (listener) => {
        port.onReport = listener;
      },
      setPeers: (peers) => {
        for (const known of port.peers ?? []) if (!peers.has(known)) port.gone.add(known);
        for (const peer of peers.keys()) port.gone.delete(peer);
        for (const id of port.remotes) {
          if (peers.has(id) || port.host?.()?.isRemoved(id) === true) port.remotes.delete(id);
        }
        port.peers = new Set(peers.keys());
      },
      connectedSince: (to) => {
        if (!knows(port, to)) return null;
        const sinceMs = this.#connected.get(pairOf(id, to));
        return sinceMs === undefined || !port.open ? null : clock() - (this.env.monotonicMs() - sinceMs);
      },
      close: async () => {
        if (this.#ports.get(id) === port) this.crash(id);
        port.open = false;
      },
    };
  }

  /** The member ends: nothing leaves or reaches it any more. */
  crash(id: bigint): void {
    const port = this.#ports.get(id);
    if (port === undefined) return;
    port.open = false;
    this.#ports.delete(id);
    this.#reconnect();
  }

  cut(from: bigint, to: bigint): void {
    this.#cut.add(`${from}>${to}`);
    this.#reconnect();
  }

  /** Ends one cut. */
  mend(from: bigint, to: bigint): void {
    this.#cut.delete(`${from}>${to}`);
    this.#reconnect();
  }

  /** Members talk to those of their own group alone. */
  partition(...groups: readonly (readonly bigint[])[]): void {
    this.#cut.clear();
    for (const one of groups) {
      for (const other of groups) {
        if (one === other) continue;
        for (const from of one) for (const to of other) this.#cut.add(`${from}>${to}`);
      }
    }
    this.#reconnect();
  }

  heal(): void {
    this.#cut.clear();
    this.#reconnect();
  }

  /**
   * The member at the end of a link, as of now; null when nothing gets there.
   * @param from the run that sent: what one run sent does not fail because it ended, it is on its way
   */
  reach(from: Port, to: bigint): Port | null {
    const port = this.#ports.get(to);
    if (port === undefined || this.#cut.has(`${from.id}>${to}`) || port.gone.has(from.id)) return null;
    if (!knows(port, from.id)) {
      if (port.host?.()?.isRemoved(from.id) === true || !canIntroduceItself(from)) return null;
      port.remotes.add(from.id);
    }
    return port;
  }

  /** Runs `arrive` after one journey. */
  journey(arrive: () => void): void {
    const { delayMs, jitterMs } = this.quality;
    const jitter = jitterMs > 0 ? this.random.int(Math.ceil(jitterMs) + 1) : 0;
    this.env.setTimer(delayMs + jitter, arrive);
  }

  /** Tells a member what became of something it sent, unless it has ended. */
  report(port: Port, report: PeerReport): void {
    port.run(() => {
      if (port.open) port.onReport?.(report);
    });
  }

  #send(port: Port, to: bigint, message: Uint8Array, kind: MessageKind): void {
    if (!port.open || !knows(port, to)) return;
    const { loss, repeat } = this.quality;
    if (this.random.chance(loss)) {
      this.tally.lost++;
      return;
    }
    // The sender's bytes are its own again after `send`.
    const copy = Uint8Array.from(message);
    this.#deliverLater(port, to, copy, kind);
    if (this.random.chance(repeat)) {
      this.tally.repeated++;
      this.#deliverLater(port, to, copy, kind);
    }
  }

  #deliverLater(from: Port, to: bigint, message: Uint8Array, kind: MessageKind): void {
    const { delayMs, jitterMs, ordered } = this.quality;
    const jitter = jitterMs > 0 ? this.random.int(Math.ceil(jitterMs) + 1) : 0;
    const nowMs = this.env.monotonicMs();
    let atMs = nowMs + delayMs + jitter;
    if (ordered === true) {
      const line = `${from.id}>${to} ${kind}`;
      atMs = Math.max(atMs, this.#arrivals.get(line) ?? 0);
      this.#arrivals.set(line, atMs);
    }
    this.env.setTimer(atMs - nowMs, () => {
      const port = this.reach(from, to);
      if (port === null) {
        this.tally.cut++;
        this.report(from, { to, what: 'unreachable' });
        return;
      }
      this.tally.delivered++;
      port.run(() => {
        if (port.open) port.onMessage?.(from.id, message);
      });
    });
  }

  /** Connections follow from what is up and what is cut. */
  #reconnect(): void {
    const nowMs = this.env.monotonicMs();
    const ids = [...this.#ports.keys()];
    const up = new Set<string>();
    for (const [position, one] of ids.entries()) {
      for (const other of ids.slice(position + 1)) {
        if (this.#cut.has(`${one}>${other}`) || this.#cut.has(`${other}>${one}`)) continue;
        const pair = pairOf(one, other);
        up.add(pair);
        if (!this.#connected.has(pair)) this.#connected.set(pair, nowMs);
      }
    }
    for (const pair of this.#connected.keys()) if (!up.has(pair)) this.#connected.delete(pair);
  }
}

/** Whether a member sends to `id`. */
export function knows(port: Port, id: bigint): boolean {
  return port.peers === null || port.peers.has(id) || port.remotes.has(id);
}

/** A member that has not applied its own addition cannot. */
function canIntroduceItself({ host }: Port): boolean {
  if (host === undefined) return true;
  const member = host();
  return member?.describe().members.some(({ id }) => id === member.memberId) === true;
}

function pairOf(one: bigint, other: bigint): string {
  return one < other ? `${one}-${other}` : `${other}-${one}`;
}
