/**
 * A store built from records in order of revision, on a fresh database.
 *
 *   record ──check──> head of its key so far ──link──> segment, layer of heads ──full──> `log` (appended), `head` and `graves` (sorted batches)
 *
 * It is the way of a write without its waiting: chains, jumps, heads, graves, the count index and lease attachments follow from the records alone, as if each had been
 * applied here. Records are not trusted: what would break an invariant of the store is refused with the revision where it was found.
 *
 * Which records may begin in the middle of a key's life depends on the compact revision, which `finish` tells: a version above 1, or a tombstone, without the record before
 * it is what a compaction left, so it may not lie above. And records that a compaction would have removed (an image from elsewhere, taken
 * while a removal was under way) are no error: the removal that is still owed is noted, and the store does it when it is opened.
 */
import type { FreshDatabase } from '../backend/backend.ts';
import { BlockChanges, BlockIndex } from '../blocks.ts';
import { copyBytes, EMPTY } from '../bytes.ts';
import { type HeadEntry, MAX_HEAD_ENTRY_BYTES, writeHeadEntry } from '../head-entry.ts';
import { BucketTransaction, isLongKey } from '../key-codec.ts';
import { emptyKeyValueParts } from '../key-value.ts';
import { linkRecord } from '../link.ts';
import type { RecordFields } from '../log-record.ts';
import { Heads } from '../read/heads.ts';
import { Records } from '../read/records.ts';
import { FORMAT, INITIAL_REMOVAL, writeApplied, writeHeads, writeRemoval, writeSequence } from '../state.ts';
import { metaTable } from '../tables.ts';
import type { MetaChange } from '../writer/jobs.ts';
import { appendRecords, HEAD_HAS_PREVIOUS, HEAD_TOMBSTONE, putHead } from '../writer/store-writer.ts';
import { readHostileKeyValue } from './hostile-record.ts';
import type { ImageInfo, ImageRecord } from './types.ts';

/** Records of one transaction, and flushed ones kept at hand for the pointers of the next. */
const LOG_BYTES = 4 << 20;
/** Keys whose heads wait for a sorted batch, and those of one transaction. */
const HEAD_ENTRIES = 200_000;
const HEAD_PART_ENTRIES = 8_000;
/** Pointers between records hold 48 bits. */
const MAX_MAIN = 2 ** 48 - 1;
const MAX_SUB = 2 ** 32 - 1;
const NEVER = Number.MAX_SAFE_INTEGER;

/** A record, row or number from outside that no store could have had. */
export class RefusedRecordError extends Error {
  override readonly name = 'RefusedRecordError';
  readonly code = 'REFUSED_RECORD';
}

export class BuildCore {
  readonly #database: FreshDatabase;
  readonly #blockKeys: number;
  readonly #heads: Heads;
  readonly #records: Records;
  readonly #blocks = new BlockIndex();
  readonly #parts = emptyKeyValueParts();
  readonly #encoded = new Uint8Array(MAX_HEAD_ENTRY_BYTES);
  #meta: MetaChange[] = [];
  #metaBytes = 0;
  #longKeys = false;
  #main = 0;
  #sub = 0;
  /** Greatest revision of a record whose predecessor is not here. */
  #lastOrphan = 0;
  /** Lowest revision of a record that supersedes one of an earlier revision, ... */
  #firstSuperseding = NEVER;
  /** ... one of its own revision, ... */
  #firstRepeated = NEVER;
  /** ... and of a tombstone. */
  #firstTombstone = NEVER;

  constructor(database: FreshDatabase, blockKeys: number) {
    this.#database = database;
    this.#blockKeys = blockKeys;
    this.#heads = new Heads(database.reader);
    this.#records = new Records(database.reader, 0);
  }

