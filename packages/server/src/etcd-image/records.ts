/**
 * Records between the store and etcd's `key` bucket.
 *
 * A put is the same `mvccpb.KeyValue` on both sides. A tombstone is its key alone there; here it says its revision too, since that is what
 * watchers get.
 */
import type { ImageRecord } from '@quorate/mvcc';
import { decodeRevisionKey, encodeRevisionKey, type Row } from './schema.ts';

const KEY_TAG = 0x0a;
const MOD_REVISION_TAG = 0x18;

export function rowOfRecord(record: ImageRecord): Row {
  const { main, sub, tombstone, encoded } = record;
  const key = encodeRevisionKey(main, sub, tombstone);
  return { key, value: tombstone ? encoded.subarray(0, keyFieldEnd(encoded)) : encoded };
}

/**
 * @returns null for a row without a key-value: `etcdutl snapshot restore --bump-revision` leaves one to raise the revision
 * @throws RangeError when the row's key is no revision, or a tombstone has no key
 */
export function recordOfRow(row: Row): { readonly main: number; readonly record: ImageRecord | null } {
  const revision = decodeRevisionKey(row.key);
  if (revision === null) {
    throw new RangeError(
      `the bucket of keys holds "${Buffer.from(row.key).toString('hex')}", which is no revision`,
    );
  }
  const { main, sub, tombstone } = revision;
  if (row.value.length === 0) return { main, record: null };
  if (!tombstone) return { main, record: { main, sub, tombstone, encoded: row.value } };
  const end = keyFieldEnd(row.value);
  if (end === 0) throw new RangeError(`the tombstone at revision ${main} has no key`);
  const revisionField = [MOD_REVISION_TAG, ...varint(main)];
  const encoded = new Uint8Array(end + revisionField.length);
  encoded.set(row.value.subarray(0, end));
  encoded.set(revisionField, end);
  return { main, record: { main, sub, tombstone, encoded } };
}

/** @returns where the key's field ends in `KeyValue` bytes; 0 when they do not begin with one */
function keyFieldEnd(bytes: Uint8Array): number {
  if (bytes[0] !== KEY_TAG) return 0;
  let length = 0;
  let scale = 1;
  for (let at = 1; at < 6 && at < bytes.length; at++) {
    const byte = bytes[at]!;
    length += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return at + 1 + length <= bytes.length ? at + 1 + length : 0;
  }
  return 0;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return bytes;
}
