/**
 * A batch between `append` and the writer: one flat piece of memory, so that it crosses to another thread as bytes.
 *
 *   0  total length, a multiple of 8     4  flags, as in a frame
 *   8  first index (f64)                 16 entry count
 *   20 length of the entries             24 length of the marker
 *   32 last index afterwards (f64)       40 its term (f64)
 *   48 hard state, 24 bytes              72 marker, then entries, as they go into a frame's body
 *
 * The writer copies the pieces into a frame without looking inside; see `group.ts`.
 */
import type { Entry, HardState } from '@quorate/raft';
import { FLAG_HARD_STATE, FLAG_MARKER, FLAG_RESTART } from './frame.ts';
import { ENTRY_HEADER_BYTES, encodeEntry, encodeHardState, HARD_STATE_BYTES } from './frame-body.ts';

const HARD_STATE_AT = 48;
const PIECES_AT = HARD_STATE_AT + HARD_STATE_BYTES;

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
}

export function batchBytes(content: BatchContent): number {
  let bytes = PIECES_AT + (content.marker?.length ?? 0);
  for (const entry of content.entries) bytes += ENTRY_HEADER_BYTES + entry.data.length;
  return (bytes + 7) & ~7;
}

/** Writes the batch at the start of `target`, which has at least `batchBytes` bytes. */
export function encodeBatch(target: Buffer, content: BatchContent, totalBytes: number): void {
  let flags = 0;
  if (content.marker !== null) flags |= FLAG_MARKER;
  if (content.hardState !== null) flags |= FLAG_HARD_STATE;
  if (content.restart) flags |= FLAG_RESTART;
  target.writeUInt32LE(totalBytes, 0);
  target.writeUInt32LE(flags, 4);
  target.writeDoubleLE(content.entries[0]?.index ?? 0, 8);
  target.writeUInt32LE(content.entries.length, 16);
  target.writeUInt32LE(content.marker?.length ?? 0, 24);
  target.writeDoubleLE(content.lastIndex, 32);
  target.writeDoubleLE(content.lastTerm, 40);
  if (content.hardState !== null) target.set(encodeHardState(content.hardState), HARD_STATE_AT);
  let at = PIECES_AT;
  if (content.marker !== null) {
    target.set(content.marker, at);
    at += content.marker.length;
  }
  const entriesAt = at;
  for (const entry of content.entries) at = encodeEntry(target, at, entry);
  target.writeUInt32LE(at - entriesAt, 20);
}

/** Views into `bytes`, valid as long as it is. */
export function viewBatch(bytes: Buffer): BatchView {
  const flags = bytes.readUInt32LE(4);
  const entriesBytes = bytes.readUInt32LE(20);
  const markerBytes = bytes.readUInt32LE(24);
  const entriesAt = PIECES_AT + markerBytes;
  return {
    firstIndex: bytes.readDoubleLE(8),
    entryCount: bytes.readUInt32LE(16),
    lastIndex: bytes.readDoubleLE(32),
    lastTerm: bytes.readDoubleLE(40),
    restart: (flags & FLAG_RESTART) !== 0,
    hardState: (flags & FLAG_HARD_STATE) !== 0 ? bytes.subarray(HARD_STATE_AT, PIECES_AT) : null,
    marker: (flags & FLAG_MARKER) !== 0 ? bytes.subarray(PIECES_AT, entriesAt) : null,
    entries: bytes.subarray(entriesAt, entriesAt + entriesBytes),
  };
}
