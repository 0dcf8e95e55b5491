/**
 * Reads one segment file frame by frame and judges how it ends.
 *
 * For the place where frame `n` is expected there are these cases (`S` is the stamp of frame `n` in this segment):
 *
 *   header check  stamp    body check   other stamps   verdict
 *   passes, seq n any      passes       any            a whole frame
 *   passes, seq n any      fails        one is not S   torn: that block was never written
 *   passes, seq n any      fails        all S          damaged body
 *   passes, seq n any      beyond the file             torn: the file was cut short
 *   fails         S        -            -              damaged header: the block was written, and is wrong
 *   fails         not S    -            -              no frame: the end
 *
 * "Torn" and "the end" hold only when no later frame follows (`inspectTail`): a later frame is proof that frame `n` had been
 * durable. Whether the segment may end here at all is for the caller: only the newest may end torn.
 */
import { BLOCK_BYTES, blockCount, gather, STAMP_BYTES, stampOf } from './blocks.ts';
import type { DiskFile } from './disk.ts';
import type { CorruptionKind } from './errors.ts';
import { bodyMatches, FRAME_HEADER_BYTES, type FrameHeader, FrameKind, parseFrameHeader } from './frame.ts';

export interface ScannedFrame {
  readonly header: FrameHeader;
  readonly body: Buffer;
  readonly offset: number;
  readonly bytes: number;
}

export type SegmentEnd =
  | { readonly kind: 'end'; readonly offset: number }
  | { readonly kind: 'torn'; readonly offset: number; readonly detail: string }
  | {
      readonly kind: 'damaged';
      readonly offset: number;
      readonly as: CorruptionKind;
      readonly detail: string;
    };

/** Reads ahead in windows, so that small frames cost no system call each. */
const WINDOW_BYTES = 1024 * 1024;

export class WindowReader {
  readonly #file: DiskFile;
  readonly #size: number;
  #window: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(file: DiskFile) {
    this.#file = file;
    this.#size = file.size();
  }

  /** Bytes `[offset, offset + length)`, fewer at the end of the file; valid until the next call. */
  read(offset: number, length: number): Buffer {
    if (offset < this.#at || offset + length > this.#at + this.#window.length) {
      // Never more than the file has: a length that lies costs nothing.
      const wanted = Math.min(Math.max(length, WINDOW_BYTES), Math.max(this.#size - offset, 0));
      const bytes = this.#file.read(offset, wanted);
      this.#window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      this.#at = offset;
    }
    return this.#window.subarray(offset - this.#at, offset - this.#at + length);
  }
}

/**
 * Frames of `segment` in order. `expected` is what the frame before said; null when the file is the oldest and its header is
 * the first word.
 */
export function* scanSegment(
  file: DiskFile,
  segment: number,
  expected: { sequence: number; chain: number } | null,
): Generator<ScannedFrame, SegmentEnd> {
  const reader = new WindowReader(file);
  let offset = 0;
  let previous = expected;
  for (;;) {
    const result = readFrame(reader, segment, offset, previous);
    if (result.kind !== 'frame') return result;
    yield result.frame;
    previous = { sequence: result.frame.header.sequence + 1, chain: result.frame.header.chain };
    offset += result.frame.bytes;
  }
}

type FrameResult = { readonly kind: 'frame'; readonly frame: ScannedFrame } | SegmentEnd;

function readFrame(
  reader: WindowReader,
  segment: number,
  offset: number,
  expected: { sequence: number; chain: number } | null,
): FrameResult {
  const first = reader.read(offset, BLOCK_BYTES);
  const header = first.length < BLOCK_BYTES ? null : parseFrameHeader(first, STAMP_BYTES);
  const isExpected = header !== null && (expected === null || header.sequence === expected.sequence);
  if (!isExpected) {
    const written =
      first.length === BLOCK_BYTES &&
      expected !== null &&
      first.readUInt32LE(0) === stampOf(segment, expected.sequence);
    if (!written) return { kind: 'end', offset };
    return damaged(offset, 'damaged-header', `frame ${expected.sequence} has a header that fails its check`);
  }
  if (expected !== null && header.previous !== expected.chain) {
    return damaged(offset, 'broken-chain', `frame ${header.sequence} does not follow the frame before it`);
  }
  const wantedKind = offset === 0 ? FrameKind.segmentHeader : FrameKind.log;
  if (header.kind !== wantedKind) {
    return damaged(offset, 'impossible-content', `frame ${header.sequence} is of kind ${header.kind}`);
  }
  return readBody(reader, segment, offset, header);
}

function readBody(reader: WindowReader, segment: number, offset: number, header: FrameHeader): FrameResult {
  const contentBytes = FRAME_HEADER_BYTES + header.bodyBytes;
  const bytes = blockCount(contentBytes) * BLOCK_BYTES;
  const blocks = reader.read(offset, bytes);
  if (blocks.length < bytes) {
    return { kind: 'torn', offset, detail: `frame ${header.sequence} reaches beyond the end of the file` };
  }
  const content = gather(blocks, contentBytes);
  if (bodyMatches(content, header)) {
    return { kind: 'frame', frame: { header, body: content.subarray(FRAME_HEADER_BYTES), offset, bytes } };
  }
  const missing = foreignBlocks(blocks, stampOf(segment, header.sequence));
  if (missing > 0) {
    const detail = `frame ${header.sequence} lacks ${missing} of its ${bytes / BLOCK_BYTES} blocks`;
    return { kind: 'torn', offset, detail };
  }
  return damaged(offset, 'damaged-body', `frame ${header.sequence} fails its checksum`);
}

function foreignBlocks(blocks: Buffer, stamp: number): number {
  let foreign = 0;
  for (let at = 0; at < blocks.length; at += BLOCK_BYTES) if (blocks.readUInt32LE(at) !== stamp) foreign++;
  return foreign;
}

function damaged(offset: number, as: CorruptionKind, detail: string): SegmentEnd {
  return { kind: 'damaged', offset, as, detail };
}

export interface Tail {
  /** Where a frame after `sequence` stands, or null. */
  readonly laterFrameAt: number | null;
  /** End of the last block that frame `sequence` wrote, or `from` when it wrote none. */
  readonly residueEnd: number;
}

/** Looks through everything after `from`, where frame `sequence` was expected in vain. */
export function inspectTail(file: DiskFile, segment: number, from: number, sequence: number): Tail {
  const reader = new WindowReader(file);
  const stamp = stampOf(segment, sequence);
  let residueEnd = from;
  for (let at = from; ; at += BLOCK_BYTES) {
    const block = reader.read(at, BLOCK_BYTES);
    if (block.length < BLOCK_BYTES) return { laterFrameAt: null, residueEnd };
    const found = block.readUInt32LE(0);
    if (found === 0) continue;
    if (found === stamp) {
      residueEnd = at + BLOCK_BYTES;
      continue;
    }
    const header = parseFrameHeader(block, STAMP_BYTES);
    // The stamp as well: a client may have stored bytes that look like a header, but it cannot choose a stamp.
    if (header !== null && header.sequence > sequence && found === stampOf(segment, header.sequence)) {
      return { laterFrameAt: at, residueEnd };
    }
  }
}
