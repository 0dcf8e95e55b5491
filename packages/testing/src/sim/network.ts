/**
 * Links between members in one process: delayed, lost, repeated, overtaken and cut, as a seed decides.
 *
 * Each ordered pair of members is a link of its own, so that one direction may fail alone. A message takes a base delay and
 * a random part of the jitter; with jitter larger than the gap between two messages, they overtake each other. `port(id)`
 * is what one member sees: it has the shape of the server's `Network`.
 */
import type { SimEnv } from './env.ts';
import type { Random } from './random.ts';

export type MessageKind = 'vote' | 'heartbeat' | 'append' | 'snapshot';

export interface NetworkPort {
  send(to: bigint, message: Uint8Array, kind: MessageKind): void;
  onMessage(listener: (from: bigint, message: Uint8Array) => void): void;
  onReport(
    listener: (report: { to: bigint; what: 'unreachable' | 'snapshot-ok' | 'snapshot-failed' }) => void,
  ): void;
  setPeers(peers: ReadonlyMap<bigint, readonly string[]>): void;
  close(): Promise<void>;
}

export interface LinkQuality {
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Chance in `[0, 1]` that a message is lost, and that it arrives twice. */
  readonly loss: number;
  readonly repeat: number;
}

export const PERFECT_LINK: LinkQuality = { delayMs: 1, jitterMs: 0, loss: 0, repeat: 0 };

/** What the network has done; a run asserts that it was not spared. */
export interface NetworkTally {
  delivered: number;
  lost: number;
  repeated: number;
  /** Kept back by a cut link or for a member that is down. */
  cut: number;
}

type Listener = (from: bigint, message: Uint8Array) => void;

export class SimNetwork {
  readonly tally: NetworkTally = { delivered: 0, lost: 0, repeated: 0, cut: 0 };
  quality: LinkQuality = PERFECT_LINK;
  readonly #env: SimEnv;
  readonly #random: Random;
  readonly #listeners = new Map<bigint, Listener>();
  /** `from>to` of links that let nothing through. */
  readonly #cut = new Set<string>();

  constructor(env: SimEnv, random: Random) {
    this.#env = env;
    this.#random = random;
  }

  /** The network as member `id` sees it. A new port replaces the member's former one: it was restarted. */
  port(id: bigint): NetworkPort {
    let open = true;
    return {
      send: (to, message) => {
        if (open) this.#send(id, to, message);
      },
      onMessage: (listener) => {
        this.#listeners.set(id, (from, message) => {
          if (open) listener(from, message);
        });
      },
      onReport: () => {},
      setPeers: () => {},
      close: async () => {
        open = false;
      },
    };
  }

  cut(from: bigint, to: bigint): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Members talk to those of their own group alone. */
  partition(...groups: readonly (readonly bigint[])[]): void {
    this.heal();
    for (const one of groups) {
      for (const other of groups) {
        if (one === other) continue;
        for (const from of one) for (const to of other) this.cut(from, to);
      }
    }
  }

  heal(): void {
    this.#cut.clear();
  }

  #send(from: bigint, to: bigint, message: Uint8Array): void {
    const { loss, repeat } = this.quality;
    if (this.#random.chance(loss)) {
      this.tally.lost++;
      return;
    }
    this.#deliverLater(from, to, message);
    if (this.#random.chance(repeat)) {
      this.tally.repeated++;
      this.#deliverLater(from, to, message);
    }
  }

  #deliverLater(from: bigint, to: bigint, message: Uint8Array): void {
    const { delayMs, jitterMs } = this.quality;
    const jitter = jitterMs > 0 ? this.#random.int(Math.ceil(jitterMs) + 1) : 0;
    // The sender's bytes are its own again after `send`.
    const copy = Uint8Array.from(message);
    this.#env.setTimer(delayMs + jitter, () => {
      const listener = this.#listeners.get(to);
      if (listener === undefined || this.#cut.has(`${from}>${to}`)) {
        this.tally.cut++;
        return;
      }
      this.tally.delivered++;
      listener(from, copy);
    });
  }
}
