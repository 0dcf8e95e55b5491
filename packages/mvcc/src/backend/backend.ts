/**
 * The ordered byte store under the tables.
 *
 * Two sides that run in different threads: the *reader* (main thread, snapshots of committed data) and the
 * *writer* (one thread of its own, whole batches). LMDB is the real one (`lmdb.ts`); `memory.ts` is for tests and
 * the simulator, with the same split between visible and durable. Both pass `backend.contract.ts`.
 */

/** Named ordered maps from bytes to bytes. Keys are at most 1,978 bytes and order by unsigned byte comparison. */
export type TableName = string;

export interface BackendReader {
  /** Value of `key` in the current snapshot. The bytes are valid until the next call on this reader; copy what stays. */
  get(table: TableName, key: Uint8Array): Uint8Array | undefined;
  /**
   * Visits `[low, high)` in order (`high` null: to the end; `reverse`: from high to low) until `visit` returns
   * false. The views given to `visit` are valid during that call only.
   */
  scan(
    table: TableName,
    range: { low: Uint8Array; high: Uint8Array | null; reverse?: boolean },
    visit: (key: Uint8Array, value: Uint8Array) => boolean,
  ): void;
  /**
   * `scan` of table `log`, forward and without a view for each key and value, which cost as much as the scan: the key begins at `keyStart` of
   * `keys`, the value is the first `valueBytes` of `values`.
   */
  scanLog(
    range: { low: Uint8Array; high: Uint8Array | null },
    visit: (keys: Uint8Array, keyStart: number, values: Uint8Array, valueBytes: number) => boolean,
  ): void;
  /** Number of keys in `[low, high)`. Costs time in proportion to the answer. */
  count(table: TableName, range: { low: Uint8Array; high: Uint8Array | null }): number;
  /** Moves to a snapshot that holds everything committed before this call. */
  refresh(): void;
  stats(): BackendStats;
  close(): void;
}

export interface BackendStats {
  /** Size of the file. */
  readonly fileBytes: number;
  /** Bytes of pages in use; the rest of the file is free for reuse. */
  readonly usedBytes: number;
}

/** A transaction of the writer thread; every change is visible to its own later reads. */
export interface BackendTransaction {
  get(table: TableName, key: Uint8Array): Uint8Array | undefined;
  scan: BackendReader['scan'];
  put(table: TableName, key: Uint8Array, value: Uint8Array): void;
  /** Put where `key` is known to be greater than every key of the table. */
  append(table: TableName, key: Uint8Array, value: Uint8Array): void;
  /** @returns whether the key existed */
  remove(table: TableName, key: Uint8Array): boolean;
}

export interface BackendWriter {
  /** Runs `work` as one transaction. When it returns, the transaction is *durable*. @throws BackendError, and nothing of it is kept */
  write(work: (transaction: BackendTransaction) => void): void;
  close(): void;
}

/**
 * One database with its two sides. A rewrite without free pages (`copyCompact`) makes a second generation of it, which takes
 * its place while the first one is still read.
 */
export interface Backend {
  openReader(): BackendReader;
  /** At most one at a time. */
  openWriter(): BackendWriter;
  /**
   * Copies a snapshot, taken between this call and its answer, into a new generation that nobody uses yet. Transactions of the writer may go on
   * meanwhile.
   * @returns gives up: unless the copy is complete, `done` gets an error with code CANCELLED, and nothing is left behind
   */
  copyCompact(done: (error: Error | null, copy: BackendCopy | null) => void): () => void;
  /**
   * Makes an empty database beside this one, which nobody uses yet: for building a store in bulk. One that is not adopted is
   * removed at the next start.
   * @param name unlike that of any other; letters and digits
   */
  createFresh(name: string): FreshDatabase;
  /** A sealed fresh database takes this one's place, as `BackendCopy.adopt` does. The writer of this one stays open on what was. */
  adoptFresh(name: string, visit: (place: AdoptPlace) => void): Backend;
}

/** Places on the way of a new generation into use. */
export type AdoptPlace = 'beforeRename' | 'beforeDirectorySync' | 'afterDirectorySync';

/** A database under construction: its transactions are visible to its own reader, and not durable before `seal`. */
export interface FreshDatabase {
  readonly reader: BackendReader;
  readonly writer: BackendWriter;
  /** Closes both sides, then makes everything durable. @param done in a later turn */
  seal(done: (error: Error | null) => void): void;
  /** Closes and removes it; also after `seal`, as long as it is not adopted. */
  discard(): void;
}

export interface BackendCopy {
  /** The copy's own writer, to bring the copy up to date. */
  openWriter(): BackendWriter;
  /**
   * Makes the copy the database that is opened from now on, durably: whatever happens, the next start finds either the
   * old one or the new one, whole. Its writer must be closed.
   */
  adopt(visit: (place: AdoptPlace) => void): Backend;
  /** Removes the copy. */
  discard(): void;
}

export class BackendError extends Error {
  override readonly name = 'BackendError';
  /** ENOSPC, EIO, MAP_FULL, CORRUPTED, ... */
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
