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
import type { HeadEntry } from '../head-entry.ts';
import { emptyRecordHeader, readRecordHeader } from '../log-record.ts';
import { recordFromFrame, recordFromHead, type StoredRecord } from '../stored-record.ts';
import { CompactedError, FutureRevisionError } from '../types.ts';
import type { Heads } from './heads.ts';
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

  constructor(what: {
    reader: BackendReader;
    heads: Heads;
    records: Records;
    blocks: BlockIndex;
    longKeys: boolean;
    revision: number;
    compactRevision: number;
  }) {
    this.reader = what.reader;
    this.heads = what.heads;
    this.records = what.records;
    this.blocks = what.blocks;
    this.longKeys = what.longKeys;
    this.revision = what.revision;
    this.compactRevision = what.compactRevision;
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

  /** The record of a key, whose newest record is `head`, as it was at `revision`; null when it did not exist. */
  versionAt(head: HeadEntry, revision: number): StoredRecord | null {
    if (head.main <= revision) return head.tombstone ? null : recordFromHead(head, this.records);
    if (!head.tombstone && !head.past && head.createRevision > revision) return null;
    let { main, sub } = head;
    while (main > revision) {
      const frame = this.records.find(main, sub);
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
    const frame = this.records.find(main, sub);
    if (frame === null) return null;
    const record = recordFromFrame(frame, sub);
    return record.tombstone ? null : record;
  }
}
