/**
 * Reads the write-ahead log of an etcd server: what its database does not have yet.
 *
 *     FILE      sequence and first index in hex: 0000000000000002-0000000000003a98.wal
 *     FRAME     8 bytes little-endian: length of the record in 56 bits, and on top 1xxxxppp: p bytes of padding follow the record
 *     RECORD    protobuf { type 1, crc 2, data 3 }
 *               type 1 metadata, 2 entry, 3 hard state, 4 checksum at the start of a file, 5 snapshot
 *
 * The checksum (CRC-32C) runs over the data of all records, from file to file. Files are preallocated: a length of 0 ends one. In the last file a
 * record that was not written whole ends the log, as it does for etcd; anything else that does not fit is damage and refused. A damaged
 * length must not pass for such a tail (`etcd-wal-tail.ts`).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { WireError, WireReader } from '../codec/wire-reader.ts';
import { OfflineError } from './errors.ts';
import { FRAME_BYTES, isTornTail, readFrame, recordFollows } from './etcd-wal-tail.ts';

export interface EtcdEntry {
  readonly index: number;
  readonly term: number;
  /** 0 normal, 1 and 2 configuration changes. */
  readonly type: number;
  readonly data: Uint8Array;
}

export interface EtcdLog {
  /** Contiguous, beginning with the one after `after`. */
  readonly entries: readonly EtcdEntry[];
  /** As the last hard state has it: more may be committed. */
  readonly commit: number;
  /** Of the last entry, be it in a file that is not needed, or in a snapshot that was received; 0 when there is none. */
  readonly lastIndex: number;
}

const RecordType = { metadata: 1, entry: 2, state: 3, checksum: 4, snapshot: 5 } as const;

interface LogFile {
  readonly name: string;
  readonly sequence: number;
  readonly firstIndex: number;
}

/**
 * @param after the last entry that is not needed
 * @throws OfflineError when the log is damaged, or does not reach back to `after`
 */
export function readEtcdLog(directory: string, after: number): EtcdLog {
  const files = neededFiles(directory, after);
  const collected = new Collected(after, files[0]!.firstIndex - 1);
  let crc: number | null = null;
  for (const [position, file] of files.entries()) {
    const isLast = position === files.length - 1;
    crc = readFile(join(directory, file.name), isLast, crc, collected);
  }
  return collected.result();
}

function neededFiles(directory: string, after: number): LogFile[] {
  const all = listFiles(directory);
  let first = -1;
  for (const [position, file] of all.entries()) if (file.firstIndex <= after + 1) first = position;
  if (first < 0) {
    throw new OfflineError(
      'bad-source',
      `the log in ${directory} does not reach back to entry ${after + 1}: the data folder is incomplete`,
    );
  }
  const files = all.slice(first);
  for (const [position, file] of files.entries()) {
    if (file.sequence !== files[0]!.sequence + position)
      throw new OfflineError('bad-source', `a file before ${file.name} is missing in ${directory}`);
  }
  return files;
}

function listFiles(directory: string): LogFile[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (cause) {
    throw new OfflineError('not-found', `there is no log in ${directory}`, { cause });
  }
  return names
    .flatMap((name) => {
      const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name);
      if (match === null) return [];
      return [{ name, sequence: Number(`0x${match[1]}`), firstIndex: Number(`0x${match[2]}`) }];
    })
    .sort((a, b) => a.sequence - b.sequence);
}

