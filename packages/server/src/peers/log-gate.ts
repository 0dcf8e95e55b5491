/** Lets a line into the log at most once in a while for each of its causes, and counts what it held back. */
import type { Env, LogLevel } from '../env.ts';

const INTERVAL_MS = 30_000;
/** Causes come from outside: when there are more, all are forgotten. */
const MAX_CAUSES = 256;

export class LogGate {
  readonly #env: Env;
  readonly #causes = new Map<string, { readonly sinceMs: number; heldBack: number }>();

  constructor(env: Env) {
    this.#env = env;
  }

  log(cause: string, level: LogLevel, message: string, fields: Record<string, unknown>): void {
    const nowMs = this.#env.monotonicMs();
    const known = this.#causes.get(cause);
    if (known !== undefined && nowMs - known.sinceMs < INTERVAL_MS) {
      known.heldBack++;
      return;
    }
    if (known === undefined && this.#causes.size >= MAX_CAUSES) this.#causes.clear();
    this.#causes.set(cause, { sinceMs: nowMs, heldBack: 0 });
    const repeats = known?.heldBack ?? 0;
    this.#env.log.log(level, message, repeats === 0 ? fields : { ...fields, 'held-back': repeats });
  }

  /** It ended well: the next time is news again. */
  forget(cause: string): void {
    this.#causes.delete(cause);
  }
}
