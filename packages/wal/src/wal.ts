/**
 * The public surface of the log: what a host gives, what it gets.
 *
 * A host appends batches and is called back when each is durable; everything appended while one sync is under way
 * goes out in the next single write and sync ("group commit"). `openWal` (in `open.ts`) does this on a thread of its
 * own; with a `disk` given, the same code runs on the caller's thread, without threads, timers or clocks, so that a
 * simulation replays exactly.
 *
 * Invariants the host may rest on:
 *   - callbacks run in the order of `append`, never inside `append`, and each says durable, not merely written;
 *   - a batch is atomic: after a crash all of it is there or nothing of it and nothing after it;
 *   - a failed write or sync is final: no retry, every waiting callback gets the error, nothing is accepted any more;
 *   - what cannot be explained as the unfinished last write is refused at open, never skipped.
 *
 * Read next: `open.ts`, `log-index.ts` (reading back), `segment-writer.ts` (the writing half), `../FORMAT.md`.
 */
import type { Entry, HardState, SnapshotMeta } from '@quorate/raft';
import type { Disk } from './disk.ts';
import type { WalFailedError } from './errors.ts';
import type { Failpoint } from './failpoints.ts';

export interface WalOptions {
  /** Folder of the log alone; created with mode 0700. One process at a time: the folder is locked while open. */
  readonly directory: string;
  /**
   * Whose log this is (for instance an encoded cluster and member id), at most 64 KiB. Written at creation; reopening
   * with other bytes is refused with `WalMetadataError`.
   */
  readonly metadata: Uint8Array;
  /**
   * Whether a log that exists may be opened although its metadata differs from `metadata`: for hosts that take their
   * identity from the log once there is one. Default: no.
   */
  readonly acceptMetadata?: (found: Uint8Array) => boolean;
  /** Fail with `WalMissingError` instead of creating a log where there is none. Default false. */
  readonly mustExist?: boolean;
  /** Size of a segment file, a multiple of 4096. A batch larger than this gets a longer file of its own. Default 16 MiB. */
  readonly segmentBytes?: number;
  /** Released or prepared segment files kept for reuse. Default 2. */
  readonly spareSegments?: number;
  /** Called once, before the callbacks are failed, when the log can no longer write. The host must stop. */
  readonly onFatal?: (error: WalFailedError) => void;
  /** Skips every sync: acknowledged entries are lost in a power cut. For tests and throw-away clusters only. */
  readonly unsafeNoSync?: boolean;
  /**
   * Runs on the caller's thread over this disk. `append` then only queues; the write happens when `schedule` runs what it was
   * given, or in `pump()`.
   */
  readonly disk?: Disk;
  /** With `disk`: called once each time work begins to wait. Default: `queueMicrotask`. A simulator passes its own event queue. */
  readonly schedule?: (flush: () => void) => void;
  /** With `disk`: the named places of `WAL_FAILPOINTS`. */
  readonly failpoint?: Failpoint;
  /** Without `disk`: URL of a module whose default export is a `Failpoint`; the writer thread imports it. */
  readonly failpointModule?: string;
}

/** One step of persistence, in raft's terms the durable part of one `Ready`. */
export interface WalBatch {
  /**
   * Contiguous, ascending. The first may replace entries already in the log (`index <= lastIndex`) but must not leave
   * a gap. The bytes are copied before `append` returns.
   */
  readonly entries: readonly Entry[];
  readonly hardState: HardState | null;
  /**
   * The state machine durably has an image at this place, written before the entries of the batch. Entries after it stay when
   * the log holds, or has released, the entry at `index` with the same term; otherwise the log starts anew after it.
   */
  readonly snapshotMarker?: SnapshotMeta | null;
  /**
   * False: `done` promises nothing. Only a hard state whose term and vote are unchanged may come so; it is written with the next
   * durable batch or at `close`. A host must therefore raise the recovered `commit` to what its state machine has applied.
   */
  readonly mustSync: boolean;
  /**
   * The caller has nothing else to do until this is durable: a small batch may then be written and synced within `append`, on
   * its thread, when syncs have been short lately. It saves two wake-ups. Default false.
   */
  readonly mayBlock?: boolean;
}

/** Called when the batch is durable (`null`), or will never be. */
export type WalDone = (error: WalFailedError | null) => void;

/** What was found at open. Entries are read with `Wal.entries`. */
export interface Recovered {
  readonly metadata: Uint8Array;
  /** Null: nothing was ever saved. */
  readonly hardState: HardState | null;
  /** Newest snapshot marker. Its entries may or may not still be in the log. */
  readonly snapshot: SnapshotMeta | null;
  /** The log was created by this call. */
  readonly created: boolean;
  /** Set when an unfinished last write was cut away. Nothing of it had been acknowledged. */
  readonly repaired: WalRepair | null;
}

export interface WalRepair {
  readonly file: string;
  /** Where the unfinished write began, in bytes. */
  readonly offset: number;
  /** Bytes that were cleared after `offset`. */
  readonly bytes: number;
  readonly reason: string;
}

export interface OpenedWal {
  readonly wal: Wal;
  readonly recovered: Recovered;
}

export interface Wal {
  /**
   * Queues a batch (or writes it: `mayBlock`) and returns; `done` runs later. A batch that breaks the contract (a gap, an entry over `MAX_ENTRY_BYTES`) throws
   * `RangeError` and changes nothing.
   */
  append(batch: WalBatch, done: WalDone): void;
  /** Bytes appended and not yet durable, for a host that wants to hold back. */
  readonly pendingBytes: number;
  /** Bytes of frames that became durable since the log was opened. */
  readonly writtenBytes: number;

  // Reading back. Only what is durable is visible; the host keeps younger entries itself.

  /** First index `entries` can return: one past the last released or snapshotted entry. */
  firstIndex(): number;
  /** Last durable index; `firstIndex() - 1` when the log holds no entry. */
  lastIndex(): number;
  /** Term of the entry at `index`, for `index` in `[firstIndex() - 1, lastIndex()]`, without touching a file; else undefined. */
  term(index: number): number | undefined;
  /**
   * Entries in `[low, high)` read from the files: at least one, no more than `maxBytes` of data unless the first alone is
   * larger. Synchronous; costs about a copy when the file is cached. Data is freshly allocated and the caller's.
   * @throws RangeError outside `[firstIndex(), lastIndex() + 1]`
   * @throws WalCorruptionError when what was once written no longer reads back whole
   */
  entries(low: number, high: number, maxBytes: number): Entry[];

  /**
   * Allows whole segment files to go whose entries are all at or below `index`: the state machine must durably hold them. The files
   * are reused or removed by the writer; the newest file always stays.
   */
  release(index: number): void;
  /** Names, sizes and index ranges of the files, oldest first. */
  segments(): readonly SegmentInfo[];
  /** Writes what waits now, on the caller's thread; only with `disk`. */
  pump(): void;
  /** Set once writing is no longer possible. */
  readonly failure: WalFailedError | null;
  /** Writes what waits, closes the files, gives up the lock. Resolves also after a failure; calling again does nothing more. */
  close(): Promise<void>;
}

export interface SegmentInfo {
  readonly file: string;
  /** Bytes written, header included. */
  readonly usedBytes: number;
  /** Highest entry index ever written to this file; 0 when none. */
  readonly maxIndex: number;
}

/** Largest entry `append` takes: 256 MiB less room for headers. */
export const MAX_ENTRY_BYTES = 256 * 1024 * 1024 - 4096;
