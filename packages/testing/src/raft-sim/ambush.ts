/**
 * Ambushes: faults that wait for the moment that matters, wherever in the cluster it comes.
 *
 * Faults at random times rarely meet the few milliseconds in which a missing rule does harm: between a vote and the
 * next request for it, between a commit and the news of it. An ambush is part of the schedule like any other action
 * (so shrinking may leave it out), but names the moment instead of the node and the time.
 *
 *     'leads'     a node has won an election and told nobody yet
 *     'voted'     a node's vote is durable and on its way
 *     'reshapes'  a leader has committed a change of the configuration and told nobody yet
 *
 * Read next: `themes.ts` for what they are combined into, `simulation.ts` for what a strike does.
 */
import type { Random } from '../sim/random.ts';

export type Moment = 'leads' | 'voted' | 'reshapes';

export interface Ambush {
  readonly kind: 'ambush';
  readonly on: Moment;
  /**
   * `crash`: the node dies. `part`: it keeps its links to at most `allies` others, drawn at random. `divide`: the
   * voters it had, without itself, are cut off from everybody else. `eclipse`: whoever led until now is cut off, and does not
   * learn that it leads no longer.
   */
  readonly strike: 'crash' | 'part' | 'divide' | 'eclipse';
  readonly chance: number;
  /** Strikes after a delay drawn from `[0, withinMs]`. */
  readonly withinMs: number;
  /** How long the node stays down, or the links cut. */
  readonly forMs: number;
  readonly allies: number;
}

/** Ambushes that lie in wait, and the draws they need. */
export class Ambushes {
  readonly #random: Random;
  #waiting: Ambush[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  lay(ambush: Ambush): void {
    this.#waiting.push(ambush);
  }

  /** The cluster is to heal. */
  disarm(): void {
    this.#waiting = [];
  }

  /** Those that strike at this moment, each with the delay it strikes after. */
  at(moment: Moment): { readonly ambush: Ambush; readonly delayMs: number }[] {
    return this.#waiting
      .filter(({ on, chance }) => on === moment && this.#random.chance(chance))
      .map((ambush) => ({ ambush, delayMs: this.#random.int(ambush.withinMs + 1) }));
  }

  /** Who stays with a node that is parted from the rest. */
  drawAllies(others: readonly number[], most: number): readonly number[] {
    return this.#random.shuffle([...others]).slice(0, this.#random.int(most + 1));
  }
}
