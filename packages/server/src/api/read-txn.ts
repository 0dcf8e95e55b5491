/**
 * Transactions that only read: compares and ranges, answered without a log entry (sem-069).
 *
 * Everything is read at one revision, the newest when the txn begins: compares at once, ranges one after the other,
 * in slices when they are large. A compaction may pass that revision meanwhile; the txn then begins again, as if it
 * had been asked a little later.
 */
import { CompactedError, FutureRevisionError, type Store } from '@quorate/mvcc';
import { holds } from '../apply/compare.ts';
import { rangeOptions, shapeRange } from '../apply/range.ts';
import type { RangeOperation, TxnOperation, TxnStep } from '../operations.ts';
import type { RangeOutcome, TxnOutcome } from '../results.ts';

/** Both branches hold ranges alone; a nested txn makes it a write, even an empty one. */
export function isReadOnly(operation: TxnOperation): boolean {
  return operation.success.every(isRange) && operation.failure.every(isRange);
}

/** No range of either branch asks for linearizable data; true for empty branches. */
export function isSerializable(operation: TxnOperation): boolean {
  return operation.success.every(isSerializableRange) && operation.failure.every(isSerializableRange);
}

function isRange(step: TxnStep): step is RangeOperation {
  return step.kind === 'range';
}

function isSerializableRange(step: TxnStep): boolean {
  return step.kind === 'range' && step.serializable;
}

/** How often a compaction may pass a txn before it gives up. */
const MAX_ATTEMPTS = 3;

/** @param operation one for which `isReadOnly` holds */
export function readTxn(
  store: Store,
  operation: TxnOperation,
  done: (error: Error | null, outcome: TxnOutcome | null) => void,
  attempt = 1,
): void {
  const revision = store.revision;
  let succeeded: boolean;
  let steps: readonly RangeOperation[];
  try {
    const view = { get: store.get.bind(store), range: store.rangeSync.bind(store) };
    succeeded = operation.compare.every((compare) => holds(view, compare));
    steps = (succeeded ? operation.success : operation.failure).filter(isRange);
    for (const step of steps) checkRevision(store, step);
  } catch (error) {
    done(error as Error, null);
    return;
  }
  const responses: RangeOutcome[] = [];
  const next = (): void => {
    const step = steps[responses.length];
    if (step === undefined) {
      done(null, { kind: 'txn', revision, succeeded, responses });
      return;
    }
    const options = { ...rangeOptions(step), revision: step.revision > 0 ? step.revision : revision };
    store.range(options, (error, result) => {
      if (error === null) {
        responses.push({ ...shapeRange(step, result!), revision });
        next();
      } else if (
        error instanceof CompactedError &&
        store.compactRevision > revision &&
        attempt < MAX_ATTEMPTS
      ) {
        readTxn(store, operation, done, attempt + 1);
      } else done(error, null);
    });
  };
  next();
}

/** Unlike in a range of its own, a negative revision is not "now" here (sem-061, sem-067). */
function checkRevision(store: Store, step: RangeOperation): void {
  if (step.revision === 0) return;
  if (step.revision > store.revision) throw new FutureRevisionError();
  if (step.revision < store.compactRevision) throw new CompactedError();
}
