/**
 * A store's contents on their way elsewhere: to another member, to a user's snapshot, or out of one.
 *
 * A *store image* is the state after one log entry: every record since the compaction, and the small tables. It is logical:
 * heads, graves, counts and lease attachments follow from the records and are derived again where it is read in. While an image
 * is open, removal of what it covers waits (a compaction pin); writes and compactions go on.
 *
 *   StoreImage     reads one, record by record                    (member snapshots, bbolt images)
 *   StoreBuilder   makes the files of a new store from records    (member snapshots, restoring, migrating)
 *   ImageSource    a StoreImage as checksummed chunks             (the sending member)
 *   ImageSink      builds a store from such chunks                (the receiving member)
 */

/** One record of the log: a put or a tombstone. */
export interface ImageRecord {
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
  /** `mvccpb.KeyValue` bytes as they go on the wire; for a tombstone key and mod revision alone. */
  readonly encoded: Uint8Array;
}

/** What an image is the state of. */
export interface ImageInfo {
  /** Log entry after which this is the state, durable in the sender's store. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  readonly revision: number;
  /** -1 when never compacted. */
  readonly compactRevision: number;
}

export interface StoreImage extends ImageInfo {
  /** Rows of a small table as of `appliedIndex`, in key order. */
  scanMeta(table: string, visit: (key: Uint8Array, value: Uint8Array) => boolean): void;
  /** Names of the small tables that have rows. */
  readonly metaTables: readonly string[];
  /**
   * The next records in order of revision: those that a compaction at `compactRevision` leaves. About `maxBytes` of them,
   * or as many as about 2 ms allow; at least one. Empty at the end. The bytes may be kept.
   */
  readRecords(maxBytes: number): readonly ImageRecord[];
  /** Lets removal go on. Closing twice changes nothing. */
  close(): void;
}

/** Builds a store in a folder that holds none. Nothing is valid there before `finish`; `abort` leaves nothing behind. */
export interface StoreBuilder {
  putMeta(table: string, key: Uint8Array, value: Uint8Array): void;
  /** In order of revision. @throws Error on a record out of order or that cannot be decoded: the builder is aborted then */
  addRecords(records: readonly ImageRecord[]): void;
  /** Derives what follows from the records, syncs, closes. @param done in a later turn */
  finish(info: ImageInfo, done: (error: Error | null) => void): void;
  abort(): void;
}

/** An open image as a stream of chunks that the receiver can check one by one. Pull: nothing is read ahead. */
export interface ImageSource {
  readonly info: ImageInfo;
  /** The next chunk, at most about 256 KiB (one larger record alone may exceed it); null after the last. One call at a time. */
  next(done: (error: Error | null, chunk: Uint8Array | null) => void): void;
  /** Also before the end. Closing twice changes nothing. */
  close(): void;
}

/** Takes the chunks of an `ImageSource` and builds a store beside the one in use. */
export interface ImageSink {
  /** @param done when the next chunk may come; an error (damaged chunk, full disk) has aborted the sink */
  write(chunk: Uint8Array, done: (error: Error | null) => void): void;
  /** All chunks came: checks that none is missing, syncs. The result can be given to `Store.install`. */
  finish(done: (error: Error | null, info: ImageInfo | null) => void): void;
  abort(): void;
}
