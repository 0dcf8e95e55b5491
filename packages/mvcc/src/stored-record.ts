/**
 * A record as readers get it. The fields that decisions need are at hand; the bytes may be fetched on first use, so that a
 * put which nobody asks for the value before it does not read that value.
 *
 * A lazily fetched record must be used in the turn it was handed out: later its bytes may be gone (compaction).
 */

import { EMPTY } from './bytes.ts';
import type { HeadEntry } from './head-entry.ts';
import { emptyKeyValueParts, keyValueBytes, readKeyValue, writeKeyValue } from './key-value.ts';
import { emptyRecordHeader, readRecordHeader } from './log-record.ts';
import type { KeyRecord, StoreEvent } from './types.ts';

/** The bytes of one record of `log`: `[start, end)` of `bytes`, which never change. */
export interface RecordFrame {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export interface RecordSource {
  /** @throws InvariantError when the record is not there */
  frame(main: number, sub: number): RecordFrame;
}

const header = emptyRecordHeader();
const parts = emptyKeyValueParts();

export class StoredRecord implements KeyRecord {
  readonly createRevision: number;
  readonly modRevision: number;
  readonly sub: number;
  readonly version: number;
  readonly lease: bigint;
  readonly tombstone: boolean;
  #source: RecordSource | null;
  #encoded: Uint8Array | null;

  constructor(
    mod: number,
    sub: number,
    create: number,
    version: number,
    lease: bigint,
    tombstone: boolean,
    source: RecordSource | null,
    encoded: Uint8Array | null,
  ) {
    this.modRevision = mod;
    this.sub = sub;
    this.createRevision = create;
    this.version = version;
    this.lease = lease;
    this.tombstone = tombstone;
    this.#source = source;
    this.#encoded = encoded;
  }

  get encoded(): Uint8Array {
    if (this.#encoded === null) {
      const frame = this.#source!.frame(this.modRevision, this.sub);
      readRecordHeader(frame.bytes, frame.start, header);
      this.#encoded = frame.bytes.subarray(header.keyValueStart, frame.end);
      this.#source = null;
    }
    return this.#encoded;
  }

  get key(): Uint8Array {
    const encoded = this.encoded;
    readKeyValue(encoded, 0, encoded.length, parts);
    return encoded.subarray(parts.keyStart, parts.keyEnd);
  }

  get value(): Uint8Array {
    const encoded = this.encoded;
    readKeyValue(encoded, 0, encoded.length, parts);
    return encoded.subarray(parts.valueStart, parts.valueEnd);
  }
}

export function recordFromFrame(frame: RecordFrame, sub: number): StoredRecord {
  readRecordHeader(frame.bytes, frame.start, header);
  const encoded = frame.bytes.subarray(header.keyValueStart, frame.end);
  readKeyValue(encoded, 0, encoded.length, parts);
  return new StoredRecord(
    parts.modRevision,
    sub,
    parts.createRevision,
    parts.version,
    parts.lease,
    header.tombstone,
    null,
    encoded,
  );
}

/** A record known from its head; bytes on first use. */
export function recordFromHead(head: HeadEntry, source: RecordSource): StoredRecord {
  return new StoredRecord(
    head.main,
    head.sub,
    head.createRevision,
    head.version,
    head.lease,
    head.tombstone,
    source,
    null,
  );
}

/** A record without its value: encoded anew, the log is not looked at. */
export function recordWithoutValue(
  key: Uint8Array,
  head: { main: number; sub: number; createRevision: number; version: number; lease: bigint },
): StoredRecord {
  const { main, createRevision, version, lease } = head;
  const encoded = new Uint8Array(keyValueBytes(key.length, createRevision, main, version, 0, lease));
  writeKeyValue(encoded, 0, key, createRevision, main, version, EMPTY, lease);
  return new StoredRecord(main, head.sub, createRevision, version, lease, false, null, encoded);
}

/** One change for watchers. The bytes of event and record are the same memory. */
export class StoredEvent implements StoreEvent {
  readonly type: 'put' | 'delete';
  readonly record: StoredRecord;
  readonly encoded: Uint8Array;

  constructor(frame: RecordFrame, sub: number) {
    this.record = recordFromFrame(frame, sub);
    this.type = this.record.tombstone ? 'delete' : 'put';
    this.encoded = frame.bytes.subarray(header.eventStart, frame.end);
  }
}
