/**
 * HashKV by its definition, from a story of changes: a second opinion that shares no code with the server.
 *
 *   CRC-32C of "key", then for each record that counts, in order: 8 bytes main, "_", 8 bytes sub, "t" for a tombstone,
 *   then `mvccpb.KeyValue` (of a tombstone: its key alone)
 *
 * Above the compact revision C every record counts; at or below it those that were the newest of their key at C, are no
 * tombstones, and are still the newest at the hashed revision (the last condition only when any key is alive there).
 */
import type { StoreEvent } from '@quorate/mvcc';
import { KeyValue } from '@quorate/proto';

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function crc32c(bytes: Uint8Array, crc: number): number {
  let value = ~crc;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff]! ^ (value >>> 8);
  return ~value >>> 0;
}

/**
 * @param events every change from revision 2 on, in order
 * @param withLease false: as a careless author would have it
 */
export function hashStory(
  events: readonly StoreEvent[],
  revision: number,
  compactRevision: number,
  withLease = true,
): number {
  const seen = events.filter(({ record }) => record.modRevision <= revision);
  const newest = new Map<string, StoreEvent>();
  const newestAtCompaction = new Map<string, StoreEvent>();
  for (const event of seen) {
    const key = Buffer.from(event.record.key).toString('latin1');
    newest.set(key, event);
    if (event.record.modRevision <= compactRevision) newestAtCompaction.set(key, event);
  }
  const anyAlive = [...newest.values()].some(({ type }) => type === 'put');
  let crc = crc32c(Buffer.from('key'), 0);
  for (const event of seen) {
    const { record, type } = event;
    const key = Buffer.from(record.key).toString('latin1');
    if (record.modRevision <= compactRevision) {
      if (type === 'delete' || newestAtCompaction.get(key) !== event) continue;
      if (anyAlive && newest.get(key) !== event) continue;
    }
    crc = crc32c(revisionBytes(record.modRevision, record.sub, type === 'delete'), crc);
    crc = crc32c(encoded(event, withLease), crc);
  }
  return crc;
}

function revisionBytes(main: number, sub: number, tombstone: boolean): Uint8Array {
  const bytes = Buffer.alloc(tombstone ? 18 : 17);
  bytes.writeBigUInt64BE(BigInt(main), 0);
  bytes.write('_', 8);
  bytes.writeBigUInt64BE(BigInt(sub), 9);
  if (tombstone) bytes.write('t', 17);
  return bytes;
}

function encoded({ record, type }: StoreEvent, withLease: boolean): Uint8Array {
  if (type === 'delete') return KeyValue.encode({ key: record.key });
  return KeyValue.encode({
    key: record.key,
    createRevision: BigInt(record.createRevision),
    modRevision: BigInt(record.modRevision),
    version: BigInt(record.version),
    value: record.value,
    lease: withLease ? record.lease : 0n,
  });
}
