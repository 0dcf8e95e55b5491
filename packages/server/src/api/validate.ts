/**
 * What can be refused about a KV request by looking at it alone, in etcd's order of checks.
 *
 * Each function gives the first reason for refusal as a code of the error registry, or null. Transactions go through
 * `checkTxn` (shape and every operation, both branches, sem-054..059) and then `checkOverlaps` for each branch
 * (no key put twice, no put inside a deleted range, sem-057..060).
 */
import type { ErrorCode } from '@quorate/proto';
import { TOO_DEEP } from '../codec/requests.ts';
import type {
  DeleteRangeOperation,
  PutOperation,
  RangeOperation,
  TxnOperation,
  TxnStep,
} from '../operations.ts';

/** sem-019: the key first, then the enumerations. */
export function checkRange(operation: RangeOperation): ErrorCode | null {
  if (operation.key.length === 0) return 'EMPTY_KEY';
  if (operation.sortOrder < 0 || operation.sortOrder > 2) return 'INVALID_SORT_OPTION';
  if (operation.sortTarget < 0 || operation.sortTarget > 4) return 'INVALID_SORT_OPTION';
  return null;
}

/** sem-036: what a stream of a range can serve without holding it all. */
export function checkRangeStream(operation: RangeOperation): ErrorCode | null {
  const refusal = checkRange(operation);
  if (refusal !== null) return refusal;
  const { sortOrder, sortTarget } = operation;
  if (sortOrder !== 0 && !(sortOrder === 1 && sortTarget === 0)) return 'RANGE_STREAM_SORT';
  if (
    operation.minModRevision !== 0 ||
    operation.maxModRevision !== 0 ||
    operation.minCreateRevision !== 0 ||
    operation.maxCreateRevision !== 0
  ) {
    return 'RANGE_STREAM_FILTER';
  }
  return null;
}

/** sem-042. */
export function checkPut(operation: PutOperation): ErrorCode | null {
  if (operation.key.length === 0) return 'EMPTY_KEY';
  if (operation.ignoreValue && operation.value.length > 0) return 'VALUE_PROVIDED';
  if (operation.ignoreLease && operation.lease !== 0n) return 'LEASE_PROVIDED';
  return null;
}

export function checkDeleteRange(operation: DeleteRangeOperation): ErrorCode | null {
  return operation.key.length === 0 ? 'EMPTY_KEY' : null;
}

/** A whole txn: shape, then overlaps of either branch. */
export function checkTxn(operation: TxnOperation, maxTxnOps: number): ErrorCode | null {
  return checkTxnShape(operation, maxTxnOps) ?? checkTxnOverlaps(operation);
}

/**
 * The longest list of a txn counts against what it may hold, and the rest is what its nested txns may (sem-054): a
 * path from the outermost to the innermost txn never holds more than `maxTxnOps` in all.
 */
function checkTxnShape(operation: TxnOperation, opsLeft: number): ErrorCode | null {
  if (operation === TOO_DEEP) return 'TOO_MANY_OPERATIONS';
  const { compare, success, failure } = operation;
  const longest = Math.max(compare.length, success.length, failure.length);
  if (longest > opsLeft) return 'TOO_MANY_OPERATIONS';
  for (const { key } of compare) {
    if (key.length === 0) return 'EMPTY_KEY';
  }
  for (const branch of [success, failure]) {
    for (const step of branch) {
      const refusal = checkStep(step, opsLeft - longest);
      if (refusal !== null) return refusal;
    }
  }
  return null;
}

function checkStep(step: TxnStep, opsLeft: number): ErrorCode | null {
  switch (step.kind) {
    case 'range':
      return checkRange(step);
    case 'put':
      return checkPut(step);
    case 'delete-range':
      return checkDeleteRange(step);
    case 'txn':
      return checkTxnShape(step, opsLeft);
    case 'none':
      return 'KEY_NOT_FOUND';
  }
}

