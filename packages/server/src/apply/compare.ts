/**
 * The conditions of a txn, evaluated on the state before all of it (sem-066).
 *
 * A condition on a range must hold for every key in it; a range without keys behaves like a missing key (sem-063). A
 * missing key compares as zero in every number (sem-062); a comparison of its *value* is false, whatever the operator.
 */
import type { KeyRecord, WriteTransaction } from '@quorate/mvcc';
import type { Compare } from '../operations.ts';
import { keyRange } from './key-range.ts';

const RESULT = { equal: 0, greater: 1, less: 2, notEqual: 3 } as const;
const TARGET = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const;

/** What conditions are evaluated on: a transaction, or the store itself for a txn that only reads. */
export type ReadView = Pick<WriteTransaction, 'get' | 'range'>;

export function holds(transaction: ReadView, compare: Compare): boolean {
  if (compare.rangeEnd.length === 0) return holdsFor(compare, transaction.get(compare.key));
  const { records } = transaction.range({
    ...keyRange(compare.key, compare.rangeEnd),
    revision: 0,
    limit: 0,
    keysOnly: compare.target !== TARGET.value,
  });
  if (records.length === 0) return holdsFor(compare, null);
  return records.every((record) => holdsFor(compare, record));
}

function holdsFor(compare: Compare, record: KeyRecord | null): boolean {
  if (record === null && compare.target === TARGET.value) return false;
  const sign = signOf(compare, record);
  switch (compare.result) {
    case RESULT.equal:
      return sign === 0;
    case RESULT.greater:
      return sign > 0;
    case RESULT.less:
      return sign < 0;
    case RESULT.notEqual:
      return sign !== 0;
    default:
      return true; // An operator from a newer protocol (sem-064).
  }
}

/** How the key stands to what the condition names: below, equal, above. An unknown target is equal (sem-064). */
function signOf(compare: Compare, record: KeyRecord | null): number {
  switch (compare.target) {
    case TARGET.version:
      return difference(BigInt(record?.version ?? 0), compare.number);
    case TARGET.create:
      return difference(BigInt(record?.createRevision ?? 0), compare.number);
    case TARGET.mod:
      return difference(BigInt(record?.modRevision ?? 0), compare.number);
    case TARGET.lease:
      return difference(record?.lease ?? 0n, compare.number);
    case TARGET.value:
      return record === null ? 0 : Buffer.compare(record.value, compare.value);
    default:
      return 0;
  }
}

function difference(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
