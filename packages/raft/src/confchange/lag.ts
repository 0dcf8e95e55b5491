/**
 * The configuration of a state machine that lags behind the core.
 *
 * A snapshot takes the place of the log at once, and its configuration is in force from then on. The state machine may be
 * busy with entries from before it, and even with an older snapshot. Changes among those lead it from configuration to
 * configuration as they always would, but no longer change the one in force:
 *
 *     applied 3 | handed out: 4 remove 2 | snapshot 9: voters (1 2 3), 2 is back     4 must not remove it again
 */
import type { ConfState, SnapshotMeta } from '../types.ts';

export class ConfLag {
  /** Taken over and, as far as known, not installed yet; oldest first. */
  #snapshots: SnapshotMeta[] = [];
  #newest = 0;
  /** The state machine's, while there are any. */
  #conf: ConfState | null = null;

  /** Index of the newest snapshot that was taken over; 0 when none was. */
  get newest(): number {
    return this.#newest;
  }

  /**
   * @param applied how far the state machine is
   * @param inForce the configuration in force until now
   */
  takeOver(snapshot: SnapshotMeta, applied: number, inForce: ConfState): void {
    this.#passed(applied);
    if (this.#snapshots.length === 0) this.#conf = inForce;
    this.#snapshots.push(snapshot);
    this.#newest = snapshot.index;
  }

  /** The state machine applies an entry that a snapshot covers: `change` is what it makes of its configuration. */
  apply(index: number, change: (conf: ConfState) => ConfState): ConfState {
    this.#passed(index - 1);
    this.#conf = change(this.#conf!);
    return this.#conf;
  }

  #passed(index: number): void {
    while (this.#snapshots.length > 0 && this.#snapshots[0]!.index <= index) {
      this.#conf = this.#snapshots.shift()!.conf;
    }
  }
}