  /** @throws RefusedRecordError */
  putMeta(table: string, key: Uint8Array, value: Uint8Array): void {
    // A table's name ends at a zero byte, and is part of a table key of bounded length.
    const possible = table.length > 0 && table.length <= 64 && !table.includes('\0') && isLatin1(table);
    if (!possible) throw new RefusedRecordError('a small table has an impossible name');
    this.#meta.push([table, copyBytes(key), copyBytes(value)]);
    this.#metaBytes += table.length + key.length + value.length + 64;
    if (this.#metaBytes >= LOG_BYTES) this.#flushMeta();
  }

  /** @throws RefusedRecordError */
  add(record: ImageRecord): void {
    const { main, sub, tombstone } = record;
    const parts = this.#parts;
    this.#check(
      main > 0 && main <= MAX_MAIN && Number.isInteger(main),
      record,
      'its revision is out of range',
    );
    this.#check(
      sub >= 0 && sub <= MAX_SUB && Number.isInteger(sub),
      record,
      'its sub revision is out of range',
    );
    const ordered = main > this.#main || (main === this.#main && sub > this.#sub);
    this.#check(ordered || this.#main === 0, record, `it comes after ${this.#main}.${this.#sub}`);
    const wrong = readHostileKeyValue(record.encoded, parts);
    if (wrong !== null) throw refused(record, wrong);
    const key = record.encoded.subarray(parts.keyStart, parts.keyEnd);
    const entry = this.#heads.touch(key);
    const before = this.#heads.active.head(entry);
    if (tombstone) this.#checkTombstone(record, before);
    else this.#checkPut(record, before);
    const fields: RecordFields = {
      key,
      value: record.encoded.subarray(parts.valueStart, parts.valueEnd),
      main,
      sub,
      createRevision: parts.createRevision,
      version: parts.version,
      lease: parts.lease,
      tombstone,
      past: false,
      depth: 0,
      previousMain: 0,
      previousSub: 0,
      jumpMain: 0,
      jumpSub: 0,
    };
    if (before !== null) {
      linkRecord(fields, before, this.#records);
      if (before.main < main) this.#firstSuperseding = Math.min(this.#firstSuperseding, main);
      else this.#firstRepeated = Math.min(this.#firstRepeated, main);
    }
    if (tombstone) this.#firstTombstone = Math.min(this.#firstTombstone, main);
    if (isLongKey(key)) this.#longKeys = true;
    this.#records.active.append(fields);
    this.#heads.active.set(entry, fields);
    this.#main = main;
    this.#sub = sub;
    if (this.#records.active.bytes >= LOG_BYTES) this.#flushRecords();
    if (this.#heads.active.dirtyCount >= HEAD_ENTRIES) this.#flushHeads();
  }

  #checkTombstone(record: ImageRecord, before: HeadEntry | null): void {
    const { createRevision, version, lease, valueStart, valueEnd, modRevision } = this.#parts;
    const bare = createRevision === 0 && version === 0 && lease === 0n && valueEnd === valueStart;
    this.#check(bare, record, 'a tombstone has a key and its revision alone');
    this.#check(modRevision === 0 || modRevision === record.main, record, 'it speaks of another revision');
    if (before === null) this.#lastOrphan = record.main;
    else this.#check(!before.tombstone, record, 'it deletes a key that is deleted already');
  }

  #checkPut(record: ImageRecord, before: HeadEntry | null): void {
    const { createRevision, modRevision, version } = this.#parts;
    this.#check(modRevision === record.main, record, 'it speaks of another revision');
    if (before !== null && !before.tombstone) {
      const follows = createRevision === before.createRevision && version === before.version + 1;
      this.#check(follows, record, `it does not follow version ${before.version} of its key`);
      return;
    }
    const first = version === 1 && createRevision === record.main;
    const orphan = before === null && version > 1 && createRevision > 0 && createRevision <= record.main;
    this.#check(first || orphan, record, 'its version and its create revision do not belong together');
    if (orphan) this.#lastOrphan = record.main;
  }

