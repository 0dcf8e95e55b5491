/**
 * What a store needs from the world, and its bounds.
 *
 * `openStore(options)` in `store.ts` is synchronous: it opens the files, walks the part of `log` that the heads
 * do not cover yet, and returns a store that answers reads. The caller then applies the log entries after
 * `store.appliedIndex`.
 */
import type { Backend } from './backend/backend.ts';
import type { MvccFailpoint } from './failpoints.ts';
import { PASS_RECORDS } from './removal.ts';

export interface StoreOptions {
  /** A folder for LMDB's files (made when missing, mode 0700), or a backend such as `memoryBackend()`. */
  readonly storage: { readonly directory: string } | { readonly backend: Backend };
  /** Monotonic milliseconds. */
  readonly monotonicMs: () => number;
  /** Runs `callback` in a later turn, after the events that wait now: between the slices of long work. */
  readonly afterPoll: (callback: () => void) => void;
  /**
   * Runs `callback` once, not before `delayMs` from now: so that what the last entry before a pause changed goes to disk too. Without it, that waits for
   * the next entry.
   */
  readonly setTimer?: (delayMs: number, callback: () => void) => { cancel(): void };
  /**
   * Runs the writer in this thread, one job per `afterPoll` turn: for tests and the simulator, where a seed must
   * replay exactly. Always so with a backend that is not LMDB. Default false: one worker thread.
   */
  readonly inThread?: boolean;
  /**
   * A row beside the keys that changes with every entry, such as a hash of all of them: asked for at each flush instead of being put each time, and
   * durable together with the state it belongs to. Null: none.
   */
  readonly flushRow?: () => {
    readonly table: string;
    readonly key: Uint8Array;
    readonly value: Uint8Array;
  } | null;
  /** Told how long each transaction of the writer took, waiting for others included: for metrics. */
  readonly onCommit?: (elapsedMs: number) => void;
  /** See `MVCC_FAILPOINTS`. */
  readonly failpoint?: (name: MvccFailpoint) => void;
  /** Address space reserved for the file: more than it can ever grow. Default: see `mapSizeFor`. */
  readonly mapSizeBytes?: number;
  readonly limits?: Partial<StoreLimits>;
}

/** Bounds in bytes, entries and milliseconds. What they were measured with is in docs/decisions/0004-flush-policy.md. */
export interface StoreLimits {
  /** One memtable of records. Two of them (active and sealed) is the most that waits for the disk. */
  readonly memtableBytes: number;
  /** The active memtable is sealed and flushed to `log` when it holds so much, ... */
  readonly flushBytes: number;
  /** ... or when its oldest record is so old (see `setTimer`). */
  readonly flushAfterMs: number;
  /** Keys whose heads wait in memory before a flush of heads begins; at twice as many the store is busy. */
  readonly headEntries: number;
  /** Records that a restart may have to walk before a flush of heads begins. */
  readonly headLagRecords: number;
  /** Entries of one transaction of a flush of heads: bounds the dirty pages that LMDB holds in memory. */
  readonly headPartEntries: number;
  /** Flushed records kept in memory: recent events and values without a look into LMDB. */
  readonly ringBytes: number;
  /** Memory for runs of keys as they go on the wire (docs/decisions/0007-run-images.md); 0: none. */
  readonly imageBytes: number;
  /** Keys in one of them. */
  readonly imageKeys: number;
  /** Longest work in one turn on a long read. */
  readonly sliceMs: number;
  /** Records looked at, or removed, in one slice of physical removal. */
  readonly removeSliceRecords: number;
  /** Records of which it is noted what dies, before any of that is removed (see `removal.ts`): at most a million or so. */
  readonly removePassRecords: number;
  /** Keys in a run of the count index. A run splits above twice as many. */
  readonly blockKeys: number;
}

export const DEFAULT_LIMITS: StoreLimits = {
  memtableBytes: 8 << 20,
  flushBytes: 4 << 20,
  flushAfterMs: 1_000,
  headEntries: 200_000,
  headLagRecords: 200_000,
  headPartEntries: 2_000,
  ringBytes: 4 << 20,
  imageBytes: 32 << 20,
  imageKeys: 64,
  sliceMs: 2,
  removeSliceRecords: 2_000,
  removePassRecords: PASS_RECORDS,
  blockKeys: 512,
};

/** Address space to reserve for a quota (0 or less: none): LMDB cannot grow past it, and unused space costs nothing. */
export function mapSizeFor(quotaBytes: number): number {
  return Math.max(64 * 2 ** 30, 4 * quotaBytes);
}
