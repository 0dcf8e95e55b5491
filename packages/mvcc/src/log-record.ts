/**
 * A record of `log`: what one change did to one key, and the way to older records of that key.
 *
 *   flags    1 byte   1 tombstone, 2 has a previous record, 4 its jump differs from the previous, 8 the key had an earlier life
 *   depth    4 bytes  records of this key before this one (see `jump.ts`)
 *   previous 10 bytes revision of the record before, when there is one
 *   jump     10 bytes revision of a record further back, when it is not the previous one
 *   event    mvccpb.Event without prev_kv: [08 01] 12 length KeyValue
 *
 * The event bytes go to watchers and the `KeyValue` inside them to readers and hashes as they are. A pointer to a record that is no longer there,
 * at or below the compact revision, ends the chain; above it, it is corruption.
 */
import { eventPrefixBytes, keyValueBytes, writeEventPrefix, writeKeyValue } from './key-value.ts';
import {
  POINTER_BYTES,
  readPointerMain,
  readPointerSub,
  readUint32,
  writePointer,
  writeUint32,
} from './revision.ts';
import { readVarint, varintEnd } from './varint.ts';

export const TOMBSTONE = 1;
export const HAS_PREVIOUS = 2;
export const HAS_JUMP = 4;
export const HAS_PAST = 8;
const FIXED_BYTES = 5;

/** Everything a new record is made of. A revision of main 0 stands for none. */
export interface RecordFields {
  key: Uint8Array;
  value: Uint8Array;
  main: number;
  sub: number;
  createRevision: number;
  version: number;
  lease: bigint;
  tombstone: boolean;
  /** An earlier life of the key has records. */
  past: boolean;
  depth: number;
  previousMain: number;
  previousSub: number;
  jumpMain: number;
  jumpSub: number;
}

export function recordBytes(fields: RecordFields): number {
  const kvBytes = keyValueBytesOf(fields);
  return headerBytesOf(fields) + eventPrefixBytes(fields.tombstone, kvBytes) + kvBytes;
}

function keyValueBytesOf(f: RecordFields): number {
  return keyValueBytes(f.key.length, f.createRevision, f.main, f.version, f.value.length, f.lease);
}

function hasJump(f: RecordFields): boolean {
  return f.jumpMain !== 0 && (f.jumpMain !== f.previousMain || f.jumpSub !== f.previousSub);
}

function headerBytesOf(f: RecordFields): number {
  if (f.previousMain === 0) return FIXED_BYTES;
  return FIXED_BYTES + POINTER_BYTES + (hasJump(f) ? POINTER_BYTES : 0);
}

/** @returns the offset after the record */
export function writeRecord(target: Uint8Array, offset: number, f: RecordFields): number {
  let flags = 0;
  if (f.tombstone) flags |= TOMBSTONE;
  if (f.past) flags |= HAS_PAST;
  let at = offset + FIXED_BYTES;
  if (f.previousMain !== 0) {
    flags |= HAS_PREVIOUS;
    writePointer(target, at, f.previousMain, f.previousSub);
    at += POINTER_BYTES;
    if (hasJump(f)) {
      flags |= HAS_JUMP;
      writePointer(target, at, f.jumpMain, f.jumpSub);
      at += POINTER_BYTES;
    }
  }
  target[offset] = flags;
  writeUint32(target, offset + 1, f.depth);
  at = writeEventPrefix(target, at, f.tombstone, keyValueBytesOf(f));
  return writeKeyValue(target, at, f.key, f.createRevision, f.main, f.version, f.value, f.lease);
}

/** Reads the header of the record at `start`. One result object can be used again and again. */
export interface RecordHeader {
  tombstone: boolean;
  past: boolean;
  depth: number;
  previousMain: number;
  previousSub: number;
  /** Equal to the previous record where the record holds no other. */
  jumpMain: number;
  jumpSub: number;
  /** Where the event begins, ... */
  eventStart: number;
  /** ... and where the `KeyValue` in it does. */
  keyValueStart: number;
}

export function emptyRecordHeader(): RecordHeader {
  return {
    tombstone: false,
    past: false,
    depth: 0,
    previousMain: 0,
    previousSub: 0,
    jumpMain: 0,
    jumpSub: 0,
    eventStart: 0,
    keyValueStart: 0,
  };
}

export function readRecordHeader(source: Uint8Array, start: number, into: RecordHeader): void {
  const flags = source[start]!;
  into.tombstone = (flags & TOMBSTONE) !== 0;
  into.past = (flags & HAS_PAST) !== 0;
  into.depth = readUint32(source, start + 1);
  into.previousMain = into.previousSub = into.jumpMain = into.jumpSub = 0;
  let at = start + FIXED_BYTES;
  if (flags & HAS_PREVIOUS) {
    into.previousMain = into.jumpMain = readPointerMain(source, at);
    into.previousSub = into.jumpSub = readPointerSub(source, at);
    at += POINTER_BYTES;
    if (flags & HAS_JUMP) {
      into.jumpMain = readPointerMain(source, at);
      into.jumpSub = readPointerSub(source, at);
      at += POINTER_BYTES;
    }
  }
  into.eventStart = at;
  at += into.tombstone ? 3 : 1;
  readVarint(source, at);
  into.keyValueStart = varintEnd;
}
