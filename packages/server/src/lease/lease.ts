/**
 * One lease, and its row in the store's `leases` table.
 *
 *   key    id, 8 bytes, big endian
 *   value  granted TTL, checkpointed remainder (0: none), both in seconds, and log index of the grant: three 8-byte
 *          big-endian integers. Rows from before grants were noted lack the third: 0
 *
 * Lease 0x10 of a minute, never checkpointed, granted by entry 9:
 *   0000000000000010 -> 000000000000003c 0000000000000000 0000000000000009
 */
import { assert } from './assert.ts';

/** What the member holds of a lease. The first four are replicated, the others exist on the primary alone. */
export class Lease {
  readonly id: bigint;
  /** As granted, after being raised to the minimum. */
  readonly ttlSec: number;
  /** What was left at the last checkpoint; 0: none, the full TTL counts (sem-101). */
  remainingSec: number;
  /** Log index of its grant: tells it from another lease that had or will have the same id. */
  readonly grantIndex: number;

  /** When it ends, on the monotonic clock; Infinity where this member is not the primary. */
  expiryMs = Number.POSITIVE_INFINITY;
  /** When the primary looks at it next: its expiry, or later after a revocation that failed. Orders the heap. */
  dueMs = Number.POSITIVE_INFINITY;
  /** Place in the heap; -1: in none, because its revocation is under way or nobody counts its time. */
  heapIndex = -1;
  /** Keep-alives that came after expiry and wait for its revocation (sem-094). */
  waiters: ((error: Error | null, ttlSec: number) => void)[] | null = null;

  /** A checkpoint of it is on its way through the log. */
  checkpointing = false;

  constructor(id: bigint, ttlSec: number, remainingSec = 0, grantIndex = 0) {
    this.id = id;
    this.ttlSec = ttlSec;
    this.remainingSec = remainingSec;
    this.grantIndex = grantIndex;
  }

  /** How long it lives when a new primary starts to count (sem-097, sem-100). */
  get restoredTtlSec(): number {
    return this.remainingSec > 0 ? this.remainingSec : this.ttlSec;
  }
}

export const LEASES_TABLE = 'leases';
const ROW_BYTES = 24;
const OLD_ROW_BYTES = 16;

export function leaseKey(id: bigint): Uint8Array {
  const key = Buffer.allocUnsafe(8);
  key.writeBigInt64BE(id);
  return key;
}

export function leaseRow(lease: Lease): Uint8Array {
  const row = Buffer.allocUnsafe(ROW_BYTES);
  row.writeBigInt64BE(BigInt(lease.ttlSec), 0);
  row.writeBigInt64BE(BigInt(lease.remainingSec), 8);
  row.writeBigInt64BE(BigInt(lease.grantIndex), 16);
  return row;
}

export function readLease(key: Uint8Array, row: Uint8Array): Lease {
  const whole = row.length === ROW_BYTES || row.length === OLD_ROW_BYTES;
  assert(key.length === 8 && whole, 'a row of the lease table has its length', row.length);
  const keyView = new DataView(key.buffer, key.byteOffset);
  const rowView = new DataView(row.buffer, row.byteOffset);
  const grantIndex = row.length === ROW_BYTES ? Number(rowView.getBigInt64(16)) : 0;
  const [ttlSec, remainingSec] = [Number(rowView.getBigInt64(0)), Number(rowView.getBigInt64(8))];
  return new Lease(keyView.getBigInt64(0), ttlSec, remainingSec, grantIndex);
}
