/**
 * Group commit: which waiting batches share a frame, and so a write and a sync.
 *
 * A frame holds one marker, one run of contiguous entries and one hard state. Batches join while that is enough: a batch
 * with a marker of its own, or one that replaces entries of the group, starts the next frame.
 *
 *   waiting  [7..8] [9] [hard state] [9..12]   ->  frame 7..9 + hard state,  frame 9..12
 *
 * Since the frame is the unit of checking, the batches of a group survive a crash together or not at all, and none of
 * them was acknowledged before all were durable.
 */
import type { BatchView } from './batch.ts';
import { copyBytes } from './copy.ts';
import { FLAG_HARD_STATE, FLAG_MARKER, FLAG_RESTART, FRAME_HEADER_BYTES } from './frame.ts';
import { HARD_STATE_BYTES } from './frame-body.ts';

/** Where a group stops growing: large enough to amortise a sync, small enough to keep the buffers in the cache. */
export const MAX_GROUP_BYTES = 4 * 1024 * 1024;

export interface Group {
  /** Number of batches in it. */
  readonly batchCount: number;
  readonly flags: number;
  readonly firstIndex: number;
  readonly entryCount: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly hardState: Buffer | null;
  readonly marker: Buffer | null;
  readonly contentBytes: number;
}

/** The longest joinable run of `batches` from `start`. */
export function planGroup(batches: readonly BatchView[], start: number): Group {
  let firstIndex = 0;
  let entryCount = 0;
  let hardState: Buffer | null = null;
  let bytes = FRAME_HEADER_BYTES + HARD_STATE_BYTES;
  let end = start;
  for (; end < batches.length; end++) {
    const batch = batches[end]!;
    const follows =
      entryCount === 0 || batch.entryCount === 0 || batch.firstIndex === firstIndex + entryCount;
    const fits = bytes + batch.entries.length <= MAX_GROUP_BYTES;
    if (end > start && (batch.marker !== null || !follows || !fits)) break;
    if (entryCount === 0) firstIndex = batch.firstIndex;
    entryCount += batch.entryCount;
    hardState = batch.hardState ?? hardState;
    bytes += batch.entries.length + (batch.marker === null ? 0 : 4 + batch.marker.length);
  }
  const last = batches[end - 1]!;
  const { marker, restart } = batches[start]!;
  return {
    batchCount: end - start,
    flags:
      (marker === null ? 0 : FLAG_MARKER) |
      (hardState === null ? 0 : FLAG_HARD_STATE) |
      (restart ? FLAG_RESTART : 0),
    firstIndex,
    entryCount,
    lastIndex: last.lastIndex,
    lastTerm: last.lastTerm,
    hardState,
    marker,
    contentBytes: bytes - (hardState === null ? HARD_STATE_BYTES : 0),
  };
}

/** Copies the group's body behind the room for a frame header; the order is that of `frame-body.ts`. */
export function fillGroup(target: Buffer, group: Group, batches: readonly BatchView[], start: number): void {
  let at = FRAME_HEADER_BYTES;
  if (group.marker !== null) {
    at = target.writeUInt32LE(group.marker.length, at);
    at += group.marker.copy(target, at);
  }
  if (group.hardState !== null) at += group.hardState.copy(target, at);
  for (let i = start; i < start + group.batchCount; i++) {
    const { entries } = batches[i]!;
    copyBytes(entries, target, at);
    at += entries.length;
  }
}
