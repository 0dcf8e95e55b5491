/**
 * `mvccpb.KeyValue` and `mvccpb.Event` bytes, written and read by hand.
 *
 * The bytes are exactly those of a protobuf writer that goes by field number and leaves zero fields out, as etcd's
 * does: they are hashed (HashKV), sent and stored as they are.
 *
 *   KeyValue   0a key   10 create   18 mod   20 version   2a value   30 lease
 *   Event      [08 01 for a delete]   12 length KeyValue
 *
 * `{key: "a", create: 2, mod: 2, version: 1, value: "x"}` is `0a 01 61 10 02 18 02 20 01 2a 01 78`.
 */
import {
  readVarint,
  readVarint64,
  varintBytes,
  varintBytes64,
  varintEnd,
  writeVarint,
  writeVarint64,
} from './varint.ts';

/** Bytes of a `KeyValue`. For a tombstone create, version, value and lease are 0 and thus absent. */
export function keyValueBytes(
  keyBytes: number,
  create: number,
  mod: number,
  version: number,
  valueBytes: number,
  lease: bigint,
): number {
  let size = 1 + varintBytes(keyBytes) + keyBytes + 1 + varintBytes(mod);
  if (keyBytes === 0) size -= 2;
  if (create !== 0) size += 1 + varintBytes(create);
  if (version !== 0) size += 1 + varintBytes(version);
  if (valueBytes !== 0) size += 1 + varintBytes(valueBytes) + valueBytes;
  if (lease !== 0n) size += 1 + varintBytes64(lease);
  return size;
}

/** @returns the offset after the last byte */
export function writeKeyValue(
  target: Uint8Array,
  offset: number,
  key: Uint8Array,
  create: number,
  mod: number,
  version: number,
  value: Uint8Array,
  lease: bigint,
): number {
  let at = offset;
  if (key.length !== 0) {
    target[at++] = 0x0a;
    at = writeVarint(target, at, key.length);
    target.set(key, at);
    at += key.length;
  }
  if (create !== 0) {
    target[at++] = 0x10;
    at = writeVarint(target, at, create);
  }
  target[at++] = 0x18;
  at = writeVarint(target, at, mod);
  if (version !== 0) {
    target[at++] = 0x20;
    at = writeVarint(target, at, version);
  }
  if (value.length !== 0) {
    target[at++] = 0x2a;
    at = writeVarint(target, at, value.length);
    target.set(value, at);
    at += value.length;
  }
  if (lease !== 0n) {
    target[at++] = 0x30;
    at = writeVarint64(target, at, lease);
  }
  return at;
}

/** Where the parts of one `KeyValue` lie, as offsets into the bytes it was read from. */
export interface KeyValueParts {
  keyStart: number;
  keyEnd: number;
  createRevision: number;
  modRevision: number;
  version: number;
  valueStart: number;
  valueEnd: number;
  lease: bigint;
}

/** Reads a `KeyValue` that this module wrote. One result object can be used again and again. */
export function readKeyValue(source: Uint8Array, start: number, end: number, into: KeyValueParts): void {
  into.keyStart = into.keyEnd = into.valueStart = into.valueEnd = start;
  into.createRevision = into.modRevision = into.version = 0;
  into.lease = 0n;
  let at = start;
  while (at < end) {
    const tag = source[at++]!;
    if (tag === 0x0a || tag === 0x2a) {
      const length = readVarint(source, at);
      at = varintEnd + length;
      if (tag === 0x0a) {
        into.keyStart = varintEnd;
        into.keyEnd = at;
      } else {
        into.valueStart = varintEnd;
        into.valueEnd = at;
      }
    } else if (tag === 0x30) {
      into.lease = readVarint64(source, at);
      at = varintEnd;
    } else {
      const value = readVarint(source, at);
      at = varintEnd;
      if (tag === 0x10) into.createRevision = value;
      else if (tag === 0x18) into.modRevision = value;
      else into.version = value;
    }
  }
}

export function emptyKeyValueParts(): KeyValueParts {
  return {
    keyStart: 0,
    keyEnd: 0,
    createRevision: 0,
    modRevision: 0,
    version: 0,
    valueStart: 0,
    valueEnd: 0,
    lease: 0n,
  };
}

/** Bytes of an event before its `KeyValue`. */
export function eventPrefixBytes(tombstone: boolean, kvBytes: number): number {
  return (tombstone ? 3 : 1) + varintBytes(kvBytes);
}

export function writeEventPrefix(
  target: Uint8Array,
  offset: number,
  tombstone: boolean,
  kvBytes: number,
): number {
  let at = offset;
  if (tombstone) {
    target[at++] = 0x08;
    target[at++] = 0x01;
  }
  target[at++] = 0x12;
  return writeVarint(target, at, kvBytes);
}
