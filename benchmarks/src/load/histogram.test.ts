import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram } from './histogram.ts';

describe('Histogram', () => {
  it('reads quantiles with an error below 1 %, never above the maximum', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 1, maxLength: 200 }),
        fc.constantFrom(0.5, 0.9, 0.99, 0.999, 1),
        (values, q) => {
          const histogram = new Histogram();
          for (const value of values) histogram.record(value);
          const exact = values.sort((a, b) => a - b)[Math.ceil(q * values.length) - 1] as number;
          const read = histogram.quantile(q);
          expect(read).toBeGreaterThanOrEqual(exact);
          expect(read).toBeLessThanOrEqual(Math.min(exact * 1.01 + 1, values.at(-1) as number));
        },
      ),
    );
  });

  it('adds up: two halves give what the whole gives', () => {
    const [low, high, whole] = [new Histogram(), new Histogram(), new Histogram()];
    for (let us = 1; us <= 1_000; us++) {
      (us <= 500 ? low : high).record(us);
      whole.record(us);
    }
    low.add(high);
    expect(low.summary()).toEqual(whole.summary());
    expect(whole.summary()).toMatchObject({ count: 1_000, meanUs: 500.5, maxUs: 1_000 });
  });
});
