/** The progress machine of the header of `progress.ts`, edge by edge, then all at random. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Inflights } from './inflights.ts';
import { Progress } from './progress.ts';

function progressAt(next: number, maxCount = 3): Progress {
  return new Progress({ next, learner: false, inflights: new Inflights({ maxCount, maxBytes: 1000 }) });
}

/** A follower known to hold everything up to `match`, to which appends are pipelined. */
function replicating(match: number): Progress {
  const progress = progressAt(match + 1);
  progress.maybeAdvance(match);
  progress.becomeReplicate();
  return progress;
}

describe('probe', () => {
  it('sends one append and waits for its answer', () => {
    const progress = progressAt(5);
    expect(progress.paused).toBe(false);
    progress.sent(2, 6, 20);
    expect(progress).toMatchObject({ paused: true, next: 5 });
    progress.maybeAdvance(6);
    expect(progress).toMatchObject({ paused: false, match: 6, next: 7 });
  });

  it('an append without entries is a probe like any other', () => {
    const progress = progressAt(5);
    progress.appendWanted = true;
    progress.sent(0, 4, 0);
    expect(progress).toMatchObject({ paused: true, appendWanted: false });
  });

  it('a refusal moves it back to the hint, and only once', () => {
    const progress = progressAt(10);
    progress.sent(0, 9, 0);
    expect(progress.maybeRetreat(9, 4)).toBe(true);
    expect(progress).toMatchObject({ next: 5, paused: false });
    // The same refusal again: nobody was asked about 9 since.
    expect(progress.maybeRetreat(9, 4)).toBe(false);
    expect(progress.next).toBe(5);
  });

  it.each([
    { hint: 20, next: 9, why: 'a hint beyond what was refused still moves back by one' },
    { hint: 0, next: 4, why: 'a hint below the match would ask for what is known' },
  ])('$why', ({ hint, next }) => {
    const progress = progressAt(10);
    progress.match = 3;
    expect(progress.maybeRetreat(9, hint)).toBe(true);
    expect(progress.next).toBe(next);
  });

  it('forgets what it told of the commit index beyond the place it goes back to', () => {
    const progress = progressAt(10);
    progress.sentCommit = 9;
    progress.maybeRetreat(9, 4);
    expect(progress.sentCommit).toBe(4);
  });
});

describe('replicate', () => {
  it('runs ahead of the answers until the window is full', () => {
    const progress = replicating(4);
    for (const last of [5, 7, 8]) progress.sent(1, last, 10);
    expect(progress).toMatchObject({ match: 4, next: 9, paused: true });
    progress.maybeAdvance(7);
    progress.inflights.freeTo(7);
    expect(progress).toMatchObject({ match: 7, next: 9, paused: false });
  });

  it('a refusal at or below the match is an old one', () => {
    const progress = replicating(4);
    expect(progress.maybeRetreat(4, 1)).toBe(false);
    expect(progress).toMatchObject({ match: 4, next: 5 });
  });

  it('a refusal above goes back to the match, whatever the hint', () => {
    const progress = replicating(4);
    progress.sent(3, 7, 10);
    expect(progress.maybeRetreat(7, 1)).toBe(true);
    expect(progress.next).toBe(5);
  });

  it('becoming a probe empties the window', () => {
    const progress = replicating(4);
    for (const last of [5, 6, 7]) progress.sent(1, last, 10);
    progress.becomeProbe();
    expect(progress).toMatchObject({ state: 'probe', next: 5, paused: false });
    expect(progress.inflights.count).toBe(0);
  });
});

describe('snapshot', () => {
  it('nothing is sent meanwhile, and refusals are old', () => {
    const progress = progressAt(3);
    progress.becomeSnapshot(20);
    expect(progress).toMatchObject({ paused: true, next: 21, pendingSnapshot: 20 });
    expect(progress.maybeRetreat(20, 2)).toBe(false);
    expect(() => progress.sent(1, 21, 5)).toThrow('nothing is appended while a snapshot is on its way');
  });

  it('delivered: goes on behind it, even if the answer got lost', () => {
    const progress = progressAt(3);
    progress.becomeSnapshot(20);
    progress.becomeProbe();
    expect(progress).toMatchObject({ state: 'probe', next: 21, match: 0, pendingSnapshot: 0 });
  });

  it('failed: goes back to the match', () => {
    const progress = replicating(2);
    progress.becomeSnapshot(20);
    progress.pendingSnapshot = 0;
    progress.becomeProbe();
    expect(progress).toMatchObject({ next: 3, sentCommit: 2 });
  });
});

describe('always', () => {
  it('an old acceptance is no news', () => {
    const progress = replicating(4);
    expect(progress.maybeAdvance(4)).toBe(false);
    expect(progress.maybeAdvance(2)).toBe(false);
    expect(progress.match).toBe(4);
  });

  it('0 <= match < next, and the match never falls, whatever happens in whatever order', () => {
    const index = fc.integer({ min: 0, max: 30 });
    const event = fc.tuple(
      fc.constantFrom('accept', 'refuse', 'send', 'probe', 'replicate', 'snapshot', 'failed'),
      index,
      index,
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.array(event, { maxLength: 100 }), (next, events) => {
        const progress = progressAt(next);
        for (const [what, a, b] of events) {
          const before = progress.match;
          if (what === 'accept') progress.maybeAdvance(a);
          else if (what === 'refuse') {
            // What is on its way is of no use after a refusal: its owner probes.
            if (progress.maybeRetreat(a, b) && progress.state === 'replicate') progress.becomeProbe();
          } else if (what === 'send' && !progress.paused)
            progress.sent(a % 4, progress.next - 1 + (a % 4), b);
          else if (what === 'probe') progress.becomeProbe();
          else if (what === 'replicate') progress.becomeReplicate();
          else if (what === 'snapshot') progress.becomeSnapshot(Math.max(a, progress.match));
          else if (what === 'failed') progress.pendingSnapshot = 0;
          expect(progress.match).toBeGreaterThanOrEqual(before);
          expect(progress.next).toBeGreaterThan(progress.match);
          if (progress.state !== 'replicate') expect(progress.inflights.count).toBe(0);
        }
      }),
    );
  });
});
