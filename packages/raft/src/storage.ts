/**
 * What the core reads back from stable storage.
 *
 * Reads only: writing is the host's part of `Ready`. All calls are synchronous, so an implementation keeps
 * what is likely to be asked in memory; for what is not, it may throw `StorageUnavailableError`, and the core
 * asks again later. Every implementation passes `storage.contract.ts`.
 */
import type { ConfState, Entry, HardState, Snapshot } from './types.ts';

/** The stable storage of a node, as the core reads it (thesis §3.8, §5). */
export interface Storage {
  /** State at start-up. A fresh node has term 0, vote NONE, commit 0 and the configuration it was bootstrapped with. */
  initialState(): { hardState: HardState; conf: ConfState };
  /**
   * Entries in `[low, high)`, at least one, no more than `maxBytes` of data unless the first alone is larger.
   * @throws CompactedError when `low < firstIndex()`
   * @throws StorageUnavailableError when they exist but cannot be read just now
   */
  entries(low: number, high: number, maxBytes: number): readonly Entry[];
  /**
   * Term of the entry at `index`, for `index` in `[firstIndex() - 1, lastIndex()]`.
   * @throws CompactedError below that range
   */
  term(index: number): number;
  /** First index that `entries` can return; one more than the last index of the snapshot that starts the log. */
  firstIndex(): number;
  lastIndex(): number;
  /**
   * The newest snapshot, for a follower that is too far behind.
   * @throws StorageUnavailableError while one is being made; the core asks again later
   */
  snapshot(): Snapshot;
}

/** The index asked for is in the compacted part of the log. Thesis §5. */
export class CompactedError extends Error {
  readonly code = 'COMPACTED';
  override readonly name = 'CompactedError';
}

/** The data exists but cannot be read just now; ask again later. Thesis §5 leaves the making of snapshots to the host. */
export class StorageUnavailableError extends Error {
  readonly code = 'STORAGE_UNAVAILABLE';
  override readonly name = 'StorageUnavailableError';
}
