/**
 * Puts one frame behind the log's end: seal, stamp, write, sync, move the end. Whoever calls it owns the `LogTail` meanwhile.
 *
 * Anything thrown here is final: the owner writes nothing afterwards.
 */
import type { BatchView } from './batch.ts';
import { BLOCK_BYTES, blockCount, CONTENT_AT, stampBlocks, stampOf } from './blocks.ts';
import type { DiskFile } from './disk.ts';
import type { Failpoint } from './failpoints.ts';
import { FrameKind, sealFrame } from './frame.ts';
import { fillGroup, type Group } from './group.ts';
import type { FramePlace } from './log-index.ts';
import type { LogTail } from './tail.ts';

/** A frame that became durable. */
export interface WrittenFrame extends FramePlace {
  readonly batchCount: number;
}

/** Buffers larger than this are not kept for the next frame. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;

export class FrameWriter {
  readonly #tail: LogTail;
  readonly #noSync: boolean;
  readonly #failpoint: Failpoint;
  #blocks: Buffer = Buffer.alloc(0);

  constructor(tail: LogTail, options: { readonly noSync: boolean; readonly failpoint: Failpoint }) {
    this.#tail = tail;
    this.#noSync = options.noSync;
    this.#failpoint = options.failpoint;
  }

  /**
   * Writes a group of batches to `file`, the newest segment, which has room for it. A batch alone is sealed and written where it stands,
   * and is not readable afterwards; several are copied into one piece.
   * @param onWritten the memory of so many batches is not needed any more
   */
  write(
    file: DiskFile,
    group: Group,
    batches: readonly BatchView[],
    start: number,
    onWritten?: (count: number) => void,
  ): WrittenFrame {
    const tail = this.#tail;
    const { flags, firstIndex, entryCount, contentBytes, batchCount } = group;
    const isAlone = batchCount === 1;
    const blocks = isAlone ? batches[start]!.blocks : this.blockBuffer(frameBytes(contentBytes));
    if (!isAlone) fillGroup(contentOf(blocks, contentBytes), group, batches, start);
    if (group.hardState !== null) tail.hardState = group.hardState;
    tail.lastIndex = group.lastIndex;
    tail.lastTerm = group.lastTerm;
    this.seal(blocks, contentBytes, { kind: FrameKind.log, flags, firstIndex, entryCount });
    this.#failpoint('walBeforeWrite');
    file.write(blocks, tail.offset);
    onWritten?.(batchCount);
    this.#failpoint('walBeforeSync');
    this.sync(file);
    this.#failpoint('walAfterSync');
    const { segment, offset } = tail;
    tail.offset = offset + blocks.length;
    return { segment, offset, bytes: blocks.length, batchCount };
  }

  /** Makes the content that stands in `blocks` the next frame of the current segment. */
  seal(
    blocks: Buffer,
    contentBytes: number,
    header: { kind: FrameKind; flags: number; firstIndex: number; entryCount: number },
  ): void {
    const tail = this.#tail;
    const { sequence } = tail;
    tail.sequence = sequence + 1;
    tail.chain = sealFrame(contentOf(blocks, contentBytes), { ...header, sequence, previous: tail.chain });
    stampBlocks(blocks, contentBytes, stampOf(tail.segment, sequence));
  }

  /** Memory for a frame, valid until the next is asked for. */
  blockBuffer(bytes: number): Buffer {
    if (this.#blocks.length >= bytes) return this.#blocks.subarray(0, bytes);
    const buffer = Buffer.allocUnsafeSlow(Math.max(bytes, 64 * 1024));
    if (bytes <= MAX_KEPT_BYTES) this.#blocks = buffer;
    return buffer.subarray(0, bytes);
  }

  sync(file: DiskFile): void {
    if (!this.#noSync) file.sync();
  }
}

/** What a frame with so much content takes in its segment. */
export function frameBytes(contentBytes: number): number {
  return blockCount(contentBytes) * BLOCK_BYTES;
}

export function contentOf(blocks: Buffer, contentBytes: number): Buffer {
  return blocks.subarray(CONTENT_AT, CONTENT_AT + contentBytes);
}
