/**
 * Records of keys-only ranges: the value is left out, and the lease with it, since etcd 3.7 answers such ranges from an
 * index that knows no leases; only when values decide the order are the records read, and keep theirs (sem-030).
 */
import type { KeyRecord } from '@quorate/mvcc';

const EMPTY = new Uint8Array(0);
/** `mvccpb.KeyValue` field numbers, already with their wire types. */
const TAG = { key: 0x0a, createRevision: 0x10, modRevision: 0x18, version: 0x20, lease: 0x30 } as const;

export function withoutValue(record: KeyRecord, lease: bigint): KeyRecord {
  if (record.value.length === 0 && record.lease === lease) return record;
  return { ...pickRevisions(record), lease, value: EMPTY, encoded: encode(record, lease) };
}

function pickRevisions(record: KeyRecord) {
  const { key, createRevision, modRevision, sub, version, tombstone } = record;
  return { key, createRevision, modRevision, sub, version, tombstone };
}

function encode(record: KeyRecord, lease: bigint): Uint8Array {
  // Four numbers of at most ten bytes, five tags, the length of the key.
  const out = Buffer.allocUnsafe(record.key.length + 56);
  let at = varint(out, out.writeUInt8(TAG.key, 0), record.key.length);
  out.set(record.key, at);
  at += record.key.length;
  for (const [tag, value] of [
    [TAG.createRevision, record.createRevision],
    [TAG.modRevision, record.modRevision],
    [TAG.version, record.version],
  ] as const) {
    if (value !== 0) at = varint(out, out.writeUInt8(tag, at), value);
  }
  if (lease !== 0n) at = varint64(out, out.writeUInt8(TAG.lease, at), BigInt.asUintN(64, lease));
  return out.subarray(0, at);
}

/** Division, not shifts: revisions go beyond 32 bits. */
function varint(out: Buffer, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  while (rest >= 0x80) {
    out[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[at++] = rest;
  return at;
}

function varint64(out: Buffer, offset: number, value: bigint): number {
  let at = offset;
  let rest = value;
  while (rest >= 0x80n) {
    out[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  out[at++] = Number(rest);
  return at;
}
