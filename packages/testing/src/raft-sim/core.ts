/**
 * Who is left when the faults end: sometimes everybody, sometimes a core that has to do without the others.
 *
 * Raft promises progress to any majority that can talk (thesis §2.1), so nodes may stay down for good as long as the
 * rest has a majority of every configuration the run has known, in both halves: a node that starts again may begin with
 * an old one.
 */
import type { ConfState, NodeId } from '@quorate/raft';
import type { Random } from '../sim/random.ts';

/** Draws the nodes that stay down; none in half of the runs. */
export function drawAbsentees(
  nodes: readonly NodeId[],
  configurations: Iterable<ConfState>,
  random: Random,
): ReadonlySet<NodeId> {
  const absent = new Set<NodeId>();
  if (random.chance(0.5)) return absent;
  const halves = [...configurations].flatMap(({ voters, votersOutgoing }) => [voters, votersOutgoing]);
  for (const id of random.shuffle([...nodes])) {
    absent.add(id);
    const decided = (half: readonly NodeId[]) =>
      half.length === 0 || half.filter((each) => !absent.has(each)).length * 2 > half.length;
    if (!halves.every(decided)) absent.delete(id);
  }
  return absent;
}
