/**
 * Which term each index has, in memory, for the whole log: terms change rarely, so a run per change is enough.
 *
 *   log 5:t1 6:t1 7:t3 8:t3   ->  offset (4, t1), runs [5 t1] [7 t3], lastIndex 8
 *   append from 7 with t4     ->  runs [5 t1] [7 t4], lastIndex 7       (a new leader replaces the tail)
 *   trim to 6                 ->  offset (6, t1), runs [7 t4]
 *
 * `offset` is the entry before the first: gone, but its term is still asked for (thesis §3.5, consistency check).
 * Invariants: run starts ascend strictly, lie in `(offsetIndex, lastIndex]`, neighbouring terms ascend.
 */
import type { Entry } from '@quorate/raft';
import { assert } from './assert.ts';

export interface TermRun {
  readonly firstIndex: number;
  readonly term: number;
}

/** The runs of contiguous entries. */
export function termRuns(entries: readonly Entry[]): TermRun[] {
  const runs: TermRun[] = [];
  let term = -1;
  for (const entry of entries) {
    if (entry.term === term) continue;
    term = entry.term;
    runs.push({ firstIndex: entry.index, term });
  }
  return runs;
}

export class TermIndex {
  #offsetIndex = 0;
  #offsetTerm = 0;
  #lastIndex = 0;
  #runs: TermRun[] = [];

  get firstIndex(): number {
    return this.#offsetIndex + 1;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  get lastTerm(): number {
    return this.#runs.at(-1)?.term ?? this.#offsetTerm;
  }

  copy(): TermIndex {
    const copy = new TermIndex();
    copy.#offsetIndex = this.#offsetIndex;
    copy.#offsetTerm = this.#offsetTerm;
    copy.#lastIndex = this.#lastIndex;
    copy.#runs = this.#runs.slice();
    return copy;
  }

  /** Starts anew after an entry that is not in the log. */
  reset(index: number, term: number): void {
    this.#offsetIndex = index;
    this.#offsetTerm = term;
    this.#lastIndex = index;
    this.#runs = [];
  }

  /** Appends `count` entries given by their runs, replacing what stands at or after the first. */
  append(runs: readonly TermRun[], count: number): void {
    const first = runs[0]?.firstIndex ?? 0;
    assert(count > 0 && first > this.#offsetIndex, 'appended entries lie after the offset', first);
    assert(first <= this.#lastIndex + 1, 'appended entries leave no gap', first, this.#lastIndex);
    while (this.#runs.length > 0 && this.#runs.at(-1)!.firstIndex >= first) this.#runs.pop();
    for (const run of runs) if (run.term !== this.#runs.at(-1)?.term) this.#runs.push(run);
    this.#lastIndex = first + count - 1;
  }

  /** Forgets entries up to `index`, whose term stays known. */
  trim(index: number): void {
    if (index <= this.#offsetIndex) return;
    const term = this.term(index);
    assert(term !== undefined, 'the log is trimmed to an entry it has', index);
    const kept = this.#runs.filter((run) => run.firstIndex > index);
    const next = kept[0]?.firstIndex ?? this.#lastIndex + 1;
    if (next > index + 1) kept.unshift({ firstIndex: index + 1, term });
    this.#offsetIndex = index;
    this.#offsetTerm = term;
    this.#runs = kept;
  }

  /** Term at `index` in `[firstIndex - 1, lastIndex]`; undefined outside. */
  term(index: number): number | undefined {
    if (index === this.#offsetIndex) return this.#offsetTerm;
    if (index < this.#offsetIndex || index > this.#lastIndex) return undefined;
    let low = 0;
    let high = this.#runs.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#runs[middle]!.firstIndex <= index) low = middle;
      else high = middle;
    }
    return this.#runs[low]!.term;
  }
}
