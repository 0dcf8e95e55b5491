/** An open-loop client of one member: a put every few milliseconds, whatever became of the earlier ones. */
import { services } from '@quorate/proto';
import { Connection } from '../cluster/connection.ts';

const CALL_MS = 10_000;
const EVERY_MS = 20;
/** A member that answers nothing is not asked without end. */
const MAX_OPEN = 400;

interface Probe {
  readonly beganMs: number;
  /** Null: not over. */
  endedMs: number | null;
  error: string | null;
}

/** Notes what became of each put. */
export class Prober {
  readonly endpoint: string;
  readonly #connection: Connection;
  readonly #calls: Probe[] = [];
  readonly #value: Buffer;
  readonly #timer: NodeJS.Timeout;
  #open = 0;
  #waiting: { sinceMs: number; resolve: (atMs: number) => void }[] = [];

  constructor(endpoint: string, valueBytes: number) {
    this.endpoint = endpoint;
    this.#connection = new Connection(endpoint);
    this.#value = Buffer.alloc(valueBytes, 'x');
    this.#timer = setInterval(() => void this.#put(), EVERY_MS);
  }

  async #put(): Promise<void> {
    if (this.#open >= MAX_OPEN) return;
    this.#open++;
    const call: Probe = { beganMs: performance.now(), endedMs: null, error: null };
    this.#calls.push(call);
    const request = { key: Buffer.from('probe'), value: this.#value };
    const result = await this.#connection.call(services['etcdserverpb.KV'].Put, request, CALL_MS);
    this.#open--;
    call.endedMs = performance.now();
    if (!result.ok) call.error = result.error;
    else this.#tell(call.beganMs, call.endedMs);
  }

  #tell(beganMs: number, endedMs: number): void {
    const ready = this.#waiting.filter((one) => beganMs >= one.sinceMs);
    this.#waiting = this.#waiting.filter((one) => beganMs < one.sinceMs);
    for (const one of ready) one.resolve(endedMs);
  }

  /** When the first put that began after `sinceMs` was answered. */
  untilAnswered(sinceMs: number): Promise<number> {
    return new Promise((resolve) => this.#waiting.push({ sinceMs, resolve }));
  }

  errorsSince(sinceMs: number): Map<string, number> {
    const errors = new Map<string, number>();
    for (const { endedMs, error } of this.#calls)
      if (error !== null && endedMs! >= sinceMs) errors.set(error, (errors.get(error) ?? 0) + 1);
    return errors;
  }

  /** How long the first put after `sinceMs` took, or takes already. */
  firstSince(sinceMs: number): number[] {
    const first = this.#calls.find(({ beganMs }) => beganMs >= sinceMs);
    return first === undefined ? [] : [(first.endedMs ?? performance.now()) - first.beganMs];
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#connection.close();
  }
}
