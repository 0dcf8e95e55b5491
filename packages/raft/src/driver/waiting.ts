/**
 * Promises of a driver that wait for an outcome, with a deadline in ticks.
 */
import { DriverError } from './contracts.ts';

interface Waiter<Value> {
  resolve(value: Value): void;
  reject(error: DriverError): void;
  readonly deadline: number;
}

export class Waiting<Value> {
  readonly #timeoutTicks: number;
  #waiters = new Map<bigint, Waiter<Value>>();
  #tick = 0;

  constructor(timeoutTicks: number) {
    this.#timeoutTicks = timeoutTicks;
  }

  add(id: bigint): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject, deadline: this.#tick + this.#timeoutTicks });
    });
  }

  resolve(id: bigint, value: Value): void {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    waiter?.resolve(value);
  }

  reject(id: bigint, error: DriverError): void {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    waiter?.reject(error);
  }

  /** Deadlines rise in the order of arrival, so the overdue ones come first. */
  tick(): void {
    this.#tick += 1;
    for (const [id, waiter] of this.#waiters) {
      if (waiter.deadline > this.#tick) return;
      this.reject(id, new DriverError('TIMEOUT', 'no outcome in time'));
    }
  }

  rejectAll(error: DriverError): void {
    for (const id of [...this.#waiters.keys()]) this.reject(id, error);
  }
}
