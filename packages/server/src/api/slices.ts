/**
 * Long work in short slices, so that one large answer does not hold up the others.
 *
 * A task is a generator that yields often (every few hundred records, not every one); the driver runs it for about
 * two milliseconds, lets what waits meanwhile be handled, and goes on. Work that fits one slice ends in the same turn.
 */
import type { Env } from '../env.ts';

const SLICE_MS = 2;

/**
 * @param abandoned asked between slices; true drops the task and `done` is not called
 * @param done called exactly once unless abandoned
 */
export function runSliced<Result>(
  env: Env,
  task: Generator<void, Result>,
  abandoned: () => boolean,
  done: (error: Error | null, result: Result | null) => void,
): void {
  const slice = (): void => {
    const endMs = env.monotonicMs() + SLICE_MS;
    let step: IteratorResult<void, Result>;
    try {
      do step = task.next();
      while (step.done !== true && env.monotonicMs() < endMs);
    } catch (error) {
      done(error as Error, null);
      return;
    }
    if (step.done === true) done(null, step.value);
    else if (!abandoned()) env.afterPoll(slice);
  };
  slice();
}

/** Records handled between two looks at the clock. */
const STRIDE = 256;
/** Runs of this many are sorted natively, about a quarter of a millisecond each. */
const RUN = 1024;

/** Stable merge sort in slices. */
export function* sortSliced<T>(items: readonly T[], compare: (a: T, b: T) => number): Generator<void, T[]> {
  let from: T[] = [];
  for (let start = 0; start < items.length; start += RUN) {
    for (const item of items.slice(start, start + RUN).sort(compare)) from.push(item);
    yield;
  }
  for (let width = RUN; width < from.length; width *= 2) {
    const merged: T[] = [];
    for (let start = 0; start < from.length; start += 2 * width) {
      const middle = Math.min(start + width, from.length);
      const end = Math.min(start + 2 * width, from.length);
      let left = start;
      let right = middle;
      while (left < middle || right < end) {
        const takeLeft = right >= end || (left < middle && compare(from[left]!, from[right]!) <= 0);
        merged.push(from[takeLeft ? left++ : right++]!);
        if (merged.length % STRIDE === 0) yield;
      }
    }
    from = merged;
  }
  return from;
}

export function* filterSliced<T>(items: readonly T[], keep: (item: T) => boolean): Generator<void, T[]> {
  const kept: T[] = [];
  for (let index = 0; index < items.length; index++) {
    if (keep(items[index]!)) kept.push(items[index]!);
    if (index % STRIDE === 0) yield;
  }
  return kept;
}

export function* mapSliced<T, U>(items: readonly T[], map: (item: T) => U): Generator<void, U[]> {
  const mapped: U[] = [];
  for (let index = 0; index < items.length; index++) {
    mapped.push(map(items[index]!));
    if (index % STRIDE === 0) yield;
  }
  return mapped;
}
