/**
 * Wakes the event loop of another thread, in two ways that the trial compares: `Atomics.waitAsync` on a word of shared
 * memory, or an empty message through a `MessagePort`. Who is awake is not rung for: it looks before it sleeps.
 *
 *   sleeper: asleep = 1, is there work?  ──no──▶ sleeps        ringer: publishes, then asleep 1 -> 0? ──yes──▶ wakes it
 *
 * Whichever of the two orders the stores take, either the sleeper sees the work or the ringer sees it asleep.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';

export type BellKind = 'wait-async' | 'message';

/** One side's end of a pair: plain data and perhaps a port, to be sent to the thread that uses it. */
export interface BellEnd {
  readonly control: SharedArrayBuffer;
  readonly side: 0 | 1;
  /** Null: the bell is a word of `control`. */
  readonly port: MessagePort | null;
}

const WORDS_PER_SIDE = 16;
const RUNG = 0;
const ASLEEP = 1;

export function createBells(kind: BellKind): readonly [BellEnd, BellEnd] {
  const control = new SharedArrayBuffer(2 * WORDS_PER_SIDE * 4);
  const channel = kind === 'message' ? new MessageChannel() : null;
  return [
    { control, side: 0, port: channel?.port1 ?? null },
    { control, side: 1, port: channel?.port2 ?? null },
  ];
}

/** How often either side was woken so far. */
export function ringsOf({ control }: BellEnd): number {
  const words = new Int32Array(control);
  return Atomics.load(words, RUNG) + Atomics.load(words, WORDS_PER_SIDE + RUNG);
}

export class Doorbell {
  readonly #control: Int32Array;
  readonly #own: number;
  readonly #other: number;
  readonly #port: MessagePort | null;

  constructor({ control, side, port }: BellEnd) {
    this.#control = new Int32Array(control);
    this.#own = side * WORDS_PER_SIDE;
    this.#other = (1 - side) * WORDS_PER_SIDE;
    this.#port = port;
  }

  /** Wakes the other side if it sleeps. Publish first. */
  ring(): void {
    if (Atomics.exchange(this.#control, this.#other + ASLEEP, 0) === 0) return;
    Atomics.add(this.#control, this.#other + RUNG, 1);
    if (this.#port === null) Atomics.notify(this.#control, this.#other + RUNG);
    else this.#port.postMessage(null);
  }

  /**
   * From now on runs `work` whenever there is some: at most once a turn of the event loop. Waiting on a word keeps no thread
   * alive by itself; listening to a port does.
   */
  listen(hasWork: () => boolean, work: () => void): void {
    if (this.#port === null) void this.#waitAgainAndAgain(hasWork, work);
    else {
      const wake = () => {
        work();
        if (!this.#maySleep(hasWork)) setImmediate(wake);
      };
      this.#port.on('message', wake);
      wake();
    }
  }

  async #waitAgainAndAgain(hasWork: () => boolean, work: () => void): Promise<never> {
    for (;;) {
      const rung = Atomics.load(this.#control, this.#own + RUNG);
      if (this.#maySleep(hasWork)) {
        const waiting = Atomics.waitAsync(this.#control, this.#own + RUNG, rung);
        if (waiting.async) await waiting.value;
      } else await new Promise(setImmediate);
      work();
    }
  }

  /** @returns false when there is work and nobody will ring for it */
  #maySleep(hasWork: () => boolean): boolean {
    Atomics.store(this.#control, this.#own + ASLEEP, 1);
    return !hasWork() || Atomics.exchange(this.#control, this.#own + ASLEEP, 0) === 0;
  }
}
