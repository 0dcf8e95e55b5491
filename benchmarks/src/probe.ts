/**
 * A stall seen from outside: a connection of its own asks for one key, serializable, every 5 ms, and the longest time
 * from when a question was due until its answer is the longest time for which the server answered nobody.
 *
 * It runs in the process that drives the benchmark and not in the generator, which may be busy itself. On a machine
 * whose cores are all busy the figure holds the time that this process waited for a core: compare, do not subtract.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './load/connection.ts';
import { Mix } from './load/mix.ts';

const EVERY_MS = 5;

export class Probe {
  readonly #connection: Connection;
  readonly #mix: Mix;
  #longestMs = 0;
  /** When the open question was due; undefined between questions. */
  #openSinceMs: number | undefined;
  #running = true;

  static async start(endpoint: string): Promise<Probe> {
    const mix = new Mix([
      {
        operation: { kind: 'get', serializable: true },
        keys: { order: 'random', keys: 1 },
        weight: 1,
      },
    ]);
    let probe: Probe | undefined;
    // A server that goes away fails the load, which says so; the probe only ends.
    const connection = await Connection.open(endpoint, mix.heads, () => probe?.stop());
    probe = new Probe(connection, mix);
    void probe.#ask();
    return probe;
  }

  private constructor(connection: Connection, mix: Mix) {
    this.#connection = connection;
    this.#mix = mix;
  }

  /** From now on the longest stall is that of the measurement. */
  reset(): void {
    this.#longestMs = 0;
    if (this.#openSinceMs !== undefined) this.#openSinceMs = performance.now();
  }

  longestMs(): number {
    const openMs = this.#openSinceMs === undefined ? 0 : performance.now() - this.#openSinceMs;
    return Math.max(this.#longestMs, openMs);
  }

  stop(): void {
    this.#running = false;
    this.#connection.close();
  }

  async #ask(): Promise<void> {
    const call = this.#mix.next();
    while (this.#running) {
      await sleep(EVERY_MS);
      if (!this.#running) return;
      const dueMs = performance.now();
      this.#openSinceMs = dueMs;
      await new Promise<void>((onEnd) => {
        this.#connection.call(call.prepared, 0, { onEnd: () => onEnd() });
        this.#connection.flush();
      });
      const sinceMs = this.#openSinceMs ?? dueMs;
      this.#longestMs = Math.max(this.#longestMs, performance.now() - sinceMs);
      this.#openSinceMs = undefined;
    }
  }
}
