/**
 * One lease, and its row in the store's `leases` table.
 *
 *   key    id, 8 bytes, big endian
 *   value  granted TTL, then checkpointed remainder (0: none): two 8-byte big-endian integers, both in seconds
 *
 * Lease 0x10 of a minute, never checkpointed:
 *   0000000000000010 -> 000000000000003c 0000000000000000
 */
import { assert } from './assert.ts';

/** What the member holds of a lease. The first three are replicated, the others exist on the primary alone. */
export class Lease {
  readonly id: bigint;
  /** As granted, after being raised to the minimum. */
  readonly ttlSec: number;
  /** What was left at the last checkpoint; 0: none, the full TTL counts (sem-101). */
  remainingSec: number;

  /** When it ends, on the monotonic clock; Infinity where this member is not the primary. */
  expiryMs = Number.POSITIVE_INFINITY;
  /** When the primary looks at it next: its expiry, or later after a revocation that failed. Orders the heap. */
  dueMs = Number.POSITIVE_INFINITY;
  /** Place in the heap; -1: in none, because its revocation is under way or nobody counts its time. */
  heapIndex = -1;
  /** Keep-alives that came after expiry and wait for its revocation (sem-094). */
  waiters: ((error: Error | null, ttlSec: number) => void)[] | null = null;

  constructor(id: bigint, ttlSec: number, remainingSec = 0) {
    this.id = id;
    this.ttlSec = ttlSec;
    this.remainingSec = remainingSec;
  }

  /** How long it lives when a new primary starts to count (sem-097, sem-100). */
  get restoredTtlSec(): number {
    return this.remainingSec > 0 ? this.remainingSec : this.ttlSec;
  }
}

export const LEASES_TABLE = 'leases';
const ROW_BYTES = 16;

export function leaseKey(id: bigint): Uint8Array {
  const key = Buffer.allocUnsafe(8);
  key.writeBigInt64BE(id);
  return key;
}

export function leaseRow(lease: Lease): Uint8Array {
  const row = Buffer.allocUnsafe(ROW_BYTES);
  row.writeBigInt64BE(BigInt(lease.ttlSec), 0);
  row.writeBigInt64BE(BigInt(lease.remainingSec), 8);
  return row;
}

export function readLease(key: Uint8Array, row: Uint8Array): Lease {
  assert(key.length === 8 && row.length === ROW_BYTES, 'a row of the lease table has its length', row.length);
  const keyView = new DataView(key.buffer, key.byteOffset);
  const rowView = new DataView(row.buffer, row.byteOffset);
  return new Lease(keyView.getBigInt64(0), Number(rowView.getBigInt64(0)), Number(rowView.getBigInt64(8)));
}
