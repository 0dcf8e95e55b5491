/**
 * What raft reads back, from the log's files.
 *
 * Raft keeps young entries in memory itself (bounded by bytes); only what a slow follower needs is read here.
 */
import {
  CompactedError,
  type ConfState,
  type Entry,
  type HardState,
  type Snapshot,
  type Storage,
  StorageUnavailableError,
} from '@quorate/raft';
import type { Wal } from '@quorate/wal';

export class WalStorage implements Storage {
  readonly #wal: Wal;
  readonly #initial: { hardState: HardState; conf: ConfState };

  /** @param initial as recovered: the hard state's commit index is at least the applied index */
  constructor(wal: Wal, initial: { hardState: HardState; conf: ConfState }) {
    this.#wal = wal;
    this.#initial = initial;
  }

  initialState(): { hardState: HardState; conf: ConfState } {
    return this.#initial;
  }

  entries(low: number, high: number, maxBytes: number): readonly Entry[] {
    if (low < this.#wal.firstIndex()) throw new CompactedError('the log no longer holds that index');
    return this.#wal.entries(low, high, maxBytes);
  }

  term(index: number): number {
    const term = this.#wal.term(index);
    if (term === undefined) throw new CompactedError('the log no longer holds that index');
    return term;
  }

  firstIndex(): number {
    return this.#wal.firstIndex();
  }

  lastIndex(): number {
    return this.#wal.lastIndex();
  }

  /** A cluster of one has no follower that could need a snapshot. */
  snapshot(): Snapshot {
    throw new StorageUnavailableError('no snapshot is being offered');
  }
}
