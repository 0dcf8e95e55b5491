/** Quorum arithmetic against an oracle that is obviously right and slow. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeReached } from './describe.ts';
import { jointReached, jointVote } from './joint.ts';
import { majorityReached, majorityVote } from './majority.ts';

const ids = fc.uniqueArray(fc.bigInt({ min: 1n, max: 9n }), { maxLength: 9 });
const numbers = fc.array(fc.nat({ max: 12 }), { minLength: 10, maxLength: 10 });

/** Tries every candidate value and counts heads. */
function naiveReached(voters: readonly bigint[], reached: (id: bigint) => number): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY;
  let best = 0;
  for (let value = 0; value <= 12; value += 1) {
    const count = voters.filter((id) => reached(id) >= value).length;
    if (count * 2 > voters.length) best = value;
  }
  return best;
}

/** Imagines every way in which the missing votes could fall. */
function naiveVote(voters: readonly bigint[], vote: (id: bigint) => boolean | undefined): string {
  if (voters.length === 0) return 'won';
  const wins = (missing: boolean) => voters.filter((id) => vote(id) ?? missing).length * 2 > voters.length;
  if (wins(false)) return 'won';
  return wins(true) ? 'pending' : 'lost';
}

describe('quorum', () => {
  it('reached equals the naive oracle, 50,000 times', () => {
    fc.assert(
      fc.property(ids, ids, numbers, (incoming, outgoing, values) => {
        const reached = (id: bigint) => values[Number(id)]!;
        expect(majorityReached(incoming, reached)).toBe(naiveReached(incoming, reached));
        expect(jointReached({ voters: incoming, votersOutgoing: outgoing }, reached)).toBe(
          Math.min(naiveReached(incoming, reached), naiveReached(outgoing, reached)),
        );
      }),
      { numRuns: 50_000 },
    );
  });

  it('votes equal the naive oracle, and a joint election is won in both halves, 50,000 times', () => {
    const votes = fc.array(fc.constantFrom(true, false, undefined), { minLength: 10, maxLength: 10 });
    fc.assert(
      fc.property(ids, ids, votes, (incoming, outgoing, answers) => {
        const vote = (id: bigint) => answers[Number(id)];
        const halves = [naiveVote(incoming, vote), naiveVote(outgoing, vote)];
        const joint = halves.includes('lost') ? 'lost' : halves.includes('pending') ? 'pending' : 'won';
        expect(majorityVote(incoming, vote)).toBe(halves[0]);
        expect(jointVote({ voters: incoming, votersOutgoing: outgoing }, vote)).toBe(joint);
      }),
      { numRuns: 50_000 },
    );
  });

  it('two majorities of one configuration always share a voter (thesis §3.4)', () => {
    for (let size = 1; size <= 9; size += 1) {
      const voters = Array.from({ length: size }, (_, position) => BigInt(position + 1));
      for (let mask = 0; mask < 1 << size; mask += 1) {
        const inside = (id: bigint) => (mask & (1 << (Number(id) - 1))) !== 0;
        const both =
          majorityVote(voters, inside) === 'won' && majorityVote(voters, (id) => !inside(id)) === 'won';
        expect(both).toBe(false);
      }
    }
  });

  it('is drawn as bars', () => {
    const reached = new Map([
      [1n, 9],
      [2n, 7],
    ]);
    expect(describeReached({ voters: [1n, 2n, 3n], votersOutgoing: [] }, reached)).toBe(
      '1 xx>  9\n2 x>   7\n3 ?    0\nreached 7',
    );
  });
});
