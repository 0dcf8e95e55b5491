/** Who may stay down: never so many that a configuration of the run has lost its majority. */
import { EMPTY_CONF } from '@quorate/raft';
import { expect, it } from 'vitest';
import { Random } from '../sim/random.ts';
import { drawAbsentees } from './core.ts';

it('what is left has a majority of each half of each configuration, and all the others stay down', () => {
  const nodes = [1n, 2n, 3n, 4n, 5n, 6n];
  const joint = { ...EMPTY_CONF, voters: [3n, 4n, 5n], votersOutgoing: [1n, 2n, 3n] };
  const sizes = new Set<number>();
  for (let seed = 0; seed < 200; seed++) {
    const absent = drawAbsentees(nodes, [{ ...EMPTY_CONF, voters: [1n, 2n, 3n] }, joint], new Random(seed));
    for (const half of [joint.voters, joint.votersOutgoing]) {
      expect(half.filter((id) => absent.has(id)).length).toBeLessThanOrEqual(1);
    }
    sizes.add(absent.size);
  }
  // Nobody; one voter of both halves and the node that votes nowhere; one of each half and that node.
  expect([...sizes].sort()).toEqual([0, 2, 3]);
});
