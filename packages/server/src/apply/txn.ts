/**
 * Transactions: decide the way, check everything on it, then write.
 *
 *   1. All conditions, nested ones included, are evaluated on the state before the txn; that fixes which branch every
 *      (nested) txn takes (sem-066).
 *   2. The puts on that way are checked, then the ranges: leases, ignore flags, revisions (sem-068). A refusal leaves
 *      no trace.
 *   3. The operations run in order. Ranges see earlier writes of the same txn (sem-067); all changes share one main
 *      revision (sem-052).
 *
 * The headers of nested answers carry the revision as of their operation, and those of nested txns carry none
 * (sem-002; a nested txn's is an empty message in etcd, so 0 here).
 */
import type { WriteTransaction } from '@quorate/mvcc';
import { DomainError } from '../errors.ts';
import type { Failpoint } from '../failpoints.ts';
import type { TxnOperation, TxnStep } from '../operations.ts';
import type { DeleteRangeOutcome, PutOutcome, RangeOutcome, TxnOutcome } from '../results.ts';
import { holds } from './compare.ts';
import { applyDeleteRange, applyPut, type Leases } from './kv.ts';
import { rangeOptions, shapeRange } from './range.ts';

/** The branch a txn takes, and those of the nested txns on it in order of appearance. */
interface Way {
  readonly succeeded: boolean;
  readonly steps: readonly TxnStep[];
  readonly nested: readonly Way[];
}

/** State before the txn, for checks and headers. */
interface Before {
  readonly revision: number;
  readonly compactRevision: number;
}

/** @throws DomainError before anything is written */
export function applyTxn(
  transaction: WriteTransaction,
  leases: Leases,
  before: Before,
  operation: TxnOperation,
  failpoint: Failpoint,
): TxnOutcome {
  const way = decide(transaction, operation);
  checkPuts(transaction, leases, way);
  checkRanges(before, way);
  const responses = run(transaction, before, way, failpoint);
  return {
    kind: 'txn',
    revision: currentRevision(transaction, before),
    succeeded: way.succeeded,
    responses,
  };
}

function decide(transaction: WriteTransaction, txn: TxnOperation): Way {
  const succeeded = txn.compare.every((compare) => holds(transaction, compare));
  const steps = succeeded ? txn.success : txn.failure;
  const nested: Way[] = [];
  for (const step of steps) if (step.kind === 'txn') nested.push(decide(transaction, step));
  return { succeeded, steps, nested };
}

function checkPuts(transaction: WriteTransaction, leases: Leases, way: Way): void {
  let nestedSeen = 0;
  for (const step of way.steps) {
    if (step.kind === 'txn') {
      checkPuts(transaction, leases, way.nested[nestedSeen++]!);
    } else if (step.kind === 'put') {
      // The order differs from a lone put's, where an unknown lease comes first.
      if ((step.ignoreValue || step.ignoreLease) && transaction.get(step.key) === null) {
        throw new DomainError('KEY_NOT_FOUND');
      }
      if (step.lease !== 0n && !leases.exists(step.lease)) throw new DomainError('LEASE_NOT_FOUND');
    }
  }
}

/** Unlike a lone range, a negative revision is no other word for "now" once there was a compaction (sem-061). */
function checkRanges(before: Before, way: Way): void {
  let nestedSeen = 0;
  for (const step of way.steps) {
    if (step.kind === 'txn') {
      checkRanges(before, way.nested[nestedSeen++]!);
    } else if (step.kind === 'range' && step.revision !== 0) {
      if (step.revision > before.revision) throw new DomainError('FUTURE_REVISION');
      if (step.revision < before.compactRevision) throw new DomainError('COMPACTED');
    }
  }
}

function run(
  transaction: WriteTransaction,
  before: Before,
  way: Way,
  failpoint: Failpoint,
): (RangeOutcome | PutOutcome | DeleteRangeOutcome | TxnOutcome)[] {
  const responses: (RangeOutcome | PutOutcome | DeleteRangeOutcome | TxnOutcome)[] = [];
  let nestedSeen = 0;
  for (const step of way.steps) {
    failpoint('beforeApplyStep');
    switch (step.kind) {
      case 'range': {
        const outcome = shapeRange(step, transaction.range(rangeOptions(step)));
        responses.push({ ...outcome, revision: currentRevision(transaction, before) });
        break;
      }
      case 'put':
        responses.push(applyPut(transaction, step));
        break;
      case 'delete-range': {
        const outcome = applyDeleteRange(transaction, step);
        responses.push({ ...outcome, revision: currentRevision(transaction, before) });
        break;
      }
      case 'txn': {
        const nested = way.nested[nestedSeen++]!;
        responses.push({
          kind: 'txn',
          revision: 0,
          succeeded: nested.succeeded,
          responses: run(transaction, before, nested, failpoint),
        });
        break;
      }
      case 'none':
        break;
    }
  }
  return responses;
}

/** The revision a reader inside the txn is at: the next one once something changed. */
function currentRevision(transaction: WriteTransaction, before: Before): number {
  return transaction.changeCount > 0 ? transaction.revision : before.revision;
}
