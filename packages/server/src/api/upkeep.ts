/**
 * How long work on the whole database takes: measured where callers ask for it, read by metrics.
 *
 * Buckets are etcd's (`etcd_disk_backend_defrag_duration_seconds`, `etcd_disk_backend_snapshot_duration_seconds`).
 */
import type { Env } from '../env.ts';
import { exponentialBuckets, Histogram } from '../histogram.ts';

export class Upkeep {
  /** Defragmentations that succeeded. */
  readonly defragmentSeconds = new Histogram(exponentialBuckets(0.1, 2, 13));
  /** Snapshots that reached their caller whole, from the request on. */
  readonly snapshotSeconds = new Histogram(exponentialBuckets(0.01, 2, 17));
  readonly #env: Pick<Env, 'monotonicMs'>;
  #defragmenting = 0;

  constructor(env: Pick<Env, 'monotonicMs'>) {
    this.#env = env;
  }

  /** Defragmentations under way. */
  get defragmenting(): number {
    return this.#defragmenting;
  }

  /** @returns to be called once, at the end */
  defragment(): (succeeded: boolean) => void {
    const startedMs = this.#env.monotonicMs();
    this.#defragmenting++;
    return (succeeded) => {
      this.#defragmenting--;
      if (succeeded) this.defragmentSeconds.observe((this.#env.monotonicMs() - startedMs) / 1000);
    };
  }

  /** @returns to be called when all of it was sent */
  snapshot(): () => void {
    const startedMs = this.#env.monotonicMs();
    return () => this.snapshotSeconds.observe((this.#env.monotonicMs() - startedMs) / 1000);
  }
}
