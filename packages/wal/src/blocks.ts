/**
 * The lowest layer of the format: blocks of 512 bytes, each with a stamp.
 *
 * A disk promises at best that a 512-byte sector is written whole or not at all. A write that was cut off by a power loss
 * therefore shows as a mixture of new sectors and what the sectors held before: zeros, or the previous life of a
 * recycled file. A flipped bit shows as a sector that is neither. To tell the two apart, every block begins with a 4-byte
 * stamp derived from the segment and the frame that wrote it.
 *
 * A frame's content stands in one piece after the first stamp, so that it is built and checked where it will be written. The
 * stamps of the later blocks fall on top of it: the words they displace move behind the content, in order, into room
 * that no stamp takes. (NTFS guards its records in this way: "update sequence".)
 *
 *   content of 1,200 bytes, 3 blocks    block 0            block 1            block 2
 *                                       [S][0 ... 508)     [S][512 ... 1020)  [S][1024 ... 1200)[508..512)[1020..1024) 0 ...
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

/** Blocks that `contentBytes` of frame content take: displaced words find room in what the stamps leave. */
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

/** Where content stands in a row of blocks. It is never empty: a frame has a header. */
export const CONTENT_AT = STAMP_BYTES;
const WORD_BYTES = STAMP_BYTES;

/** Puts the stamps on a frame whose content stands at `CONTENT_AT`: displaces what they cover, and clears what is left of the last block. */
export function stampBlocks(blocks: Buffer, contentBytes: number, stamp: number): void {
  const usedBytes = blockCount(contentBytes) * BLOCK_BYTES;
  assert(blocks.length >= usedBytes, 'there is room for all blocks', blocks.length, usedBytes);
  blocks.fill(0, CONTENT_AT + contentBytes, usedBytes);
  // Ten times as fast as the methods of a Buffer, which go byte by byte.
  const words = new DataView(blocks.buffer, blocks.byteOffset, usedBytes);
  const contentEnd = wordAfter(contentBytes);
  let free = contentEnd;
  for (let at = 0; at < usedBytes; at += BLOCK_BYTES) {
    if (at > 0 && at < contentEnd) {
      if (free % BLOCK_BYTES === 0) free += STAMP_BYTES;
      words.setUint32(free, words.getUint32(at, true), true);
      free += WORD_BYTES;
    }
    words.setUint32(at, stamp, true);
  }
}

/** `content` in stamped blocks at the start of `target`; returns the bytes used, a multiple of 512. */
export function spread(content: Buffer, target: Buffer, stamp: number): number {
  content.copy(target, CONTENT_AT);
  stampBlocks(target, content.length, stamp);
  return blockCount(content.length) * BLOCK_BYTES;
}

/** The inverse of `spread`: the content of a frame whose blocks are in `source`, in a new buffer. */
export function gather(source: Buffer, contentBytes: number): Buffer {
  assert(
    source.length >= blockCount(contentBytes) * BLOCK_BYTES,
    'the source holds all blocks',
    source.length,
  );
  const content = Buffer.allocUnsafeSlow(contentBytes);
  source.copy(content, 0, CONTENT_AT, CONTENT_AT + contentBytes);
  const contentEnd = wordAfter(contentBytes);
  let free = contentEnd;
  for (let at = BLOCK_BYTES; at < contentEnd; at += BLOCK_BYTES) {
    if (free % BLOCK_BYTES === 0) free += STAMP_BYTES;
    // The last word may reach beyond the content, which need not end with a word; `copy` cuts it off.
    source.copy(content, at - CONTENT_AT, free, free + WORD_BYTES);
    free += WORD_BYTES;
  }
  return content;
}

/** The first word boundary at or after the end of the content. */
function wordAfter(contentBytes: number): number {
  return Math.ceil((CONTENT_AT + contentBytes) / WORD_BYTES) * WORD_BYTES;
}
