import { copyBytes } from '../../bytes.ts';
import { TABLE_NAMES } from '../../tables.ts';
import { BackendError } from '../backend.ts';
import { insideGate } from '../exit-gate.ts';
import type { AppendDatabase, Opened } from './open.ts';

/** What one slice of a copy takes. */
const COPY_ROWS = 2_000;
const COPY_BYTES = 1 << 20;

/**
 * Copies a snapshot row by row, in slices, so that it can be given up at any time: LMDB's own copy cannot, and whoever wants to close the file would wait for it.
 * Rows come in order, so pages of the copy are full.
 * @param done when both files are closed
 * @returns gives up
 */
export function copyFile(from: Opened, to: Opened, done: (error: unknown) => void): () => void {
  const transaction = from.root.useReadTransaction();
  let cancelled = false;
  let table = 0;
  let after: Uint8Array | null = null;
  const end = (error: unknown): void => {
    transaction.done();
    Promise.all([from.root.close(), to.root.close()]).then(
      () => done(error),
      (failure: unknown) => done(error ?? failure),
    );
  };
  /** Copies the next rows of the table at hand. @returns whether that was all of it */
  const copyRows = (): boolean => {
    let rows = COPY_ROWS;
    let bytes = COPY_BYTES;
    const name = TABLE_NAMES[table]!;
    const range = { start: after ?? undefined, exclusiveStart: after !== null, transaction };
    const target = to.tables[name]! as unknown as AppendDatabase;
    for (const { key, value } of from.tables[name]!.getRange(range as never)) {
      const own = copyBytes(key);
      if (!target.putSync(own, copyBytes(value), { append: true })) {
        throw new BackendError('CORRUPTED', `table ${name} is out of order`);
      }
      bytes -= key.length + value.length;
      if (--rows > 0 && bytes > 0) continue;
      after = own;
      return false;
    }
    return true;
  };
  const slice = (): void => {
    try {
      if (cancelled) throw new BackendError('CANCELLED', 'the copy was given up');
      let ended = false;
      to.root.transactionSync(() => {
        ended = copyRows();
      });
      if (ended) {
        table++;
        after = null;
      }
    } catch (error) {
      end(error);
      return;
    }
    if (table === TABLE_NAMES.length) end(null);
    else setImmediate(next);
  };
  const next = (): void => insideGate(slice);
  setImmediate(next);
  return () => {
    cancelled = true;
  };
}
