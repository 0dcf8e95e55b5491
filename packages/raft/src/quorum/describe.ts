/**
 * Draws who has reached what, for people and for scenario transcripts.
 *
 *     1 xxxx>      4
 *     2 xx>        2
 *     3 ?          0
 */
import type { NodeId } from '../types.ts';
import { type JointVoters, jointReached } from './joint.ts';

/**
 * One bar per voter; `?` for one not heard from. The last line says what the (joint) majority has reached.
 * Thesis §3.6.2, §4.3.
 */
export function describeReached(joint: JointVoters, reached: ReadonlyMap<NodeId, number>): string {
  const ids = [...new Set([...joint.voters, ...joint.votersOutgoing])].sort((a, b) => (a < b ? -1 : 1));
  const values = [...new Set(ids.map((id) => reached.get(id) ?? 0))].sort((a, b) => a - b);
  const width = values.length;
  const lines = ids.map((id) => {
    const value = reached.get(id);
    const bar = value === undefined ? '?' : `${'x'.repeat(values.indexOf(value))}>`;
    return `${id} ${bar.padEnd(width + 1)} ${value ?? 0}`;
  });
  return [...lines, `reached ${jointReached(joint, (id) => reached.get(id) ?? 0)}`].join('\n');
}
