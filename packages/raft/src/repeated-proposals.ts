/**
 * Tells a message of proposals that the network repeated from a new one, so that nothing is proposed twice.
 *
 * Each such message carries a number of its sender's: 32 random bits drawn at start, then a counter. A leader remembers the
 * newest numbers of each life of each sender for as long as it leads; in another term a repetition is stale anyway. What
 * comes after `WINDOW` newer ones is ignored: it may be a repetition, and any message may be lost.
 */
import type { NodeId } from './types.ts';

const WINDOW = 1024;
/** Lives of senders remembered; far above what a cluster sees in one term. */
const MAX_LIVES = 1024;

interface Life {
  newest: number;
  readonly taken: Set<number>;
}

export class RepeatedProposals {
  readonly #lives = new Map<bigint, Life>();

  /** @returns whether the message was taken before, or may have been. `number` 0 names none: always new */
  taken(from: NodeId, number: bigint): boolean {
    if (number === 0n) return false;
    const life = this.#life((from << 32n) | (number >> 32n));
    const counter = Number(number & 0xffff_ffffn);
    if (counter <= life.newest - WINDOW || life.taken.has(counter)) return true;
    life.taken.add(counter);
    if (counter > life.newest) life.newest = counter;
    if (life.taken.size > 2 * WINDOW) {
      for (const old of life.taken) if (old <= life.newest - WINDOW) life.taken.delete(old);
    }
    return false;
  }

  reset(): void {
    this.#lives.clear();
  }

  #life(key: bigint): Life {
    const known = this.#lives.get(key);
    if (known !== undefined) return known;
    if (this.#lives.size >= MAX_LIVES) this.#lives.delete(this.#lives.keys().next().value!);
    const life: Life = { newest: 0, taken: new Set() };
    this.#lives.set(key, life);
    return life;
  }
}
