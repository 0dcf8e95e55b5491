import { expect, test } from 'vitest';
import { jumpDepth } from './jump.ts';

test('jumps of the first nine records are those of the drawing', () => {
  expect([0, 1, 2, 3, 4, 5, 6, 7, 8].map(jumpDepth)).toEqual([-1, 0, 1, 0, 3, 4, 3, 0, 7]);
});

test('the arithmetic agrees with the rule of the paper, which needs the pointers', () => {
  // depth(p) - depth(jump p) = depth(jump p) - depth(jump jump p)  =>  jump(v) = jump jump p, else p.
  const jumps = [0, 0];
  for (let depth = 2; depth < 5_000; depth++) {
    const p = depth - 1;
    const j = jumps[p]!;
    const jj = jumps[j]!;
    jumps[depth] = p - j === j - jj ? jj : p;
    expect(jumpDepth(depth)).toBe(jumps[depth]);
  }
});

test('any of 100,000 versions is at most 3 log2(n) steps away', () => {
  let worst = 0;
  for (let target = 0; target < 100_000; target += 37) {
    let at = 99_999;
    let steps = 0;
    while (at !== target) {
      const jump = jumpDepth(at);
      at = jump >= target ? jump : at - 1;
      steps++;
    }
    worst = Math.max(worst, steps);
  }
  expect(worst).toBeLessThanOrEqual(3 * Math.log2(100_000));
});
