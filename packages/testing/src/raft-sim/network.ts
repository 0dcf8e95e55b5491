/**
 * What happens to a message between two nodes: cut off, lost, repeated, delayed, overtaken. Nodes are numbers here.
 *
 * It only draws; the simulation delivers. `SimNetwork` (`../sim/network.ts`) carries connections, calls and snapshots of whole members instead.
 */
import type { Random } from '../sim/random.ts';
import type { Schedule } from './schedule.ts';

/** A message on its way: it arrives after each of these delays (ms). `sent` tells whether another overtook it. */
export interface Sent {
  readonly sent: number;
  readonly delaysMs: readonly number[];
}

export class Network {
  readonly #nodes: number;
  readonly #noise: Schedule['network'];
  readonly #random: Random;
  /** Until when messages are dropped, by link. */
  readonly #cutUntil: number[];
  /** Messages sent so far, and the newest of them that each link has delivered. */
  #sent = 0;
  readonly #newest: number[];
  #healed = false;
  readonly #count: (what: string) => void;

  /** @param count is told what happens, in words */
  constructor({ nodes, network }: Schedule, random: Random, count: (what: string) => void) {
    this.#nodes = nodes;
    this.#noise = network;
    this.#random = random;
    this.#count = count;
    this.#cutUntil = new Array<number>(nodes * nodes).fill(0);
    this.#newest = new Array<number>(nodes * nodes).fill(0);
  }

  /** Draws what becomes of a message that is sent at `nowMs`; null: it is lost. */
  send(from: number, to: number, nowMs: number): Sent | null {
    const noise = this.#noise;
    const random = this.#random;
    if (!this.#healed) {
      const cut = (this.#cutUntil[this.#link(from, to)] ?? 0) > nowMs;
      if (cut || random.chance(noise.loss)) {
        this.#count(cut ? 'messages cut off' : 'messages lost');
        return null;
      }
    }
    const copies = !this.#healed && random.chance(noise.duplication) ? 2 : 1;
    if (copies === 2) this.#count('messages repeated');
    const delaysMs: number[] = [];
    for (let copy = 0; copy < copies; copy++) {
      let delayMs = noise.baseMs * (0.5 + random.int(1000) / 1000);
      if (!this.#healed && random.chance(noise.slow)) {
        delayMs += random.int(noise.slowMs);
        this.#count('messages delayed');
      }
      delaysMs.push(delayMs);
    }
    return { sent: ++this.#sent, delaysMs };
  }

  delivered(from: number, to: number, sent: number): void {
    const link = this.#link(from, to);
    if (sent < (this.#newest[link] as number)) this.#count('messages overtaken');
    else this.#newest[link] = sent;
  }

  cut(from: number, to: number, untilMs: number): void {
    const link = this.#link(from, to);
    this.#cutUntil[link] = Math.max(this.#cutUntil[link] ?? 0, untilMs);
  }

  /** Cuts all links between `side` and the others; `oneWay`: only those from `side`. */
  divide(side: readonly number[], untilMs: number, oneWay: boolean): void {
    const inside = new Set(side);
    for (let from = 0; from < this.#nodes; from++) {
      for (let to = 0; to < this.#nodes; to++) {
        if (inside.has(from) === inside.has(to)) continue;
        if (oneWay && !inside.has(from)) continue;
        this.cut(from, to, untilMs);
      }
    }
  }

  /** From now on every message arrives once, after a short time. */
  heal(): void {
    this.#healed = true;
    this.#cutUntil.fill(0);
  }

  #link(from: number, to: number): number {
    return from * this.#nodes + to;
  }
}
