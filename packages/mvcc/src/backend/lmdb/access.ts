/** Gets and scans of one table, in a snapshot or in the transaction under way. */
import type { Database, Transaction } from 'lmdb';

export interface Snapshot {
  readonly transaction: Transaction;
}

/** Writes a key where the binding wants it, and says where it ends. */
export function writeBytes(key: Uint8Array, target: Uint8Array, start: number): number {
  target.set(key, start);
  return start + key.length;
}

interface FastDatabase {
  getBinaryFast(key: Uint8Array, snapshot?: Snapshot): (Uint8Array & { isGlobal?: boolean }) | undefined;
  lastSize: number;
}

export function getFrom(
  database: Database<Uint8Array, Uint8Array>,
  key: Uint8Array,
  snapshot?: Snapshot,
): Uint8Array | undefined {
  if (key.length === 0) return undefined;
  const fast = database as unknown as FastDatabase;
  const bytes = fast.getBinaryFast(key, snapshot);
  if (bytes === undefined) return undefined;
  // The buffer that every get reuses has a `length` of its own making: take exactly what was read.
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, fast.lastSize);
}

export function bounds(range: { low: Uint8Array; high: Uint8Array | null }): {
  start: Uint8Array | undefined;
  end: Uint8Array | undefined;
} {
  return { start: range.low.length === 0 ? undefined : range.low, end: range.high ?? undefined } as {
    start: Uint8Array | undefined;
    end: Uint8Array | undefined;
  };
}

export function scanOf(
  database: Database<Uint8Array, Uint8Array>,
  range: { low: Uint8Array; high: Uint8Array | null; reverse?: boolean },
  visit: (key: Uint8Array, value: Uint8Array) => boolean,
  snapshot?: Snapshot,
): void {
  if (range.high !== null && Buffer.compare(range.low, range.high) >= 0) return;
  const { start, end } = bounds(range);
  const options =
    range.reverse === true
      ? { ...snapshot, reverse: true, start: end, end: start, exclusiveStart: true, inclusiveEnd: true }
      : { ...snapshot, start, end };
  for (const { key, value } of database.getRange(options as Parameters<typeof database.getRange>[0])) {
    if (!visit(key, value)) return;
  }
}
