/**
 * Reads `mvccpb.KeyValue` bytes that somebody else made, perhaps on purpose, perhaps on a damaged disk.
 *
 * Accepted is only what a protobuf writer that goes by field number and leaves zero fields out would write: other bytes with the same meaning
 * would make a store whose hash differs from that of its peers.
 */
import { type KeyValueParts, keyValueBytes } from '../key-value.ts';
import { readVarint64, varintBytes, varintEnd } from '../varint.ts';

const MAX_VARINT_BYTES = 10;

/** @returns what is wrong with it; null: nothing, and `into` holds its parts */
export function readHostileKeyValue(bytes: Uint8Array, into: KeyValueParts): string | null {
  into.keyStart = into.keyEnd = into.valueStart = into.valueEnd = 0;
  into.createRevision = into.modRevision = into.version = 0;
  into.lease = 0n;
  let lastTag = 0;
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at++]!;
    if (tag <= lastTag) return 'its fields are not in order';
    lastTag = tag;
    if (!varintFits(bytes, at)) return 'a number in it is cut short or too long';
    const number = readVarint64(bytes, at);
    at = varintEnd;
    if (tag === 0x30) {
      into.lease = number;
      continue;
    }
    if (number < 0n || number > BigInt(Number.MAX_SAFE_INTEGER)) return 'a number in it is out of range';
    const value = Number(number);
    if (tag === 0x0a || tag === 0x2a) {
      if (value > bytes.length - at) return 'a field in it is cut short';
      if (tag === 0x0a) {
        into.keyStart = at;
        into.keyEnd = at + value;
      } else {
        into.valueStart = at;
        into.valueEnd = at + value;
      }
      at += value;
    } else if (tag === 0x10) into.createRevision = value;
    else if (tag === 0x18) into.modRevision = value;
    else if (tag === 0x20) into.version = value;
    else return 'it has an unknown field';
  }
  const keyBytes = into.keyEnd - into.keyStart;
  if (keyBytes === 0) return 'it has no key';
  const { createRevision, modRevision, version, lease } = into;
  const valueBytes = into.valueEnd - into.valueStart;
  let canonicalBytes = keyValueBytes(keyBytes, createRevision, modRevision, version, valueBytes, lease);
  if (modRevision === 0) canonicalBytes -= 1 + varintBytes(0);
  return canonicalBytes === bytes.length ? null : 'it is not encoded as a writer of records does';
}

function varintFits(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < MAX_VARINT_BYTES && at + i < bytes.length; i++) {
    if (bytes[at + i]! < 0x80) return i < MAX_VARINT_BYTES - 1 || bytes[at + i]! <= 1;
  }
  return false;
}