/** @returns the running checksum at its end */
function readFile(path: string, isLast: boolean, before: number | null, into: Collected): number {
  const bytes = readFileSync(path);
  const refuse = (at: number, what: string): OfflineError =>
    new OfflineError('bad-source', `the log is damaged: ${path} at ${at}: ${what}`);
  let crc = before;
  for (let at = 0; at + FRAME_BYTES <= bytes.length; ) {
    const frame = readFrame(bytes, at);
    if (frame === null) {
      // Of the other files the next one tells: it would not continue this one.
      if (isLast && recordFollows(bytes, at + FRAME_BYTES)) throw refuse(at, 'records were lost here');
      break;
    }
    const { start, length, end } = frame;
    const torn = (): boolean => isLast && isTornTail(bytes, frame);
    if (end > bytes.length) {
      if (torn()) break;
      throw refuse(at, 'a record ends outside the file');
    }
    const record = parseRecord(bytes.subarray(start, start + length));
    if (record === null) {
      if (torn()) break;
      throw refuse(at, 'a record cannot be read');
    }
    if (record.type === RecordType.checksum) {
      if (crc !== null && crc !== record.crc) throw refuse(at, 'it does not continue the file before it');
      crc = record.crc;
    } else {
      const sum: number = crc32c(Buffer.from(record.data), crc ?? 0) >>> 0;
      if (sum !== record.crc) {
        if (torn()) break;
        throw refuse(at, 'wrong checksum');
      }
      crc = sum;
      try {
        into.take(record.type, record.data);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        throw refuse(at, `a record cannot be read (${error.message})`);
      }
    }
    at = end;
  }
  return crc ?? 0;
}

interface Record {
  readonly type: number;
  readonly crc: number;
  readonly data: Uint8Array;
}

function parseRecord(bytes: Uint8Array): Record | null {
  let type = 0;
  let crc = 0;
  let data: Uint8Array = new Uint8Array(0);
  const reader = new WireReader(bytes);
  try {
    while (reader.more) {
      const tag = reader.tag('Record');
      if (tag === 0x08) type = reader.int64();
      else if (tag === 0x10) crc = reader.int64();
      else if (tag === 0x1a) data = reader.bytes();
      else reader.other(tag, []);
    }
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
  return { type, crc, data };
}

/** Entries and hard states in the order they were written: later ones replace earlier ones. */
class Collected {
  readonly #after: number;
  readonly #entries: EtcdEntry[] = [];
  #commit = 0;
  #lastIndex: number;

  /** @param before the last entry of the files that are not read */
  constructor(after: number, before: number) {
    this.#after = after;
    this.#lastIndex = Math.max(0, before);
  }

  take(type: number, data: Uint8Array): void {
    if (type === RecordType.entry) this.#entry(parseEntry(data));
    else if (type === RecordType.state) this.#commit = parseCommit(data);
    else if (type === RecordType.snapshot) this.#lastIndex = Math.max(this.#lastIndex, parseSnapshot(data));
  }

  #entry(entry: EtcdEntry): void {
    this.#lastIndex = entry.index;
    if (entry.index <= this.#after) {
      // Written anew from here on: what came after it before is void.
      this.#entries.length = 0;
      return;
    }
    const place = entry.index - this.#after - 1;
    if (place > this.#entries.length) {
      throw new OfflineError(
        'bad-source',
        `the log lacks entry ${this.#after + 1 + this.#entries.length}: the data folder is incomplete`,
      );
    }
    this.#entries.length = place;
    this.#entries.push(entry);
  }

  result(): EtcdLog {
    return { entries: this.#entries, commit: this.#commit, lastIndex: this.#lastIndex };
  }
}

function parseEntry(bytes: Uint8Array): EtcdEntry {
  const entry = { index: 0, term: 0, type: 0, data: new Uint8Array(0) as Uint8Array };
  const reader = new WireReader(bytes);
  while (reader.more) {
    const tag = reader.tag('Entry');
    if (tag === 0x08) entry.type = reader.enumeration();
    else if (tag === 0x10) entry.term = reader.int64();
    else if (tag === 0x18) entry.index = reader.int64();
    else if (tag === 0x22) entry.data = reader.bytes();
    else reader.other(tag, []);
  }
  return entry;
}

function parseCommit(bytes: Uint8Array): number {
  let commit = 0;
  const reader = new WireReader(bytes);
  while (reader.more) {
    const tag = reader.tag('HardState');
    if (tag === 0x18) commit = reader.int64();
    else reader.other(tag, []);
  }
  return commit;
}

/** @returns the entry that the snapshot is the state after */
function parseSnapshot(bytes: Uint8Array): number {
  let index = 0;
  const reader = new WireReader(bytes);
  while (reader.more) {
    const tag = reader.tag('Snapshot');
    if (tag === 0x08) index = reader.int64();
    else reader.other(tag, []);
  }
  return index;
}
