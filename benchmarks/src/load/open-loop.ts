/**
 * Open loop: calls begin at a rate, whatever the server does, and their latency counts from the moment at which they
 * were due. A pause of a second shows in every call that was due in it, as it does for real users.
 *
 * Calls due within the same tick of a millisecond are due at its end, and leave together. A generator that comes late
 * makes up for it, and the delay counts. At most `MAX_OPEN_CALLS` are open; calls due beyond that wait here, with
 * their due time kept.
 */
import type { Connection, StreamListener } from './connection.ts';
import { startTicker, TICK_MS } from './ticker.ts';

const MAX_OPEN_CALLS = 20_000;
/** How long answers are waited for after the last call. */
const DRAIN_MS = 10_000;

export interface OpenLoop {
  readonly connections: readonly Connection[];
  readonly ratePerSec: number;
  /** Begins a call on the connection. */
  begin(connection: Connection, dueMs: number, listener: StreamListener): void;
  onEnd(succeeded: boolean, dueMs: number): void;
}

/** Runs until `stop`, which resolves when the last answer is there (or overdue). */
export function startOpenLoop(loop: OpenLoop): { stop(): Promise<void> } {
  const { connections } = loop;
  const startMs = performance.now();
  let begun = 0;
  let open = 0;
  let running = true;
  let onDrained: (() => void) | undefined;

  class Call implements StreamListener {
    readonly #dueMs: number;

    constructor(dueMs: number) {
      this.#dueMs = dueMs;
    }

    onEnd(succeeded: boolean): void {
      open--;
      loop.onEnd(succeeded, this.#dueMs);
      if (open === 0) onDrained?.();
    }
  }

  const ticker = startTicker(() => {
    if (!running) return;
    const ticks = Math.floor((performance.now() - startMs) / TICK_MS);
    const due = Math.floor((ticks * TICK_MS * loop.ratePerSec) / 1_000);
    while (begun < due && open < MAX_OPEN_CALLS) {
      begun++;
      open++;
      const dueTick = Math.ceil((begun * 1_000) / loop.ratePerSec / TICK_MS);
      const dueMs = startMs + dueTick * TICK_MS;
      const connection = connections[begun % connections.length] as Connection;
      loop.begin(connection, dueMs, new Call(dueMs));
    }
    for (const connection of connections) connection.flush();
  });

  return {
    async stop() {
      running = false;
      await ticker.stop();
      if (open === 0) return;
      await new Promise<void>((resolve) => {
        const overdue = setTimeout(resolve, DRAIN_MS);
        onDrained = () => {
          clearTimeout(overdue);
          resolve();
        };
      });
    },
  };
}
