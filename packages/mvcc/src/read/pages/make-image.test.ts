/** What one image costs at most, however the keys lie that it is made of. */
import { expect, test } from 'vitest';
import type { ReadView } from '../view.ts';
import { makeImage } from './make-image.ts';

const keyOf = (at: number): Uint8Array => Buffer.from(`k${String(at).padStart(6, '0')}`);

test('an image ends after some scans of nothing but deleted keys, and the next one goes on there', () => {
  // A run of 10,000 deleted keys: each scan looks at as many as it may, and finds none that lives.
  const deleted = 10_000;
  let scans = 0;
  let at = 0;
  const view = {
    revision: 9,
    heads: {
      scan(low: Uint8Array, _high: Uint8Array | null, _dead: boolean, most: number) {
        expect(low).toEqual(keyOf(at));
        scans++;
        at += most;
        return { items: [], next: at < deleted ? keyOf(at) : null };
      },
    },
  } as unknown as ReadView;

  const scansOfEach: number[] = [];
  for (let from: Uint8Array | null = keyOf(0); from !== null; ) {
    scans = 0;
    const { image, end }: ReturnType<typeof makeImage> = makeImage(view, from, null, 64);
    expect(image.count).toBe(0);
    scansOfEach.push(scans);
    from = end;
  }
  expect(at).toBeGreaterThanOrEqual(deleted);
  expect(scansOfEach.length).toBeGreaterThan(1);
  expect(Math.max(...scansOfEach)).toBeLessThanOrEqual(32);
});
