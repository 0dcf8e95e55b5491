/**
 * Which log files may go: those whose entries the store holds durably, less what followers may still want.
 *
 * Looked at once a tick. Every `snapshotCount` entries a snapshot marker is written first, so that the log itself says from
 * which point on it is complete; offline tools and a member with an older store can tell (case 25).
 */
import type { Store } from '@quorate/mvcc';
import type { ConfState } from '@quorate/raft';
import type { Wal } from '@quorate/wal';
import type { Failpoint } from '../failpoints.ts';

export class LogRelease {
  readonly #wal: Wal;
  readonly #store: Store;
  readonly #options: { readonly snapshotCount: number; readonly snapshotCatchUpEntries: number };
  readonly #failpoint: Failpoint;
  #released = 0;
  #marked = 0;
  /** Last change of the configuration: a marker names the configuration as of its index, so it must not lie before. */
  #confIndex = 0;

  constructor(
    wal: Wal,
    store: Store,
    options: { readonly snapshotCount: number; readonly snapshotCatchUpEntries: number },
    failpoint: Failpoint,
  ) {
    this.#wal = wal;
    this.#store = store;
    this.#options = options;
    this.#failpoint = failpoint;
    this.#marked = store.durableIndex;
  }

  confChanged(index: number): void {
    this.#confIndex = index;
  }

  /** The log begins anew after `index`. */
  restartAt(index: number): void {
    this.#marked = index;
    this.#confIndex = index;
    this.#released = Math.max(this.#released, index);
  }

  /**
   * What followers may still want stays, and bounded: one that died must not keep the log for ever.
   * @param wantedAfter index after which followers read; `Infinity` when nobody does
   * @param heldIndex index of a snapshot on its way, whose receiver goes on from there; `Infinity` when there is none
   */
  tick(conf: ConfState, wantedAfter: number, heldIndex: number): void {
    const durable = this.#store.durableIndex;
    this.#maybeMark(durable, conf);
    const oldest = durable - this.#options.snapshotCatchUpEntries;
    const upTo = Math.min(durable, Math.max(oldest, wantedAfter), heldIndex);
    if (upTo <= this.#released) return;
    this.#failpoint('beforeLogRelease');
    this.#released = upTo;
    this.#wal.release(upTo);
  }

  #maybeMark(durable: number, conf: ConfState): void {
    if (durable - this.#marked < this.#options.snapshotCount || durable < this.#confIndex) return;
    const term = this.#wal.term(durable);
    if (term === undefined) return;
    this.#marked = durable;
    const snapshotMarker = { index: durable, term, conf };
    // A failure reaches the member through the log's `onFatal`.
    this.#wal.append({ entries: [], hardState: null, snapshotMarker, mustSync: true }, () => {});
  }
}
