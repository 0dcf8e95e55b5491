/**
 * Long work in short slices.
 *
 * No slice is much longer than `sliceMs`, and between two of them the loop handles what waits. No read transaction of the backend lives from one slice to the
 * next: each slice reads the newest snapshot, at the revision the work was pinned to.
 */

export interface SlicedWork<T> {
  /** Goes on until the clock passes `deadlineMs`. @returns null when there is more to do */
  step(clockMs: () => number, deadlineMs: number): T | null;
}

export interface SliceOptions {
  readonly monotonicMs: () => number;
  readonly afterPoll: (callback: () => void) => void;
  readonly sliceMs: number;
  /** Before each slice: throws when the work cannot go on, since the store was closed or its state replaced. */
  readonly check: () => void;
}

/** @param done called exactly once; in this turn when one slice is enough */
export function runSliced<T>(
  begin: () => SlicedWork<T>,
  options: SliceOptions,
  done: (error: Error | null, result: T | null) => void,
): void {
  const { monotonicMs, afterPoll, sliceMs, check } = options;
  let work: SlicedWork<T> | null = null;
  const slice = (): void => {
    let result: T | null;
    try {
      check();
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
