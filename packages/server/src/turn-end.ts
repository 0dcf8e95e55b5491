/**
 * What comes at the end of a turn: the hub tells watchers, and the transport writes to its sockets.
 *
 * Usually that is after the sockets have been looked at once more, since what they bring may share it. Where nobody waits for
 * anything but the batch that was just saved, that look brings nothing, and a loop that was asleep pays a turn for it: then
 * the end follows at once.
 */
import type { Env } from './env.ts';

export class TurnEnd {
  readonly #env: Pick<Env, 'afterPoll'>;
  /** What the turn in progress has put off, while it is one that ends at once. */
  #putOff: (() => void)[] | null = null;

  constructor(env: Pick<Env, 'afterPoll'>) {
    this.#env = env;
  }

  /** Runs `callback` at the end of the turn, as `Env.afterPoll` does or sooner. */
  afterPoll(callback: () => void): void {
    if (this.#putOff === null) this.#env.afterPoll(callback);
    else this.#putOff.push(callback);
  }

  /** Runs `turn`, and then what it put off. What that puts off in turn waits for the next poll, so this ends. */
  closeWith(turn: () => void): void {
    const putOff: (() => void)[] = [];
    this.#putOff = putOff;
    try {
      turn();
    } catch (error) {
      for (const callback of putOff) this.#env.afterPoll(callback);
      throw error;
    } finally {
      this.#putOff = null;
    }
    for (const callback of putOff) callback();
  }
}
