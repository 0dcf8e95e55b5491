/** Counts by size, in fixed buckets: what a hot path may call without allocating. */

/** `count` upper bounds, each `factor` times the one before. */
export function exponentialBuckets(start: number, factor: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => start * factor ** index);
}

export class Histogram {
  /** Upper bounds, ascending; what is larger than the last falls into a bucket of its own. */
  readonly bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let index = 0;
    while (index < bounds.length && value > bounds[index]!) index++;
    this.#counts[index]! += 1;
    this.#sum += value;
  }

  get sum(): number {
    return this.#sum;
  }

  /** How many values are at most `bounds[i]`, for each bound, and then all of them. */
  cumulative(): readonly number[] {
    let total = 0;
    return [...this.#counts].map((count) => {
      total += count;
      return total;
    });
  }
}
