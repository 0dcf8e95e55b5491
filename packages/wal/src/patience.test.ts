import { expect, it } from 'vitest';
import { type Bell, Patience } from './patience.ts';

/** Rings after a given time; tells whether it rang while it was looked at, or had to wake somebody. */
function setUp() {
  const clock = { nowMs: 0 };
  let ringsAtMs = 0;
  let slept = false;
  const bell: Bell = {
    wakeCount: () => (clock.nowMs >= ringsAtMs ? 1 : 0),
    sleep: (count, timeoutMs = Number.POSITIVE_INFINITY) => {
      if (bell.wakeCount() !== count) return true;
      slept = true;
      const untilMs = Math.min(ringsAtMs, clock.nowMs + timeoutMs);
      clock.nowMs = untilMs;
      return untilMs === ringsAtMs;
    },
  };
  const patience = new Patience(bell, () => {
    clock.nowMs += 0.001;
    return clock.nowMs;
  });
  return (gapMs: number, timeoutMs?: number): string => {
    ringsAtMs = clock.nowMs + gapMs;
    slept = false;
    const woken = patience.wait(0, timeoutMs);
    return slept ? (woken ? 'slept' : 'timed out') : 'looked';
  };
}

it('looks before sleeping once eight waits in a row were short', () => {
  const wait = setUp();
  const ways = Array.from({ length: 10 }, () => wait(0.1));
  expect(ways).toEqual([...Array.from({ length: 8 }, () => 'slept'), 'looked', 'looked']);
});

it('stops looking after one long wait, whose begin alone it was awake', () => {
  const wait = setUp();
  for (let i = 0; i < 8; i++) wait(0.1);
  expect(wait(5)).toBe('slept');
  for (let i = 0; i < 8; i++) expect(wait(0.1)).toBe('slept');
  expect(wait(0.1)).toBe('looked');
});

it('never looks where work is rare, or none comes in time', () => {
  const wait = setUp();
  for (let i = 0; i < 20; i++) expect(wait(0.3)).toBe('slept');
  for (let i = 0; i < 20; i++) expect(wait(20, 0.1)).toBe('timed out');
  expect(wait(0.1)).toBe('slept');
});
