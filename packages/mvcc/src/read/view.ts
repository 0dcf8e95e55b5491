/**
 * What the parts of a read share: heads, records, the count index, and the two numbers that say what may be read.
 *
 * `versionAt` is the heart of reading the past. One key with records at 2, 4, 7 (deleted) and 9; C is the compact revision:
 *
 *   wanted 9 or more   the head itself
 *   wanted 7, 8        9's chain: 7, a tombstone: it did not exist
 *   wanted 4, 5, 6     7's chain: 4
 *   wanted 3, C = 3    4's chain: 2
 *   wanted 3, C = 4    refused before anything is looked at
 */
import type { BackendReader } from '../backend/backend.ts';
import type { BlockIndex } from '../blocks.ts';
import { compareBytes } from '../bytes.ts';
import type { HeadEntry } from '../head-entry.ts';
import { tableKey } from '../key-codec.ts';
import { emptyRecordHeader, readRecordHeader } from '../log-record.ts';
import { recordFromFrame, recordFromHead, type StoredRecord } from '../stored-record.ts';
import { CompactedError, FutureRevisionError } from '../types.ts';
import type { Heads } from './heads.ts';
import { RunImages } from './pages/run-images.ts';
import type { Records } from './records.ts';

const header = emptyRecordHeader();

export class ReadView {
  reader: BackendReader;
  readonly heads: Heads;
  readonly records: Records;
  blocks: BlockIndex;
  /** Some key over 1,900 bytes was put: native counts see its bucket as one key. */
  longKeys: boolean;
  /** Newest main revision, own writes of a transaction under way included. */
  revision: number;
  compactRevision: number;
  readonly images: RunImages;

  constructor(what: {
    reader: BackendReader;
    heads: Heads;
    records: Records;
    blocks: BlockIndex;
    longKeys: boolean;
    revision: number;
    compactRevision: number;
    /** Bound of all run images; 0: there are none. */
    imageBytes: number;
    imageKeys: number;
  }) {
    this.reader = what.reader;
    this.heads = what.heads;
    this.records = what.records;
    this.blocks = what.blocks;
    this.longKeys = what.longKeys;
    this.revision = what.revision;
    this.compactRevision = what.compactRevision;
    this.images = new RunImages(what.imageBytes, what.imageKeys, what.revision);
  }

  useReader(reader: BackendReader): void {
    this.reader = reader;
    this.heads.useReader(reader);
    this.records.useReader(reader);
  }

  /** @throws CompactedError, FutureRevisionError */
  checkReadable(revision: number): void {
    if (revision > this.revision) throw new FutureRevisionError('the revision is in the future');
    if (revision < this.compactRevision) throw new CompactedError('the revision was compacted');
  }

  /**
   * Bounds around `key` with some hundreds of keys between them, from what is sorted in memory: the count index and the active layer.
   * Null: no bound on that side.
   */
  around(key: Uint8Array): { low: Uint8Array | null; high: Uint8Array | null } {
    let { low, high } = this.heads.around(key);
    const block = this.blocks.blockOf(tableKey(key));
    const from = this.blocks.from(block);
    const to = block + 1 < this.blocks.count ? this.blocks.from(block + 1) : null;
    // A boundary among long keys is that of their bucket, which may lie above `key`.
    if (compareBytes(from, key) <= 0 && (low === null || compareBytes(low, from) < 0)) low = from;
    if (to !== null && compareBytes(key, to) < 0 && (high === null || compareBytes(to, high) < 0)) high = to;
    return { low, high };
  }

  /** The record of a key, whose newest record is `head`, as it was at `revision`; null when it did not exist. */
  versionAt(head: HeadEntry, revision: number): StoredRecord | null {
    if (head.main <= revision) return head.tombstone ? null : recordFromHead(head, this.records);
    const at = this.#olderVersion(head, revision);
    const frame = at === null ? null : this.records.find(at.main, at.sub);
    if (at === null || frame === null) return null;
    const record = recordFromFrame(frame, at.sub);
    return record.tombstone ? null : record;
  }

  /**
   * The same as the bytes of its `KeyValue`, which `visit` gets to copy: they are valid during the call only.
   * @returns whether the key existed
   */
  peekVersion(
    head: HeadEntry,
    revision: number,
    visit: (bytes: Uint8Array, start: number, end: number) => void,
  ): boolean {
    let at: { main: number; sub: number } | null = head;
    if (head.main > revision) at = this.#olderVersion(head, revision);
    else if (head.tombstone) return false;
    if (at === null) return false;
    const frame = this.records.peek(at.main, at.sub);
    if (frame === null) return false;
    readRecordHeader(frame.bytes, frame.start, header);
    if (header.tombstone) return false;
    visit(frame.bytes, header.keyValueStart, frame.end);
    return true;
  }

  /** The newest record at or below `revision` of a key whose head is above it: perhaps a tombstone, perhaps removed. */
  #olderVersion(head: HeadEntry, revision: number): { main: number; sub: number } | null {
    if (!head.tombstone && !head.past && head.createRevision > revision) return null;
    let { main, sub } = head;
    while (main > revision) {
      const frame = this.records.peek(main, sub);
      if (frame === null) return null;
      readRecordHeader(frame.bytes, frame.start, header);
      if (header.previousMain === 0) return null;
      if (header.jumpMain > revision) {
        main = header.jumpMain;
        sub = header.jumpSub;
      } else {
        main = header.previousMain;
        sub = header.previousSub;
      }
    }
    return { main, sub };
  }
}
