/**
 * What stands in a frame's body.
 *
 * Log frame (kind 2), in this order:
 *   snapshot marker  (flag 1)   length 4, then `encodeMarker`
 *   hard state       (flag 2)   term 8, vote 8, commit 8
 *   entries          data length 4, type 4, term 8, data; indexes ascend by one from the header's first index
 *
 * Segment header (kind 1), the first frame of each file: everything needed to go on without the files before it.
 *   magic 8 "QUORATEW", version 4, zero 4, segment number 8, last index 8, its term 8,
 *   length 4 + hard state (0 or 24), length 4 + snapshot marker, length 4 + metadata
 *
 * Decoders return null for what cannot be: the caller knows the file and offset, and says so. They never allocate by a
 * length before they have seen that the bytes are there.
 */
import type { ConfState, Entry, EntryType, HardState, SnapshotMeta } from '@quorate/raft';
import { assert } from './assert.ts';
import { copyBytes } from './copy.ts';
import {
  FLAG_HARD_STATE,
  FLAG_MARKER,
  type FrameHeader,
  readSafeInteger,
  writeSafeInteger,
} from './frame.ts';

export const FORMAT_VERSION = 2;
export const MAGIC = Buffer.from('QUORATEW', 'latin1');
export const ENTRY_HEADER_BYTES = 16;
export const HARD_STATE_BYTES = 24;
/** Metadata a host may attach. */
export const MAX_METADATA_BYTES = 64 * 1024;

export function encodeHardState(state: HardState): Buffer {
  const bytes = Buffer.allocUnsafe(HARD_STATE_BYTES);
  writeSafeInteger(bytes, 0, state.term);
  bytes.writeBigUInt64LE(state.vote, 8);
  writeSafeInteger(bytes, 16, state.commit);
  return bytes;
}

export function decodeHardState(bytes: Buffer): HardState | null {
  if (bytes.length !== HARD_STATE_BYTES) return null;
  const term = readSafeInteger(bytes, 0);
  const commit = readSafeInteger(bytes, 16);
  if (term === null || commit === null) return null;
  return { term, vote: bytes.readBigUInt64LE(8), commit };
}

/** index 8, term 8, autoLeave 4, then four id lists (voters, outgoing, learners, next learners): count 4, ids 8 each. */
export function encodeMarker(meta: SnapshotMeta): Buffer {
  const lists = confLists(meta.conf);
  const idCount = lists.reduce((sum, list) => sum + list.length, 0);
  const bytes = Buffer.allocUnsafe(20 + 4 * lists.length + 8 * idCount);
  writeSafeInteger(bytes, 0, meta.index);
  writeSafeInteger(bytes, 8, meta.term);
  bytes.writeUInt32LE(meta.conf.autoLeave ? 1 : 0, 16);
  let at = 20;
  for (const list of lists) {
    at = bytes.writeUInt32LE(list.length, at);
    for (const id of list) at = bytes.writeBigUInt64LE(id, at);
  }
  return bytes;
}

export function decodeMarker(bytes: Buffer): SnapshotMeta | null {
  if (bytes.length < 20) return null;
  const index = readSafeInteger(bytes, 0);
  const term = readSafeInteger(bytes, 8);
  const autoLeave = bytes.readUInt32LE(16);
  if (index === null || term === null || autoLeave > 1) return null;
  const lists: bigint[][] = [];
  let at = 20;
  for (let i = 0; i < 4; i++) {
    if (bytes.length - at < 4) return null;
    const count = bytes.readUInt32LE(at);
    at += 4;
    if (count > (bytes.length - at) / 8) return null;
    const ids: bigint[] = [];
    for (let k = 0; k < count; k++, at += 8) ids.push(bytes.readBigUInt64LE(at));
    lists.push(ids);
  }
  if (at !== bytes.length) return null;
  const [voters, votersOutgoing, learners, learnersNext] = lists as [bigint[], bigint[], bigint[], bigint[]];
  return {
    index,
    term,
    conf: { voters, votersOutgoing, learners, learnersNext, autoLeave: autoLeave === 1 },
  };
}

function confLists(conf: ConfState): readonly (readonly bigint[])[] {
  return [conf.voters, conf.votersOutgoing, conf.learners, conf.learnersNext];
}

/** Writes entries one behind the other; returns the place after them. */
export function encodeEntries(target: Buffer, from: number, entries: readonly Entry[]): number {
  // A view writes a number in a fifth of the time that a Buffer's methods take.
  const view = new DataView(target.buffer, target.byteOffset, target.length);
  let at = from;
  for (const { data, type, term } of entries) {
    assert(Number.isSafeInteger(term) && term >= 0, 'a term is a safe non-negative integer', term);
    view.setUint32(at, data.length, true);
    view.setUint32(at + 4, type, true);
    view.setUint32(at + 8, term % 0x1_0000_0000, true);
    view.setUint32(at + 12, Math.floor(term / 0x1_0000_0000), true);
    copyBytes(data, target, at + ENTRY_HEADER_BYTES);
    at += ENTRY_HEADER_BYTES + data.length;
  }
  return at;
}

