/**
 * Where each durable entry lies: the reading half's map, kept by the caller's thread.
 *
 * One line per frame: (first index, segment, offset, length). Entry `i` is in the last frame whose first index is at or below
 * `i`; a frame that replaces a tail drops the lines it covers, and hides the rest of the frame it begins in:
 *
 *   frames  [90 seg1] [95 seg1] [98 seg2]        98.. replaced part of what frame 95 holds
 *   read 97 -> frame 95;  read 99 -> frame 98
 *
 * Invariant: first indexes ascend strictly; segments and offsets ascend with them.
 */
import { assert } from './assert.ts';
import { segmentName } from './segment-name.ts';
import { TermIndex, type TermRun } from './term-index.ts';
import type { SegmentInfo } from './wal.ts';

export interface FramePlace {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

/** What a durable frame did to the log. */
export interface FrameEffect {
  /** The log starts anew after this entry. */
  readonly restartAt: { readonly index: number; readonly term: number } | null;
  readonly runs: readonly TermRun[];
  readonly entryCount: number;
}

export class LogIndex {
  readonly terms = new TermIndex();
  #firstIndexes: number[] = [];
  #places: FramePlace[] = [];
  readonly #segments = new Map<number, { maxIndex: number; usedBytes: number }>();

  /** Number of the newest segment; 0 when there is none. */
  get newestSegment(): number {
    return [...this.#segments.keys()].at(-1) ?? 0;
  }

  get oldestSegment(): number {
    return this.#segments.keys().next().value ?? 0;
  }

  /** A segment exists, with `usedBytes` written. */
  addSegment(segment: number, usedBytes: number): void {
    this.#segments.set(segment, { maxIndex: 0, usedBytes });
  }

  apply(place: FramePlace, effect: FrameEffect): void {
    const segment = this.#segments.get(place.segment);
    assert(segment !== undefined, 'a frame lies in a known segment', place.segment);
    segment.usedBytes = place.offset + place.bytes;
    if (effect.restartAt !== null) {
      this.terms.reset(effect.restartAt.index, effect.restartAt.term);
      this.#firstIndexes = [];
      this.#places = [];
    }
    if (effect.entryCount === 0) return;
    const first = effect.runs[0]!.firstIndex;
    this.terms.append(effect.runs, effect.entryCount);
    let kept = this.#firstIndexes.length;
    while (kept > 0 && this.#firstIndexes[kept - 1]! >= first) kept--;
    this.#firstIndexes.length = kept;
    this.#places.length = kept;
    this.#firstIndexes.push(first);
    this.#places.push(place);
    segment.maxIndex = Math.max(segment.maxIndex, first + effect.entryCount - 1);
  }

  /** The frame holding entry `index`, and the index at which the next frame takes over. */
  find(index: number): { place: FramePlace; end: number } {
    let low = 0;
    let high = this.#firstIndexes.length;
    assert(high > 0 && this.#firstIndexes[0]! <= index, 'an index that is read lies in the log', index);
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#firstIndexes[middle]! <= index) low = middle;
      else high = middle;
    }
    return { place: this.#places[low]!, end: this.#firstIndexes[low + 1] ?? this.terms.lastIndex + 1 };
  }

  /** The segment before which all may go when entries up to `index` are not needed: never the newest. */
  releasableBelow(index: number): number {
    const numbers = [...this.#segments.keys()];
    let below = numbers[0] ?? 0;
    for (const [at, number] of numbers.entries()) {
      below = number;
      if (at === numbers.length - 1 || this.#segments.get(number)!.maxIndex > index) break;
    }
    return below;
  }

  /** Forgets segments below `segment` and the entries only they held. */
  dropBelow(segment: number): void {
    for (const number of [...this.#segments.keys()]) if (number < segment) this.#segments.delete(number);
    let dropped = 0;
    while (dropped < this.#places.length && this.#places[dropped]!.segment < segment) dropped++;
    if (dropped === 0) return;
    this.#firstIndexes.splice(0, dropped);
    this.#places.splice(0, dropped);
    this.terms.trim((this.#firstIndexes[0] ?? this.terms.lastIndex + 1) - 1);
  }

  segments(): SegmentInfo[] {
    return [...this.#segments].map(([number, segment]) => ({ file: segmentName(number), ...segment }));
  }
}
