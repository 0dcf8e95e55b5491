/**
 * Majorities: what a set of voters has agreed on.
 *
 * A leaf concept: no messages, no roles. An empty set of voters agrees to everything, so that the unused half of a
 * joint configuration never holds anything up. Read next: `joint.ts`.
 */
import type { NodeId } from '../types.ts';

/** `pending` while the missing votes could still decide either way. */
export type VoteResult = 'won' | 'lost' | 'pending';

/** How many voters make a majority of `voterCount`. */
export function majority(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/**
 * Highest number that a majority of voters has reached: of match indexes the committed one, of read rounds the
 * confirmed one.
 *
 *     voters   a  b  c  d  e
 *     reached  9  7  7  3  0     sorted 0 3 7 7 9; three of five have reached 7, only one has reached 9
 *
 * @param reached number per voter; a voter not heard from counts as 0
 * @returns never decreasing while no `reached` decreases; `Infinity` for no voters
 * Source: thesis §3.6.2 (the caller still checks that the entry is of its own term).
 */
export function majorityReached(voters: readonly NodeId[], reached: (id: NodeId) => number): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  const sorted: number[] = [];
  for (const id of voters) {
    // Insertion keeps the handful of values in order without the cost of a comparator.
    const value = reached(id);
    let place = sorted.length;
    while (place > 0 && sorted[place - 1]! > value) {
      sorted[place] = sorted[place - 1]!;
      place -= 1;
    }
    sorted[place] = value;
  }
  return sorted[voters.length - majority(voters.length)]!;
}

/** The result of an election among `voters` (thesis §3.4); `vote` is undefined while a voter has not answered. */
export function majorityVote(
  voters: readonly NodeId[],
  vote: (id: NodeId) => boolean | undefined,
): VoteResult {
  if (voters.length === 0) return 'won';
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const answer = vote(id);
    if (answer === undefined) missing += 1;
    else if (answer) granted += 1;
  }
  const needed = majority(voters.length);
  if (granted >= needed) return 'won';
  return granted + missing >= needed ? 'pending' : 'lost';
}
