/**
 * A batch between `append` and the writer: one flat piece of memory, so that it crosses to another thread as bytes.
 *
 *   0  length of the body                4  flags, as in a frame
 *   8  first index (f64)                 16 entry count
 *   20 length of the entries             24 length of the marker
 *   32 last index afterwards (f64)       40 its term (f64)
 *   48 the blocks of a frame with this batch alone: the body in place, room for stamps, header and displaced words
 *
 * So a batch that goes alone is never copied (`frame-writer.ts`). Where several share a frame, the writer copies their pieces without
 * looking inside; see `group.ts`.
 */
import type { Entry, HardState } from '@quorate/raft';
import { BLOCK_BYTES, blockCount, CONTENT_AT } from './blocks.ts';
import { FLAG_HARD_STATE, FLAG_MARKER, FLAG_RESTART, FRAME_HEADER_BYTES } from './frame.ts';
import { ENTRY_HEADER_BYTES, encodeEntries, encodeHardState, HARD_STATE_BYTES } from './frame-body.ts';

const BLOCKS_AT = 48;
const BODY_AT = BLOCKS_AT + CONTENT_AT + FRAME_HEADER_BYTES;

export interface BatchContent {
  readonly entries: readonly Entry[];
  readonly hardState: HardState | null;
  readonly marker: Buffer | null;
  /** The marker restarts the log. */
  readonly restart: boolean;
  /** The log's end after this batch. */
  readonly lastIndex: number;
  readonly lastTerm: number;
}

export interface BatchView {
  readonly firstIndex: number;
  readonly entryCount: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly restart: boolean;
  readonly hardState: Buffer | null;
  readonly marker: Buffer | null;
  readonly entries: Buffer;
  /** The frame of this batch alone, still to be sealed. */
  readonly blocks: Buffer;
}

/** A multiple of 8. */
export function batchBytes(content: BatchContent): number {
  let bodyBytes = content.marker === null ? 0 : 4 + content.marker.length;
  if (content.hardState !== null) bodyBytes += HARD_STATE_BYTES;
  for (const entry of content.entries) bodyBytes += ENTRY_HEADER_BYTES + entry.data.length;
  return BLOCKS_AT + blocksBytes(bodyBytes);
}

function blocksBytes(bodyBytes: number): number {
  return blockCount(FRAME_HEADER_BYTES + bodyBytes) * BLOCK_BYTES;
}

/** Writes the batch at the start of `target`, which has at least `batchBytes` bytes. */
export function encodeBatch(target: Buffer, content: BatchContent): void {
  let flags = 0;
  if (content.marker !== null) flags |= FLAG_MARKER;
  if (content.hardState !== null) flags |= FLAG_HARD_STATE;
  if (content.restart) flags |= FLAG_RESTART;
  target.writeUInt32LE(flags, 4);
  target.writeDoubleLE(content.entries[0]?.index ?? 0, 8);
  target.writeUInt32LE(content.entries.length, 16);
  target.writeUInt32LE(content.marker?.length ?? 0, 24);
  target.writeDoubleLE(content.lastIndex, 32);
  target.writeDoubleLE(content.lastTerm, 40);
  let at = BODY_AT;
  if (content.marker !== null) {
    at = target.writeUInt32LE(content.marker.length, at);
    target.set(content.marker, at);
    at += content.marker.length;
  }
  if (content.hardState !== null) {
    target.set(encodeHardState(content.hardState), at);
    at += HARD_STATE_BYTES;
  }
  const entriesAt = at;
  at = encodeEntries(target, at, content.entries);
  target.writeUInt32LE(at - entriesAt, 20);
  target.writeUInt32LE(at - BODY_AT, 0);
}

/** Views into `bytes`, valid as long as it is. */
export function viewBatch(bytes: Buffer): BatchView {
  const bodyBytes = bytes.readUInt32LE(0);
  const flags = bytes.readUInt32LE(4);
  const markerBytes = bytes.readUInt32LE(24);
  const hasMarker = (flags & FLAG_MARKER) !== 0;
  const markerAt = BODY_AT + 4;
  const hardStateAt = hasMarker ? markerAt + markerBytes : BODY_AT;
  const end = BODY_AT + bodyBytes;
  return {
    firstIndex: bytes.readDoubleLE(8),
    entryCount: bytes.readUInt32LE(16),
    lastIndex: bytes.readDoubleLE(32),
    lastTerm: bytes.readDoubleLE(40),
    restart: (flags & FLAG_RESTART) !== 0,
    hardState:
      (flags & FLAG_HARD_STATE) !== 0 ? bytes.subarray(hardStateAt, hardStateAt + HARD_STATE_BYTES) : null,
    marker: hasMarker ? bytes.subarray(markerAt, hardStateAt) : null,
    entries: bytes.subarray(end - bytes.readUInt32LE(20), end),
    blocks: bytes.subarray(BLOCKS_AT, BLOCKS_AT + blocksBytes(bodyBytes)),
  };
}
