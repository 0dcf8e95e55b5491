/**
 * One share of the event loop for everything that turns answers into text.
 *
 * A hundred large answers under way must not take a hundred slices of each turn: all of them together get one, a piece
 * at a time in rotation. A piece (`json/encode.ts`) is well under a millisecond.
 */
import type { Env } from '../env.ts';

/** What one turn of the event loop may spend here. */
const SLICE_MS = 4;

export class Turns {
  readonly #env: Pick<Env, 'monotonicMs' | 'afterPoll'>;
  #tasks: (() => boolean)[] = [];
  #isScheduled = false;

  constructor(env: Pick<Env, 'monotonicMs' | 'afterPoll'>) {
    this.#env = env;
  }

  /** @param task does one piece of work; false when it has no more to do for now */
  add(task: () => boolean): void {
    this.#tasks.push(task);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#tasks.length === 0) return;
    this.#isScheduled = true;
    this.#env.afterPoll(() => {
      this.#isScheduled = false;
      this.#run();
      this.#schedule();
    });
  }

  #run(): void {
    const endMs = this.#env.monotonicMs() + SLICE_MS;
    let next = 0;
    // Those that have more to do stand at the end of the queue again.
    while (next < this.#tasks.length && this.#env.monotonicMs() < endMs) {
      const task = this.#tasks[next++]!;
      if (task()) this.#tasks.push(task);
    }
    this.#tasks = this.#tasks.slice(next);
  }
}

/** Resolves when what waits on sockets and timers has had its turn. */
export function anotherTurn(env: Pick<Env, 'afterPoll'>): Promise<void> {
  return new Promise((resolve) => env.afterPoll(resolve));
}
