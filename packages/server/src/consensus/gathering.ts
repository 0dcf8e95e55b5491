/**
 * Waits for proposals that are on their way: a few looks at the sockets, and no timer.
 *
 * Callers who were answered together ask again together, but over many sockets, which the loop reads in several turns. A batch
 * that begins with the first of them costs as much as one of them all: an append, a sync, and with followers six messages and
 * the turns that these cause. So the sockets are looked at once more for as long as each look brings some. Nobody waits who is alone.
 *
 *     begin ──▶ poll ──▶ did more come? ── yes, and not too often yet ──▶ poll ...
 *                              └─ no ──▶ done
 */
import type { Env } from '../env.ts';

/** What comes after so many looks is the next batch: callers without end must not keep the first of them waiting. */
const MAX_LOOKS = 5;

export interface GatheringHost {
  /** Proposals that have come and wait for this to end. */
  count(): number;
  /** Whether somebody else waits for an answer, so that more may come at once. */
  hasCompany(): boolean;
  done(): void;
}

export class Gathering {
  readonly #env: Pick<Env, 'afterPoll'>;
  readonly #host: GatheringHost;
  #open = false;

  constructor(env: Pick<Env, 'afterPoll'>, host: GatheringHost) {
    this.#env = env;
    this.#host = host;
  }

  /** Until `done` is called. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Something came. Begins, unless it has begun already. */
  begin(): void {
    if (this.#open) return;
    this.#open = true;
    this.#look(1, 0);
  }

  #look(number: number, before: number): void {
    this.#env.afterPoll(() => {
      const count = this.#host.count();
      if (number < MAX_LOOKS && count > before && this.#host.hasCompany()) {
        this.#look(number + 1, count);
        return;
      }
      this.#open = false;
      this.#host.done();
    });
  }
}
