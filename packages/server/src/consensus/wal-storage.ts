/**
 * What raft reads back: entries from the log's files, snapshots from images of the store.
 *
 * Raft keeps young entries in memory itself (bounded by bytes); only what a slow follower needs is read here. Reading is
 * synchronous, so a turn of the driver may read so much and no more: what goes beyond is "not now", and raft asks again
 * in the next turn, after the sockets have been looked at. One slow follower costs the others a few milliseconds at most.
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

/** Entry bytes read from files in one turn. */
const TURN_BYTES = 4 * 1024 * 1024;

export class WalStorage implements Storage {
  readonly #wal: Wal;
  readonly #initial: { hardState: HardState; conf: ConfState };
  readonly #snapshot: (logBegin: number) => Snapshot;
  #bytesLeft = TURN_BYTES;
  #exhausted = false;

  /**
   * @param initial as recovered: the hard state's commit index is at least the applied index
   * @param snapshot an image at or after the index it is given; throws StorageUnavailableError while there is none
   */
  constructor(
    wal: Wal,
    initial: { hardState: HardState; conf: ConfState },
    snapshot: (logBegin: number) => Snapshot,
  ) {
    this.#wal = wal;
    this.#initial = initial;
    this.#snapshot = snapshot;
  }

  /** A new turn begins. @returns whether the last one wanted to read more than it might */
  renew(): boolean {
    const wanted = this.#exhausted;
    this.#exhausted = false;
    this.#bytesLeft = TURN_BYTES;
    return wanted;
  }

  /** Whether this turn wanted to read more than it might. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  initialState(): { hardState: HardState; conf: ConfState } {
    return this.#initial;
  }

  entries(low: number, high: number, maxBytes: number): readonly Entry[] {
    if (low < this.#wal.firstIndex()) throw new CompactedError('the log no longer holds that index');
    if (this.#bytesLeft <= 0) {
      this.#exhausted = true;
      throw new StorageUnavailableError('enough was read in this turn');
    }
    const entries = this.#wal.entries(low, high, maxBytes);
    for (const entry of entries) this.#bytesLeft -= entry.data.byteLength;
    return entries;
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

  snapshot(): Snapshot {
    return this.#snapshot(this.#wal.firstIndex() - 1);
  }
}
