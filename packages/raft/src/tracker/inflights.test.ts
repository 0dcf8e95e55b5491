/** The inflight window against a plain list. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Inflights } from './inflights.ts';

describe('inflights', () => {
  it('is full at its count, and opens again with the first answer', () => {
    const inflights = new Inflights({ maxCount: 2, maxBytes: 1000 });
    inflights.add(5, 10);
    expect(inflights.full).toBe(false);
    inflights.add(9, 10);
    expect(inflights.full).toBe(true);
    // An answer between two appends frees the first only.
    inflights.freeTo(8);
    expect(inflights).toMatchObject({ full: false, count: 1, bytes: 10 });
  });

  it('is full at its bytes, but always has room for one append of any size', () => {
    const inflights = new Inflights({ maxCount: 10, maxBytes: 100 });
    inflights.add(1, 99);
    inflights.add(2, 5000);
    expect(inflights).toMatchObject({ full: true, bytes: 5099 });
    inflights.freeTo(2);
    expect(inflights).toMatchObject({ full: false, count: 0, bytes: 0 });
  });

  it('an answer to nothing changes nothing', () => {
    const inflights = new Inflights({ maxCount: 2, maxBytes: 100 });
    inflights.freeTo(7);
    inflights.add(8, 1);
    inflights.freeTo(7);
    expect(inflights.count).toBe(1);
  });

  it('refuses to take what it has no room for, and indexes that do not rise', () => {
    const inflights = new Inflights({ maxCount: 2, maxBytes: 100 });
    inflights.add(8, 1);
    expect(() => inflights.add(8, 1)).toThrow('inflights: indexes rise');
    inflights.add(9, 1);
    expect(() => inflights.add(10, 1)).toThrow('only while the window is open');
  });

  it('agrees with a list after any sequence of appends, answers and resets', () => {
    const command = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('add'), by: fc.integer({ min: 1, max: 3 }) }) },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('free'), by: fc.integer({ min: -2, max: 60 }) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset'), by: fc.constant(0) }) },
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const limits = { maxCount: 80, maxBytes: 150 };
        const inflights = new Inflights(limits);
        let list: { last: number; bytes: number }[] = [];
        let last = 0;
        for (const { kind, by } of commands) {
          const bytes = list.reduce((sum, each) => sum + each.bytes, 0);
          if (kind === 'add' && list.length < limits.maxCount && bytes < limits.maxBytes) {
            last += by;
            inflights.add(last, by);
            list.push({ last, bytes: by });
          } else if (kind === 'free') {
            const index = (list[0]?.last ?? last) + by;
            inflights.freeTo(index);
            list = list.filter((each) => each.last > index);
          } else if (kind === 'reset') {
            inflights.reset();
            list = [];
          }
          const sum = list.reduce((total, each) => total + each.bytes, 0);
          expect(inflights.count).toBe(list.length);
          expect(inflights.bytes).toBe(sum);
          expect(inflights.full).toBe(list.length >= limits.maxCount || sum >= limits.maxBytes);
        }
      }),
    );
  });
});
