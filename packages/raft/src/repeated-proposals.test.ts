/**
 * Which messages of proposals count as repeated.
 */
import { describe, expect, it } from 'vitest';
import { RepeatedProposals } from './repeated-proposals.ts';

const LIFE = 7n << 32n;

describe('repeated proposals', () => {
  it('a number counts once, in whatever order numbers come', () => {
    const seen = new RepeatedProposals();
    for (const number of [2n, 1n, 5n, 3n]) expect(seen.taken(1n, LIFE | number)).toBe(false);
    for (const number of [1n, 2n, 3n, 5n]) expect(seen.taken(1n, LIFE | number)).toBe(true);
    expect(seen.taken(1n, LIFE | 4n)).toBe(false);
  });

  it('senders and their lives do not mix', () => {
    const seen = new RepeatedProposals();
    expect(seen.taken(1n, LIFE | 1n)).toBe(false);
    expect(seen.taken(2n, LIFE | 1n)).toBe(false);
    expect(seen.taken(1n, (8n << 32n) | 1n)).toBe(false);
    expect(seen.taken(1n, LIFE | 1n)).toBe(true);
  });

  it('what is far behind counts as repeated, however long it goes on', () => {
    const seen = new RepeatedProposals();
    for (let number = 1n; number <= 10_000n; number += 1n) expect(seen.taken(1n, LIFE | number)).toBe(false);
    for (let number = 1n; number <= 10_000n; number += 1n) expect(seen.taken(1n, LIFE | number)).toBe(true);
  });

  it('messages without a number are always new', () => {
    const seen = new RepeatedProposals();
    expect(seen.taken(1n, 0n)).toBe(false);
    expect(seen.taken(1n, 0n)).toBe(false);
  });
});
