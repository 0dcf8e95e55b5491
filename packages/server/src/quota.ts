/**
 * The space quota: what a write is said to cost, and whether the database has room for it (sem-174 to sem-176).
 *
 * Costs are etcd's rough figures, not measurements: 256 bytes and the data for a put, 64 for a lease, the dearer branch
 * for a txn. Deletes and compactions are free, so that a full member can be emptied.
 */
import type { Env } from './env.ts';
import type { Operation, TxnStep } from './operations.ts';

const PUT_BYTES = 256;
const LEASE_BYTES = 64;
/** How long a size may be used again: asking costs a call into LMDB, and every write asks. etcd's own is as old, its backend's batch. */
const SIZE_MAX_AGE_MS = 100;

export function costBytes(operation: Operation | TxnStep): number {
  switch (operation.kind) {
    case 'put':
      return PUT_BYTES + operation.key.length + operation.value.length;
    case 'lease-grant':
      return LEASE_BYTES;
    case 'txn':
      return Math.max(sumOf(operation.success), sumOf(operation.failure));
    default:
      return 0;
  }
}

function sumOf(steps: readonly TxnStep[]): number {
  let sum = 0;
  for (const step of steps) sum += costBytes(step);
  return sum;
}

export class Quota {
  readonly #limitBytes: number;
  readonly #env: Env;
  readonly #sizeBytes: () => number;
  #lastSize = 0;
  #lastAskedMs = Number.NEGATIVE_INFINITY;

  /**
   * @param limitBytes 0 or less: no limit
   * @param sizeBytes size of the database, memory that waits for it included
   */
  constructor(limitBytes: number, env: Env, sizeBytes: () => number) {
    this.#limitBytes = limitBytes;
    this.#env = env;
    this.#sizeBytes = sizeBytes;
  }

  /** The database is another one: its size has to be asked anew. */
  forget(): void {
    this.#lastAskedMs = Number.NEGATIVE_INFINITY;
  }

  /** Whether there is room for something of this cost; what costs nothing always fits. */
  fits(cost: number): boolean {
    if (cost === 0 || this.#limitBytes <= 0) return true;
    const now = this.#env.monotonicMs();
    if (now - this.#lastAskedMs > SIZE_MAX_AGE_MS) {
      this.#lastAskedMs = now;
      this.#lastSize = this.#sizeBytes();
    }
    return this.#lastSize + cost < this.#limitBytes;
  }
}
