/**
 * Range requests on top of the store: revision filters, sorting, limit and `more`. Shared by the read path and by txns.
 *
 *     options = rangeOptions(request)         what to ask the store for
 *     outcome = shapeRange(request, result)   what the store's answer becomes
 *
 * The store reads in key order. A real sort order or a revision filter needs every key first, so the limit is lifted;
 * otherwise one record more than the limit is read, which is how `more` is known (sem-025, sem-027).
 *
 * An oddity that is kept (sem-024): without a sort order but with a target other than KEY, the result is sorted
 * ascending by the target *after* the store has cut it to limit + 1 records in key order.
 */
import type { KeyRecord, PageOptions, RangeOptions, RangeResult } from '@quorate/mvcc';
import type { RangeOperation } from '../operations.ts';
import type { RangeOutcome } from '../results.ts';
import { keyRange } from './key-range.ts';
import { withoutValue } from './keys-only.ts';

const ORDER = { none: 0, ascend: 1, descend: 2 } as const;
const TARGET = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const;

export function rangeOptions(request: RangeOperation): RangeOptions {
  const limit = isLimitLifted(request) || request.limit <= 0 ? 0 : request.limit + 1;
  return {
    ...keyRange(request.key, request.rangeEnd),
    revision: request.revision,
    limit,
    countOnly: request.countOnly,
    // Values that decide the order must be read, and are dropped afterwards.
    keysOnly: request.keysOnly && request.sortTarget !== TARGET.value,
  };
}

/** Whether the answer is the records of several keys, whole and in key order: then the store can give it as bytes. */
export function isPage(request: RangeOperation): boolean {
  const { keysOnly, countOnly } = request;
  return (
    request.rangeEnd.length > 0 &&
    !keysOnly &&
    !countOnly &&
    !isFiltered(request) &&
    orderOf(request) === null
  );
}

export function rangePageOptions(request: RangeOperation): PageOptions {
  const { key, rangeEnd, revision, limit } = request;
  return { ...keyRange(key, rangeEnd), revision, limit };
}

export function shapeRange(request: RangeOperation, result: RangeResult): RangeOutcome {
  let records = result.records;
  if (isFiltered(request)) records = records.filter((record) => passesFilters(request, record));
  records = sorted(request, records);
  let more = false;
  if (request.limit > 0 && records.length > request.limit) {
    records = records.slice(0, request.limit);
    more = true;
  }
  if (request.keysOnly) {
    const keeps = keepsLease(request);
    records = records.map((record) => withoutValue(record, keeps ? record.lease : 0n));
  }
  return { kind: 'range', records, count: result.count, more, revision: result.revision };
}

/** Of a keys-only range: values had to be read for the order, and leases came with them (sem-030). */
export function keepsLease(request: RangeOperation): boolean {
  return request.sortTarget === TARGET.value;
}

function isLimitLifted(request: RangeOperation): boolean {
  return request.sortOrder !== ORDER.none || isFiltered(request);
}

export function isFiltered(request: RangeOperation): boolean {
  return (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  );
}

/** Inclusive bounds; zero means no bound, negative ones are taken as given (sem-031). */
export function passesFilters(request: RangeOperation, record: KeyRecord): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  if (minModRevision !== 0 && record.modRevision < minModRevision) return false;
  if (maxModRevision !== 0 && record.modRevision > maxModRevision) return false;
  if (minCreateRevision !== 0 && record.createRevision < minCreateRevision) return false;
  if (maxCreateRevision !== 0 && record.createRevision > maxCreateRevision) return false;
  return true;
}

function sortOrder(request: RangeOperation): number {
  if (request.sortOrder !== ORDER.none) return request.sortOrder;
  return request.sortTarget === TARGET.key ? ORDER.none : ORDER.ascend;
}

function sorted(request: RangeOperation, records: readonly KeyRecord[]): readonly KeyRecord[] {
  const order = orderOf(request);
  return order === null ? records : records.toSorted(order);
}

/**
 * The order to sort by, null when it is the store's own. Ties stay in key order, also when descending; etcd promises
 * no order for them (sem-026).
 */
export function orderOf(request: RangeOperation): ((a: KeyRecord, b: KeyRecord) => number) | null {
  const order = sortOrder(request);
  if (order === ORDER.none || (order === ORDER.ascend && request.sortTarget === TARGET.key)) return null;
  const compare = comparators[request.sortTarget];
  if (compare === undefined) return null;
  return order === ORDER.descend ? (a, b) => compare(b, a) : compare;
}

const comparators: Readonly<Record<number, (a: KeyRecord, b: KeyRecord) => number>> = {
  [TARGET.key]: (a, b) => Buffer.compare(a.key, b.key),
  [TARGET.version]: (a, b) => a.version - b.version,
  [TARGET.create]: (a, b) => a.createRevision - b.createRevision,
  [TARGET.mod]: (a, b) => a.modRevision - b.modRevision,
  [TARGET.value]: (a, b) => Buffer.compare(a.value, b.value),
};