/** Keys as strings of one character per byte: they compare as the bytes do. */
interface Deletion {
  readonly begin: string;
  /** Exclusive. An end at or before the beginning (also the one zero byte) covers nothing here, as in etcd. */
  readonly end: string;
}

/** What one branch touches, its nested txns included. */
interface Footprint {
  readonly puts: Set<string>;
  readonly deletions: Deletion[];
}

const NOTHING: Footprint = { puts: new Set(), deletions: [] };

/**
 * Comparisons of keys that one request may cost. Flat transactions need at most 128 x 128; nesting could make it
 * the product of everything in the request, and no honest request comes near this (about 10 ms).
 */
const MAX_OVERLAP_STEPS = 500_000;

function checkTxnOverlaps(operation: TxnOperation): ErrorCode | null {
  if (operation.success.length < 2 && operation.failure.length < 2 && !hasNested(operation)) return null;
  const check = new OverlapCheck();
  for (const branch of [operation.success, operation.failure]) {
    if (check.footprint(branch) === null) return check.refusal;
  }
  return null;
}

function hasNested(operation: TxnOperation): boolean {
  return operation.success[0]?.kind === 'txn' || operation.failure[0]?.kind === 'txn';
}

class OverlapCheck {
  refusal: ErrorCode = 'DUPLICATE_KEY';
  private stepsLeft = MAX_OVERLAP_STEPS;

  /**
   * Puts and deletions of a branch, or null when they collide. The order matters and is etcd's (sem-060): deletions
   * of this level, then nested txns one after the other, then puts of this level. So a put of an earlier nested txn
   * never meets the deletions of a later one.
   */
  footprint(steps: readonly TxnStep[]): Footprint | null {
    if (steps.length === 0) return NOTHING;
    const puts = new Set<string>();
    const deletions: Deletion[] = [];
    for (const step of steps) {
      if (step.kind === 'delete-range') deletions.push(deletionOf(step));
    }
    for (const step of steps) {
      if (step.kind === 'txn' && !this.addNested(step, puts, deletions)) return null;
    }
    for (const step of steps) {
      if (step.kind !== 'put') continue;
      const key = keyText(step.key);
      if (puts.has(key) || !this.isFree(key, deletions)) return null;
      puts.add(key);
    }
    return { puts, deletions };
  }

  /** The two branches of a nested txn exclude each other, so both may put the same key (sem-058). */
  private addNested(txn: TxnOperation, puts: Set<string>, deletions: Deletion[]): boolean {
    const onSuccess = this.footprint(txn.success);
    if (onSuccess === null) return false;
    const onFailure = this.footprint(txn.failure);
    if (onFailure === null) return false;
    for (const key of onSuccess.puts) {
      if (puts.has(key) || !this.isFree(key, deletions)) return false;
      puts.add(key);
    }
    for (const key of onFailure.puts) {
      if (puts.has(key) && !onSuccess.puts.has(key)) return false;
      if (!this.isFree(key, deletions)) return false;
      puts.add(key);
    }
    for (const deletion of onSuccess.deletions) deletions.push(deletion);
    for (const deletion of onFailure.deletions) deletions.push(deletion);
    return this.spend(onSuccess.deletions.length + onFailure.deletions.length);
  }

  private isFree(key: string, deletions: readonly Deletion[]): boolean {
    if (!this.spend(deletions.length + 1)) return false;
    for (const { begin, end } of deletions) {
      if (key >= begin && key < end) return false;
    }
    return true;
  }

  private spend(steps: number): boolean {
    this.stepsLeft -= steps;
    if (this.stepsLeft >= 0) return true;
    this.refusal = 'TOO_MANY_OPERATIONS';
    return false;
  }
}

function deletionOf(step: DeleteRangeOperation): Deletion {
  const begin = keyText(step.key);
  return { begin, end: step.rangeEnd.length === 0 ? `${begin}\0` : keyText(step.rangeEnd) };
}

function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
