/** Puts and deletes, alone or within a txn. */
import type { WriteTransaction } from '@quorate/mvcc';
import { DomainError } from '../errors.ts';
import type { DeleteRangeOperation, PutOperation } from '../operations.ts';
import type { DeleteRangeOutcome, PutOutcome } from '../results.ts';
import { keyRange } from './key-range.ts';

/** What puts need to know of leases. */
export interface Leases {
  exists(id: bigint): boolean;
}

const NO_RECORDS: DeleteRangeOutcome['previous'] = [];

/**
 * The put itself, its lease already checked. An ignored value or lease is the key's present one (sem-040, sem-043).
 * @throws DomainError KEY_NOT_FOUND when there is nothing to keep
 */
export function applyPut(transaction: WriteTransaction, put: PutOperation): PutOutcome {
  let { value, lease } = put;
  if (put.ignoreValue || put.ignoreLease) {
    const present = transaction.get(put.key);
    if (present === null) throw new DomainError('KEY_NOT_FOUND');
    if (put.ignoreValue) value = present.value;
    if (put.ignoreLease) lease = present.lease;
  }
  const previous = put.prevKv ? transaction.get(put.key) : null;
  transaction.put(put.key, value, lease);
  return { kind: 'put', revision: transaction.revision, previous };
}

/** The revision of the answer is up to the caller: it depends on what else changed. */
export function applyDeleteRange(
  transaction: WriteTransaction,
  operation: DeleteRangeOperation,
): DeleteRangeOutcome {
  const deleted = transaction.deleteRange(keyRange(operation.key, operation.rangeEnd));
  return {
    kind: 'delete-range',
    revision: transaction.revision,
    deleted: deleted.length,
    previous: operation.prevKv ? deleted : NO_RECORDS,
  };
}
