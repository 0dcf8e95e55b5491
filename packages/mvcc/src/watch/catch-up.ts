/**
 * Watches that are behind, and the walks that bring them back.
 *
 * A *walk* is a cursor that moves through the store's history towards the head, slice by slice, and feeds every watch
 * that joined it: one read serves many. A watch joins a walk that is at its position or a little before it, else it
 * begins one. Walks that come close to each other merge. The walks take turns, the one nearest to the head first in
 * each round of turns, so that a client that missed a second need not wait for one that missed a day.
 *
 *      history   10 ........ 500 .... 520 ................... 9000 | head
 *      walk A    10▶ (2 watches)
 *      walk B                500▶ (7 watches; one that is at 520 joined, and gets nothing before 520)
 *
 * When a walk reaches the live cursor its watches move into the live set, some at a time; those that still wait are
 * fed by the walk meanwhile. Nothing is skipped: a watch moves with the walk's cursor as its position, and the live
 * cursor is not beyond it.
 */

import { assert } from '../assert.ts';
import type { EventBatch } from '../types.ts';
import type { LiveSet } from './live.ts';
import { Matcher } from './matcher.ts';
import { type Delivery, Round } from './round.ts';
import type { WatchRuntime, WatchSource } from './types.ts';
import type { Watch, WatchHome } from './watch.ts';

/** A watch that is this many revisions beyond a walk's cursor joins it: about what one slice reads. */
const NEARBY_REVISIONS = 1_000;
/** Most revisions in one catch-up response, as clients of the original see it (sem-116). */
const MAX_ROUND_REVISIONS = 1_000;
/** A round ends after this many matches: a bound on its memory when every watch wants every event. */
const MAX_ROUND_MATCHES = 20_000;
/** Watches that change their home in one slice. */
const MOVES_PER_SLICE = 2_000;

class Walk implements WatchHome {
  readonly matcher: Matcher;
  readonly members = new Set<Watch>();
  #cursor: number;
  /** Found but not all handed over yet. */
  round: { readonly round: Round; readonly headerRevision: number } | null = null;

  constructor(cursor: number, randomInt: (bound: number) => number) {
    this.#cursor = cursor;
    this.matcher = new Matcher(randomInt);
  }

  get cursor(): number {
    return this.#cursor;
  }

  advanceTo(revision: number): void {
    assert(revision >= this.#cursor, 'a walk moves towards the head', revision, this.#cursor);
    this.#cursor = revision;
  }

  add(watch: Watch): void {
    watch.state = 'catching-up';
    watch.home = this;
    this.matcher.add(watch);
    this.members.add(watch);
  }

  remove(watch: Watch): void {
    this.matcher.delete(watch);
    this.members.delete(watch);
    watch.home = null;
    watch.group = null;
  }
}

export interface CatchUpOptions {
  readonly source: WatchSource;
  readonly runtime: WatchRuntime;
  readonly delivery: Delivery;
  readonly live: LiveSet;
  readonly sliceMs: number;
  readonly sliceBytes: number;
  readonly onCompacted: (watch: Watch) => void;
}

export class CatchUp {
  readonly #options: CatchUpOptions;
  readonly #randomInt: (bound: number) => number;
  #walks: Walk[] = [];
  /** Walks that have their turn still to come in this round of turns. */
  #turns: Walk[] = [];

  constructor(options: CatchUpOptions) {
    this.#options = options;
    this.#randomInt = (bound) => options.runtime.randomInt(bound);
  }

  get idle(): boolean {
    return this.#walks.length === 0;
  }

  /** Number of walks: tests see by it that reads are shared. */
  get walkCount(): number {
    return this.#walks.length;
  }

  /** Takes in a watch at `watch.next`. */
  add(watch: Watch): void {
    let best: Walk | null = null;
    for (const walk of this.#walks) {
      if (walk.cursor > watch.next || watch.next - walk.cursor > NEARBY_REVISIONS) continue;
      if (best === null || walk.cursor > best.cursor) best = walk;
    }
    if (best === null) {
      best = new Walk(watch.next, this.#randomInt);
      this.#walks.push(best);
    }
    best.add(watch);
  }

  /** Runs one slice of one walk. */
  runSlice(): void {
    const walk = this.#nextTurn();
    if (walk === null) return;
    const { delivery, runtime, live, sliceMs } = this.#options;
    const deadlineMs = runtime.monotonicMs() + sliceMs;
    if (walk.round === null) this.#read(walk);
    if (walk.round !== null) {
      const { round, headerRevision } = walk.round;
      if (!round.deliver(delivery, headerRevision, walk.cursor, deadlineMs)) return;
      walk.round = null;
    }
    if (walk.cursor >= live.cursor) this.#moveToLive(walk);
  }

  /** Reads the walk's next events and matches them; none at the head. */
  #read(walk: Walk): void {
    const { source, sliceBytes } = this.#options;
    this.#absorbNeighbours(walk);
    if (walk.cursor < source.compactRevision) this.#passCompaction(walk);
    if (walk.members.size === 0 || walk.cursor > source.revision) return;
    const headerRevision = source.revision;
    const { batches, next } = source.readEvents(walk.cursor, sliceBytes);
    const round = new Round(source);
    let matchCount = 0;
    let used = 0;
    for (const batch of batches) {
      matchCount += round.match(batch, walk.matcher);
      used += 1;
      if (matchCount >= MAX_ROUND_MATCHES || used >= MAX_ROUND_REVISIONS) break;
    }
    walk.advanceTo(used === batches.length ? next : (batches[used - 1] as EventBatch).revision + 1);
    walk.round = { round, headerRevision };
  }

  /** Watches that need history below the compact revision end; a watch at the compact revision is served (sem-111). */
  #passCompaction(walk: Walk): void {
    const { compactRevision } = this.#options.source;
    for (const watch of walk.members) {
      if (Math.max(watch.next, walk.cursor) < compactRevision) this.#options.onCompacted(watch);
    }
    walk.advanceTo(compactRevision);
  }

  /** Takes over the watches of small walks that are just ahead. */
  #absorbNeighbours(walk: Walk): void {
    for (const other of this.#walks) {
      const ahead = other.cursor - walk.cursor;
      if (other === walk || ahead < 0 || ahead > NEARBY_REVISIONS) continue;
      if (other.round !== null || other.members.size > MOVES_PER_SLICE) continue;
      for (const watch of [...other.members]) {
        watch.next = Math.max(watch.next, other.cursor);
        other.remove(watch);
        walk.add(watch);
      }
    }
  }

  #moveToLive(walk: Walk): void {
    const { live } = this.#options;
    let moved = 0;
    for (const watch of walk.members) {
      if (moved === MOVES_PER_SLICE) return;
      moved += 1;
      watch.next = Math.max(watch.next, walk.cursor);
      walk.remove(watch);
      live.add(watch);
    }
  }

  #nextTurn(): Walk | null {
    this.#walks = this.#walks.filter((walk) => walk.members.size > 0);
    while (true) {
      const walk = this.#turns.pop();
      if (walk === undefined) {
        if (this.#walks.length === 0) return null;
        // Popped from the end: the greatest cursor, nearest to the head, goes first.
        this.#turns = [...this.#walks].sort((one, other) => one.cursor - other.cursor);
      } else if (walk.members.size > 0) {
        return walk;
      }
    }
  }
}
