/**
 * Tells the end of etcd's log, where a write was cut off, from damage within it.
 *
 * Sectors are written whole or not at all, into files that are zeros from the start. So a record that was cut off has a sector of zeros in
 * it, or ends outside the file. That alone is not enough: a damaged length reaches into the zeros behind the log, or beyond the file,
 * as well, and everything that follows would be lost without a word. So the record's own first bytes have to agree:
 *
 *     frame    3a 00 00 00 00 00 00 86     58 bytes, and 6 of padding
 *     record   08 02                       type 2
 *              10 9a f1 88 c4 07           checksum
 *              1a 30 ...                   48 bytes of data: 2 + 6 + 2 + 48 = 58
 */

export const FRAME_BYTES = 8;
const SECTOR_BYTES = 512;
/** Type, checksum and length of the data take no more. */
const START_BYTES = 18;

const CHECKSUM_TYPE = 4;
const LAST_TYPE = 5;

/** Where a record lies: `[start, start + length)`, and what pads it up to `end`. */
export interface Frame {
  readonly start: number;
  readonly length: number;
  readonly end: number;
}

/** @returns null for zeros: nothing was written there */
export function readFrame(bytes: Buffer, at: number): Frame | null {
  const low = bytes.readUInt32LE(at);
  const high = bytes.readUInt32LE(at + 4);
  if (low === 0 && high === 0) return null;
  const length = low + (high & 0xff_ffff) * 2 ** 32;
  const padding = high >= 0x8000_0000 ? (high >>> 24) & 7 : 0;
  const start = at + FRAME_BYTES;
  return { start, length, end: start + length + padding };
}

/** Of a record in the last file that cannot be used: whether it is what a crash left of the last write. */
export function isTornTail(bytes: Buffer, frame: Frame): boolean {
  const { start, length, end } = frame;
  if (end <= bytes.length && !hasEmptySector(bytes, start, end)) return false;
  const own = ownLength(bytes, start);
  return own === null ? !recordFollows(bytes, start) : own === length;
}

/** Whether there is something from `from` on that is a record, by its length and its first bytes. */
export function recordFollows(bytes: Buffer, from: number): boolean {
  for (let at = from; at + FRAME_BYTES <= bytes.length; at += FRAME_BYTES) {
    const frame = readFrame(bytes, at);
    if (frame !== null && frame.end <= bytes.length && ownLength(bytes, frame.start) === frame.length)
      return true;
  }
  return false;
}

/** A write that was cut off left a sector as it was: zeros. */
function hasEmptySector(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const next = Math.min(end, sectorAfter(at));
    if (isEmpty(bytes, at, next)) return true;
    at = next;
  }
  return false;
}

const sectorAfter = (at: number): number => (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES;

function isEmpty(bytes: Buffer, from: number, to: number): boolean {
  return bytes.subarray(from, to).every((byte) => byte === 0);
}

/** @returns the length of a record by its first bytes; null when they were not written, -1 when no record begins so */
function ownLength(bytes: Buffer, start: number): number | null {
  const next = sectorAfter(start);
  if (isEmpty(bytes, start, next)) return null;
  if (start + START_BYTES > next && isEmpty(bytes, next, next + SECTOR_BYTES)) return null;
  let at = start;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < bytes.length && at < start + START_BYTES; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return -1;
  };
  if (bytes[at++] !== 0x08) return -1;
  const type = varint();
  if (type < 1 || type > LAST_TYPE || bytes[at++] !== 0x10 || varint() < 0) return -1;
  if (type === CHECKSUM_TYPE) return at - start;
  if (at >= bytes.length) return null;
  if (bytes[at++] !== 0x1a) return -1;
  const data = varint();
  return data < 0 ? -1 : at - start + data;
}