export interface LogFrame {
  readonly marker: SnapshotMeta | null;
  readonly hardState: HardState | null;
  /** Entry data are views of the body. */
  readonly entries: readonly Entry[];
}

/** Decodes a log frame's body; null when it contradicts its header. */
export function decodeLogBody(header: FrameHeader, body: Buffer): LogFrame | null {
  let at = 0;
  let marker: SnapshotMeta | null = null;
  let hardState: HardState | null = null;
  if ((header.flags & FLAG_MARKER) !== 0) {
    if (body.length < 4) return null;
    const length = body.readUInt32LE(0);
    if (length > body.length - 4) return null;
    marker = decodeMarker(body.subarray(4, 4 + length));
    if (marker === null) return null;
    at = 4 + length;
  }
  if ((header.flags & FLAG_HARD_STATE) !== 0) {
    if (body.length - at < HARD_STATE_BYTES) return null;
    hardState = decodeHardState(body.subarray(at, at + HARD_STATE_BYTES));
    if (hardState === null) return null;
    at += HARD_STATE_BYTES;
  }
  // The count is believed only as far as the bytes reach.
  if (header.entryCount > (body.length - at) / ENTRY_HEADER_BYTES) return null;
  if (header.entryCount > 0 && header.firstIndex === 0) return null;
  const entries: Entry[] = [];
  for (let i = 0; i < header.entryCount; i++) {
    if (body.length - at < ENTRY_HEADER_BYTES) return null;
    const dataBytes = body.readUInt32LE(at);
    const type = body.readUInt32LE(at + 4);
    const term = readSafeInteger(body, at + 8);
    at += ENTRY_HEADER_BYTES;
    if (dataBytes > body.length - at || type > 1 || term === null) return null;
    entries.push({
      index: header.firstIndex + i,
      term,
      type: type as EntryType,
      data: body.subarray(at, at + dataBytes),
    });
    at += dataBytes;
  }
  return at === body.length ? { marker, hardState, entries } : null;
}

/** The state a new segment starts from. Byte strings are as encoded above; empty when there is none. */
export interface SegmentHeader {
  readonly version: number;
  readonly segment: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly hardState: Buffer;
  readonly marker: Buffer;
  readonly metadata: Buffer;
}

const SEGMENT_HEADER_FIXED_BYTES = 40;

/** The body of a segment header, with `reserve` bytes left free in front for the frame header. */
export function encodeSegmentHeader(header: Omit<SegmentHeader, 'version'>, reserve: number): Buffer {
  const parts = [header.hardState, header.marker, header.metadata];
  const partBytes = parts.reduce((sum, part) => sum + 4 + part.length, 0);
  const content = Buffer.alloc(reserve + SEGMENT_HEADER_FIXED_BYTES + partBytes);
  MAGIC.copy(content, reserve);
  content.writeUInt32LE(FORMAT_VERSION, reserve + 8);
  writeSafeInteger(content, reserve + 16, header.segment);
  writeSafeInteger(content, reserve + 24, header.lastIndex);
  writeSafeInteger(content, reserve + 32, header.lastTerm);
  let at = reserve + SEGMENT_HEADER_FIXED_BYTES;
  for (const part of parts) {
    at = content.writeUInt32LE(part.length, at);
    at += part.copy(content, at);
  }
  return content;
}

/** Null when it is not a segment header at all; an unknown `version` comes back with empty fields, for a clear message. */
export function decodeSegmentHeader(body: Buffer): SegmentHeader | null {
  const none = Buffer.alloc(0);
  if (body.length < SEGMENT_HEADER_FIXED_BYTES || !body.subarray(0, 8).equals(MAGIC)) return null;
  const version = body.readUInt32LE(8);
  if (version !== FORMAT_VERSION) {
    return { version, segment: 0, lastIndex: 0, lastTerm: 0, hardState: none, marker: none, metadata: none };
  }
  const segment = readSafeInteger(body, 16);
  const lastIndex = readSafeInteger(body, 24);
  const lastTerm = readSafeInteger(body, 32);
  if (segment === null || lastIndex === null || lastTerm === null) return null;
  const parts: Buffer[] = [];
  let at = SEGMENT_HEADER_FIXED_BYTES;
  for (let i = 0; i < 3; i++) {
    if (body.length - at < 4) return null;
    const length = body.readUInt32LE(at);
    at += 4;
    if (length > body.length - at) return null;
    parts.push(body.subarray(at, at + length));
    at += length;
  }
  if (at !== body.length) return null;
  const [hardState, marker, metadata] = parts as [Buffer, Buffer, Buffer];
  if (hardState.length !== 0 && decodeHardState(hardState) === null) return null;
  if (marker.length !== 0 && decodeMarker(marker) === null) return null;
  return { version, segment, lastIndex, lastTerm, hardState, marker, metadata };
}
