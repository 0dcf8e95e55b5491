/**
 * A frame: what one write and one sync put into a segment. Header here, stamps in `blocks.ts`, contents in `frame-body.ts`.
 *
 *   offset size
 *   0      4    body length in bytes
 *   4      1    kind: 1 segment header, 2 log
 *   5      1    flags (log frames): 1 snapshot marker, 2 hard state, 4 the marker restarts the log
 *   6      2    zero
 *   8      8    sequence: rises by one with each frame of the log, across segments
 *   16     8    index of the first entry; 0 when none
 *   24     4    number of entries
 *   28     4    chain value of the frame before
 *   32     4    CRC-32C of the body
 *   36     4    chain value: CRC-32C of bytes [0, 36)
 *   40     ...  body
 *
 * All numbers little-endian. The chain value checks the header, and, since it covers the chain value before it and the
 * body's checksum, stands for everything up to here: a frame can only follow the one it was written after. It is
 * checked before the length is believed, so a lying length costs no allocation.
 */
import { crc32c } from '@node-rs/crc32';
import { assert } from './assert.ts';

export const FRAME_HEADER_BYTES = 40;
/** A frame larger than this is never written, and never read. */
export const MAX_BODY_BYTES = 256 * 1024 * 1024;

export const FrameKind = { segmentHeader: 1, log: 2 } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

export const FLAG_MARKER = 1;
export const FLAG_HARD_STATE = 2;
export const FLAG_RESTART = 4;
const ALL_FLAGS = FLAG_MARKER | FLAG_HARD_STATE | FLAG_RESTART;

export interface FrameHeader {
  readonly bodyBytes: number;
  readonly kind: FrameKind;
  readonly flags: number;
  readonly sequence: number;
  readonly firstIndex: number;
  readonly entryCount: number;
  readonly previous: number;
  readonly bodyCrc: number;
  readonly chain: number;
}

/** Fills bytes [0, 40) of `content`, whose body stands at [40, length); returns the frame's chain value. */
export function sealFrame(
  content: Buffer,
  header: Omit<FrameHeader, 'bodyBytes' | 'bodyCrc' | 'chain'>,
): number {
  const bodyBytes = content.length - FRAME_HEADER_BYTES;
  assert(bodyBytes >= 0 && bodyBytes <= MAX_BODY_BYTES, 'a frame body is within its limit', bodyBytes);
  content.writeUInt32LE(bodyBytes, 0);
  content[4] = header.kind;
  content[5] = header.flags;
  content.writeUInt16LE(0, 6);
  writeSafeInteger(content, 8, header.sequence);
  writeSafeInteger(content, 16, header.firstIndex);
  content.writeUInt32LE(header.entryCount, 24);
  content.writeUInt32LE(header.previous, 28);
  content.writeUInt32LE(crc32c(content.subarray(FRAME_HEADER_BYTES)), 32);
  const chain = crc32c(content.subarray(0, 36));
  content.writeUInt32LE(chain, 36);
  return chain;
}

/** The header at `at`, or null when its check fails or its fields are out of bounds. */
export function parseFrameHeader(bytes: Buffer, at: number): FrameHeader | null {
  if (bytes.length - at < FRAME_HEADER_BYTES) return null;
  const kind = bytes[at + 4];
  const flags = bytes[at + 5]!;
  const bodyBytes = bytes.readUInt32LE(at);
  // Cheap tests first: this runs over every unused block of the last segment.
  if (kind !== FrameKind.segmentHeader && kind !== FrameKind.log) return null;
  if ((flags & ~ALL_FLAGS) !== 0 || bodyBytes > MAX_BODY_BYTES || bytes.readUInt16LE(at + 6) !== 0)
    return null;
  const sequence = readSafeInteger(bytes, at + 8);
  const firstIndex = readSafeInteger(bytes, at + 16);
  if (sequence === null || firstIndex === null) return null;
  const chain = bytes.readUInt32LE(at + 36);
  if (crc32c(bytes.subarray(at, at + 36)) !== chain) return null;
  return {
    bodyBytes,
    kind,
    flags,
    sequence,
    firstIndex,
    entryCount: bytes.readUInt32LE(at + 24),
    previous: bytes.readUInt32LE(at + 28),
    bodyCrc: bytes.readUInt32LE(at + 32),
    chain,
  };
}

/** Whether `content` (header and body) has the body its header promises. */
export function bodyMatches(content: Buffer, header: FrameHeader): boolean {
  return crc32c(content.subarray(FRAME_HEADER_BYTES)) === header.bodyCrc;
}

export function writeSafeInteger(bytes: Buffer, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a counter is a safe non-negative integer', value);
  bytes.writeUInt32LE(value % 0x1_0000_0000, at);
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

/** An unsigned 64-bit number, or null when it is beyond what a counter may be (2^53 - 1). */
export function readSafeInteger(bytes: Buffer, at: number): number | null {
  const value = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
  return value <= Number.MAX_SAFE_INTEGER ? value : null;
}
