/**
 * Range answers of any size, made in slices: the long way round to what `apply/range.ts` does in one go.
 *
 * Sorting a million records takes about a second; here it is a merge sort that gives way every two milliseconds. A
 * test holds both ways equal.
 */
import type { RangeResult } from '@quorate/mvcc';
import { withoutValue } from '../apply/keys-only.ts';
import { isFiltered, keepsLease, orderOf, passesFilters } from '../apply/range.ts';
import type { RangeOperation } from '../operations.ts';
import type { RangeOutcome } from '../results.ts';
import { filterSliced, mapSliced, sortSliced } from './slices.ts';

/** Same answer as `shapeRange(operation, result)`. */
export function* shapeRangeSliced(
  operation: RangeOperation,
  result: RangeResult,
): Generator<void, RangeOutcome> {
  let records = result.records;
  if (isFiltered(operation)) {
    records = yield* filterSliced(records, (record) => passesFilters(operation, record));
  }
  const order = orderOf(operation);
  if (order !== null) records = yield* sortSliced(records, order);
  const more = operation.limit > 0 && records.length > operation.limit;
  if (more) records = records.slice(0, operation.limit);
  if (operation.keysOnly) {
    const keeps = keepsLease(operation);
    records = yield* mapSliced(records, (record) => withoutValue(record, keeps ? record.lease : 0n));
  }
  return { kind: 'range', records, count: result.count, more, revision: result.revision };
}
