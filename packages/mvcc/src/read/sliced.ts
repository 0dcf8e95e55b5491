/**
 * Long work in short slices.
 *
 * No slice is much longer than `sliceMs`, and between two of them the loop handles what waits. No read transaction of the backend lives from one slice to the
 * next: each slice reads the newest snapshot, at the revision the work was pinned to.
 */
import { StoreClosedError } from '../types.ts';

export interface SlicedWork<T> {
  /** Goes on until the clock passes `deadlineMs`. @returns null when there is more to do */
  step(clockMs: () => number, deadlineMs: number): T | null;
}

export interface SliceOptions {
  readonly monotonicMs: () => number;
  readonly afterPoll: (callback: () => void) => void;
  readonly sliceMs: number;
  /** Whether the store was closed meanwhile. */
  readonly closed: () => boolean;
}

/** @param done called exactly once; in this turn when one slice is enough */
export function runSliced<T>(
  begin: () => SlicedWork<T>,
  options: SliceOptions,
  done: (error: Error | null, result: T | null) => void,
): void {
  const { monotonicMs, afterPoll, sliceMs, closed } = options;
  let work: SlicedWork<T> | null = null;
  const slice = (): void => {
    let result: T | null;
    try {
      if (closed()) throw new StoreClosedError('the store is closed');
      work ??= begin();
      result = work.step(monotonicMs, monotonicMs() + sliceMs);
    } catch (error) {
      done(error as Error, null);
      return;
    }
    if (result === null) afterPoll(slice);
    else done(null, result);
  };
  slice();
}
