/**
 * How many keys are live in a range now.
 *
 *   low ....|=========|=========|=========|.... high
 *    edge        runs of the count index       edge
 *
 * Runs: the index as of the last whole flush of heads, plus what the sealed and the active layer change. Edges: a native count of `head` as it is, plus the same, but of the sealed
 * layer only what is not on disk yet: a flush under way leaves a progress mark, read from the same snapshot as the count.
 */
import { compareBytes } from '../bytes.ts';
import { tableKey } from '../key-codec.ts';
import { progressOf, readHeads } from '../state.ts';
import { HEAD } from '../tables.ts';
import type { ReadView } from './view.ts';

/** Keys looked at in one go where native counts do not serve. */
const WALK_KEYS = 512;

/** Live keys in `[low, high)`. Time in proportion to the logarithm of the store, and to two runs. */
export function countNow(view: ReadView, low: Uint8Array, high: Uint8Array | null): number {
  if (high !== null && compareBytes(low, high) >= 0) return 0;
  const { blocks } = view;
  let first = blocks.blockOf(tableKey(low));
  // A run that begins exactly at `low` is whole; the one that holds `low` further in (perhaps inside its first bucket) is not.
  if (compareBytes(blocks.from(first), low) < 0) first++;
  const end = high === null ? blocks.count : blocks.blockOf(tableKey(high));
  if (first >= end) return countEdge(view, low, high);
  const from = blocks.from(first);
  const to = end === blocks.count ? null : blocks.from(end);
  let count = blocks.sumBetween(first, end) + view.heads.active.deltaBetween(from, to);
  if (view.heads.sealed !== null) count += view.heads.sealed.deltaBetween(from, to);
  if (compareBytes(low, from) < 0) count += countEdge(view, low, from);
  if (to !== null && (high === null || compareBytes(to, high) < 0)) count += countEdge(view, to, high);
  return count;
}

function countEdge(view: ReadView, low: Uint8Array, high: Uint8Array | null): number {
  if (view.longKeys) return countByWalk(view, low, high);
  const { heads, reader } = view;
  let count = reader.count('head', HEAD.physicalRange(low, high)) + heads.active.deltaBetween(low, high);
  // The snapshot may already hold the whole sealed layer: the writer's last commit is seen here before its report is.
  if (heads.sealed !== null && readHeads(reader).watermark < heads.sealedWatermark) {
    const progress = progressOf(reader, heads.sealedId);
    const from = progress !== null && compareBytes(progress, low) > 0 ? progress : low;
    if (high === null || compareBytes(from, high) < 0) count += heads.sealed.deltaBetween(from, high);
  }
  return count;
}

/** Where buckets of long keys make native counts wrong. */
function countByWalk(view: ReadView, low: Uint8Array, high: Uint8Array | null): number {
  let count = 0;
  let at: Uint8Array | null = low;
  while (at !== null) {
    const { items, next } = view.heads.scan(at, high, false, WALK_KEYS);
    count += items.length;
    at = next;
  }
  return count;
}
