/**
 * Host names of peers, looked up before anything is dialled.
 *
 * A look-up holds one of the process's four pool threads until the resolver answers or gives up, which takes it much longer than
 * an attempt to connect. So there is one at a time for each name, shared by all attempts that want it, and only so many in all:
 * a name server that hangs cannot take every thread. The socket looks the name up again when it connects; by then the resolver
 * has just answered.
 */
import { lookup } from 'node:dns';
import { isIP } from 'node:net';

/** Leaves a thread to everybody else. */
const MAX_LOOKUPS = 3;

type Done = (error: Error | null) => void;
export type Lookup = (host: string, done: Done) => void;

const systemLookup: Lookup = (host, done) => lookup(host, (error) => done(error));

export class Names {
  readonly #lookup: Lookup;
  /** Who waits for each name, looked up or yet to be. */
  readonly #asked = new Map<string, Done[]>();
  /** Names that wait for their turn. */
  #waiting: string[] = [];
  #running = 0;

  constructor(lookup: Lookup = systemLookup) {
    this.#lookup = lookup;
  }

  /** @param done now when `host` is an address or this machine, else later; it must know whether it still matters */
  find(host: string, done: Done): void {
    if (host === 'localhost' || host === '' || isIP(host.replace(/%.*$/, '')) !== 0) {
      done(null);
      return;
    }
    const others = this.#asked.get(host);
    if (others !== undefined) {
      others.push(done);
      return;
    }
    this.#asked.set(host, [done]);
    this.#waiting.push(host);
    this.#run();
  }

  #run(): void {
    while (this.#running < MAX_LOOKUPS && this.#waiting.length > 0) {
      const host = this.#waiting.shift()!;
      this.#running++;
      this.#lookup(host, (error) => {
        this.#running--;
        const askers = this.#asked.get(host) ?? [];
        this.#asked.delete(host);
        this.#run();
        for (const done of askers) done(error);
      });
    }
  }
}