  #check(holds: boolean, record: ImageRecord, why: string): void {
    if (!holds) throw refused(record, why);
  }

  #flushMeta(): void {
    const rows = this.#meta;
    if (rows.length === 0) return;
    this.#meta = [];
    this.#metaBytes = 0;
    this.#database.writer.write((transaction) => {
      for (const [table, key, value] of rows) metaTable(table).put(transaction, key, value!);
    });
  }

  #flushRecords(): void {
    if (this.#records.active.count === 0) return;
    const packed = this.#records.seal().pack((bytes) => new ArrayBuffer(bytes));
    this.#database.writer.write((transaction) => appendRecords(transaction, packed));
    this.#database.reader.refresh();
    this.#records.flushedMain = this.#main;
    this.#records.dropSealed(LOG_BYTES);
  }

  #flushHeads(): void {
    const layer = this.#heads.seal('', this.#main);
    let from: Uint8Array | null = EMPTY;
    while (from !== null) {
      const start: Uint8Array = from;
      from = null;
      this.#database.writer.write((transaction) => {
        const changes = new BlockChanges(this.#blocks, this.#blockKeys);
        const buckets = new BucketTransaction(transaction);
        let count = 0;
        layer.scan(start, (entry) => {
          if (count++ === HEAD_PART_ENTRIES) {
            from = layer.key(entry);
            return false;
          }
          const head = layer.head(entry)!;
          const flags = (head.tombstone ? HEAD_TOMBSTONE : 0) | (head.depth > 0 ? HEAD_HAS_PREVIOUS : 0);
          const end = writeHeadEntry(this.#encoded, 0, head);
          const key = layer.key(entry);
          const change = putHead(buckets, flags, key, this.#encoded.subarray(0, end));
          if (change !== 0) changes.change(key, change);
          return true;
        });
        buckets.settle();
        changes.settle(transaction);
      });
    }
    this.#database.reader.refresh();
    this.#heads.dropSealed();
  }

  /** @param done in a later turn, when everything is durable */
  finish(info: ImageInfo, done: (error: Error | null) => void): void {
    this.#checkInfo(info);
    this.#flushMeta();
    this.#flushRecords();
    this.#flushHeads();
    const { appliedIndex: index, appliedTerm: term, revision, compactRevision } = info;
    this.#database.writer.write((transaction) => {
      writeSequence(transaction, 1);
      writeApplied(transaction, { format: FORMAT, index, term, revision, compactRevision });
      writeHeads(transaction, { watermark: revision, longKeys: this.#longKeys });
      writeRemoval(transaction, { ...INITIAL_REMOVAL, finished: this.#removedUpTo(compactRevision) });
    });
    this.#database.seal(done);
  }

  #checkInfo(info: ImageInfo): void {
    for (const number of [info.appliedIndex, info.appliedTerm, info.revision, info.compactRevision]) {
      if (!Number.isSafeInteger(number) || number < -1)
        throw new RefusedRecordError('a number of the image is out of range');
    }
    const { revision, compactRevision } = info;
    if (revision < 1 || revision > MAX_MAIN)
      throw new RefusedRecordError(`revision ${revision} is out of range`);
    if (this.#main > revision) {
      throw new RefusedRecordError(`record ${this.#main}.${this.#sub} lies beyond revision ${revision}`);
    }
    if (compactRevision > revision) {
      throw new RefusedRecordError(`compact revision ${compactRevision} lies beyond revision ${revision}`);
    }
    if (this.#lastOrphan > Math.max(0, compactRevision)) {
      throw new RefusedRecordError(
        `a record of revision ${this.#lastOrphan} lacks the one before it, which compaction up to ${compactRevision} cannot have removed`,
      );
    }
  }

  /** Nothing that compaction supersedes is left below it: C, unless records came that should have been removed. */
  #removedUpTo(compactRevision: number): number {
    let upTo = compactRevision;
    if (this.#firstSuperseding <= compactRevision) upTo = Math.min(upTo, this.#firstSuperseding - 1);
    if (this.#firstRepeated < compactRevision) upTo = Math.min(upTo, this.#firstRepeated - 1);
    if (this.#firstTombstone < compactRevision) upTo = Math.min(upTo, this.#firstTombstone - 1);
    return upTo;
  }

  /** Leaves nothing behind. */
  abort(): void {
    this.#database.discard();
  }
}

function refused(record: ImageRecord, why: string): RefusedRecordError {
  return new RefusedRecordError(`record ${record.main}.${record.sub} is refused: ${why}`);
}

function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return false;
  return true;
}
