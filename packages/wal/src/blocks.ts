/**
 * The lowest layer of the format: blocks of 512 bytes, each with a stamp.
 *
 * A disk promises at best that a 512-byte sector is written whole or not at all. A write that was cut off by a power loss
 * therefore shows as a mixture of new sectors and what the sectors held before: zeros, or the previous life of a
 * recycled file. A flipped bit shows as a sector that is neither. To tell the two apart, every block begins with a 4-byte
 * stamp derived from the segment and the frame that wrote it; 508 bytes of the frame follow.
 *
 *   block          [stamp 4][payload 508]
 *   frame of 1,200 bytes = 3 blocks: 508 + 508 + 184, rest zero
 *
 * A frame starts at a block boundary, so a block belongs to one frame, and to one sync. When a frame fails its
 * checksum, a block with another stamp means "this block was never written", and the frame is torn; when all stamps are
 * right, all blocks were written, and the frame is damaged. The stamps are outside the checksum: a flipped bit
 * in a stamp alone does no harm.
 *
 * Read next: `frame.ts`.
 */
import { assert } from './assert.ts';

export const BLOCK_BYTES = 512;
export const STAMP_BYTES = 4;
export const PAYLOAD_BYTES = BLOCK_BYTES - STAMP_BYTES;

/** Blocks that `contentBytes` of frame content take. */
export function blockCount(contentBytes: number): number {
  return Math.ceil(contentBytes / PAYLOAD_BYTES);
}

/**
 * The stamp of all blocks of frame `sequence` in segment `segment`: two rounds of a 32-bit mixer, so that neighbours differ in
 * about half their bits. Never 0, which is the stamp of a block that was never written.
 */
export function stampOf(segment: number, sequence: number): number {
  let mixed = mix(segment >>> 0) ^ mix(Math.floor(segment / 0x1_0000_0000) + 0x9e3779b9);
  mixed = mix(mixed ^ (sequence >>> 0)) ^ Math.floor(sequence / 0x1_0000_0000);
  mixed = mix(mixed);
  return mixed === 0 ? 1 : mixed;
}

/** The 32-bit finalizer of MurmurHash3. */
function mix(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Spreads `content` over stamped blocks at the start of `target`; returns the bytes used, a multiple of 512. */
export function spread(content: Buffer, target: Buffer, stamp: number): number {
  const blocks = blockCount(content.length);
  const usedBytes = blocks * BLOCK_BYTES;
  assert(target.length >= usedBytes, 'the target holds all blocks', target.length, usedBytes);
  let from = 0;
  for (let at = 0; at < usedBytes; at += BLOCK_BYTES) {
    target.writeUInt32LE(stamp, at);
    const copied = content.copy(target, at + STAMP_BYTES, from, from + PAYLOAD_BYTES);
    if (copied < PAYLOAD_BYTES) target.fill(0, at + STAMP_BYTES + copied, at + BLOCK_BYTES);
    from += copied;
  }
  return usedBytes;
}

/** The inverse of `spread`: copies the payload of whole blocks in `source`, `contentBytes` of it, to a new buffer. */
export function gather(source: Buffer, contentBytes: number): Buffer {
  const content = Buffer.allocUnsafeSlow(contentBytes);
  let to = 0;
  for (let at = 0; to < contentBytes; at += BLOCK_BYTES) {
    const wanted = Math.min(PAYLOAD_BYTES, contentBytes - to);
    assert(at + STAMP_BYTES + wanted <= source.length, 'the source holds all blocks', source.length);
    source.copy(content, to, at + STAMP_BYTES, at + STAMP_BYTES + wanted);
    to += wanted;
  }
  return content;
}
