/**
 * The writing half: turns groups of batches into frames in segment files. Synchronous, single owner, no clock.
 *
 * Runs in the writer thread (`writer-worker.ts`) or, for simulation, on the caller's thread (`inline-lane.ts`).
 *
 * Invariants:
 *   - one frame is written and synced before the next is written, so a whole frame proves that all before it were durable;
 *   - a segment gets its `.wal` name only when its header frame is durable, and its first log frame only when the name is;
 *   - anything thrown here is final: the owner writes nothing afterwards.
 */
import { assert } from './assert.ts';
import { viewBatch } from './batch.ts';
import { BLOCK_BYTES, blockCount, CONTENT_AT, stampBlocks, stampOf } from './blocks.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { Failpoint, WalFailpointName } from './failpoints.ts';
import { FRAME_HEADER_BYTES, FrameKind, sealFrame } from './frame.ts';
import { encodeSegmentHeader } from './frame-body.ts';
import { fillGroup, planGroup } from './group.ts';
import type { FramePlace } from './log-index.ts';
import { joinPath, segmentName } from './segment-name.ts';
import { SpareFiles } from './spares.ts';

/** Everything the writer must know to go on. Plain data: it is sent to the writer thread. */
export interface WriterState {
  /** Segments that exist, oldest first; the last is written to. Empty before creation. */
  readonly segments: readonly number[];
  /** End of the last whole frame in the newest segment. */
  readonly offset: number;
  /** Sequence of the next frame. */
  readonly sequence: number;
  /** Chain value of the last frame. */
  readonly chain: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** As in the segment header; empty when there is none. */
  readonly hardState: Uint8Array;
  readonly marker: Uint8Array;
  readonly metadata: Uint8Array;
}

export interface WriterOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytes: number;
  readonly spareSegments: number;
  readonly noSync: boolean;
  readonly failpoint: Failpoint;
}

/** A frame that became durable. */
export interface WrittenFrame extends FramePlace {
  readonly batchCount: number;
}

/** Buffers larger than this are not kept for the next frame. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;
const ALLOCATION_BYTES = 4096;

export class SegmentWriter {
  readonly #options: WriterOptions;
  readonly #spares: SpareFiles;
  readonly #metadata: Buffer;
  readonly #segments: number[];
  #file: DiskFile | null = null;
  #capacity = 0;
  #offset: number;
  #sequence: number;
  #chain: number;
  #lastIndex: number;
  #lastTerm: number;
  #hardState: Buffer;
  #marker: Buffer;
  #blocks: Buffer = Buffer.alloc(0);

  constructor(options: WriterOptions, state: WriterState) {
    const { disk, directory, segmentBytes, spareSegments, noSync } = options;
    this.#options = options;
    this.#metadata = Buffer.from(state.metadata);
    this.#segments = [...state.segments];
    this.#offset = state.offset;
    this.#sequence = state.sequence;
    this.#chain = state.chain;
    this.#lastIndex = state.lastIndex;
    this.#lastTerm = state.lastTerm;
    this.#hardState = Buffer.from(state.hardState);
    this.#marker = Buffer.from(state.marker);
    this.#spares = new SpareFiles({ disk, directory, segmentBytes, limit: spareSegments, noSync });
    const newest = this.#segments.at(-1);
    if (newest === undefined) return;
    this.#file = disk.open(joinPath(directory, segmentName(newest)), 'write');
    this.#capacity = this.#file.size();
  }

  /** What a successor would start from. */
  get state(): WriterState {
    return {
      segments: [...this.#segments],
      offset: this.#offset,
      sequence: this.#sequence,
      chain: this.#chain,
      lastIndex: this.#lastIndex,
      lastTerm: this.#lastTerm,
      hardState: this.#hardState,
      marker: this.#marker,
      metadata: this.#metadata,
    };
  }

  /**
   * Writes encoded batches, in order, in as few frames as their contents allow. `onFrame` hears of each frame once it is durable.
   * @param onCopied the memory of the first `count` batches is not needed any more
   */
  write(
    encoded: readonly Buffer[],
    onFrame: (frame: WrittenFrame) => void,
    onCopied?: (count: number) => void,
  ): void {
    const batches = encoded.map(viewBatch);
    for (let start = 0; start < batches.length; ) {
      const group = planGroup(batches, start);
      const extent = blockCount(group.contentBytes) * BLOCK_BYTES;
      // A segment cut for this frame starts from the state before it.
      if (this.#offset + extent > this.#capacity) this.#makeRoom(extent);
      const blocks = this.#blockBuffer(extent);
      fillGroup(contentOf(blocks, group.contentBytes), group, batches, start);
      if (group.hardState !== null) this.#hardState = Buffer.from(group.hardState);
      if (group.marker !== null) this.#marker = Buffer.from(group.marker);
      this.#lastIndex = group.lastIndex;
      this.#lastTerm = group.lastTerm;
      start += group.batchCount;
      onCopied?.(start);
      onFrame({ ...this.#writeLogFrame(blocks, group), batchCount: group.batchCount });
    }
  }

  #writeLogFrame(blocks: Buffer, group: ReturnType<typeof planGroup>): FramePlace {
    const { flags, firstIndex, entryCount } = group;
    this.#seal(blocks, group.contentBytes, { kind: FrameKind.log, flags, firstIndex, entryCount });
    const file = this.#file;
    assert(file !== null, 'a log frame is written into a segment');
    this.#pass('walBeforeWrite');
    file.write(blocks, this.#offset);
    this.#pass('walBeforeSync');
    this.#sync(file);
    this.#pass('walAfterSync');
    const offset = this.#offset;
    this.#offset += blocks.length;
    return { segment: this.#segments.at(-1)!, offset, bytes: blocks.length };
  }

  /** Cuts a segment; a frame larger than a segment gets a longer file. */
  #makeRoom(extent: number): void {
    this.cut();
    const needed = this.#offset + extent;
    if (needed <= this.#capacity) return;
    this.#capacity = Math.ceil(needed / ALLOCATION_BYTES) * ALLOCATION_BYTES;
    this.#file!.preallocate(this.#capacity);
    this.#sync(this.#file!);
  }

  /** Starts the next segment. Also creates the first. */
  cut(): void {
    const { disk, directory } = this.#options;
    this.#pass('walBeforeSegmentCut');
    const segment = (this.#segments.at(-1) ?? 0) + 1;
    const path = joinPath(directory, segmentName(segment));
    const sparePath = this.#spares.take(segment);
    this.#file?.close();
    this.#segments.push(segment);
    this.#offset = 0;

    const spare = disk.open(sparePath, 'write');
    const content = encodeSegmentHeader(
      {
        segment,
        lastIndex: this.#lastIndex,
        lastTerm: this.#lastTerm,
        hardState: this.#hardState,
        marker: this.#marker,
        metadata: this.#metadata,
      },
      FRAME_HEADER_BYTES,
    );
    const blocks = this.#blockBuffer(blockCount(content.length) * BLOCK_BYTES);
    content.copy(contentOf(blocks, content.length));
    const kind = FrameKind.segmentHeader;
    this.#seal(blocks, content.length, { kind, flags: 0, firstIndex: 0, entryCount: 0 });
    spare.write(blocks, 0);
    this.#sync(spare);
    spare.close();
    this.#pass('walBeforeSegmentRename');
    disk.rename(sparePath, path);
    this.#pass('walBeforeSegmentDirectorySync');
    if (!this.#options.noSync) disk.syncDirectory(directory);

    this.#file = disk.open(path, 'write');
    this.#capacity = this.#file.size();
    this.#offset = blocks.length;
    this.#pass('walAfterSegmentCut');
  }

  /** Removes segments below `segment`, or keeps their files as spares. Oldest first, each made durable, so that no crash leaves a hole. */
  release(segment: number): void {
    const { disk, directory, segmentBytes, noSync } = this.#options;
    if (this.#segments[0]! >= segment) return;
    this.#pass('walBeforeRelease');
    while (this.#segments.length > 1 && this.#segments[0]! < segment) {
      const number = this.#segments.shift()!;
      const path = joinPath(directory, segmentName(number));
      const reused = this.#spares.hasRoom && this.#sizeOf(path) === segmentBytes;
      const sparePath = this.#spares.freePath(number);
      if (reused) disk.rename(path, sparePath);
      else disk.remove(path);
      this.#pass('walBeforeReleaseDirectorySync');
      if (!noSync) disk.syncDirectory(directory);
      // Only now: were the rename undone by a crash, the segment would come back with foreign contents.
      if (reused) this.#spares.adopt(sparePath);
    }
    this.#pass('walAfterRelease');
  }

  /** Prepares a little of the next segment when that is due; false when nothing was done. */
  prepareStep(idle: boolean): boolean {
    // Begins when half of the segment is used, and earlier only when there is nothing else to do.
    if (!idle && this.#offset * 2 < this.#capacity) return false;
    return this.#spares.step((this.#segments.at(-1) ?? 0) + 1);
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
    this.#spares.close();
  }

  /** Makes the content that stands in `blocks` the next frame of the current segment. */
  #seal(
    blocks: Buffer,
    contentBytes: number,
    header: { kind: FrameKind; flags: number; firstIndex: number; entryCount: number },
  ): void {
    const sequence = this.#sequence++;
    const content = contentOf(blocks, contentBytes);
    this.#chain = sealFrame(content, { ...header, sequence, previous: this.#chain });
    stampBlocks(blocks, contentBytes, stampOf(this.#segments.at(-1)!, sequence));
  }

  /** Memory for a frame, valid until the next is asked for. */
  #blockBuffer(bytes: number): Buffer {
    if (this.#blocks.length >= bytes) return this.#blocks.subarray(0, bytes);
    const buffer = Buffer.allocUnsafeSlow(Math.max(bytes, 64 * 1024));
    if (bytes <= MAX_KEPT_BYTES) this.#blocks = buffer;
    return buffer.subarray(0, bytes);
  }

  #sizeOf(path: string): number {
    const file = this.#options.disk.open(path, 'read');
    const bytes = file.size();
    file.close();
    return bytes;
  }

  #sync(file: DiskFile): void {
    if (!this.#options.noSync) file.sync();
  }

  #pass(name: WalFailpointName): void {
    this.#options.failpoint(name);
  }
}

function contentOf(blocks: Buffer, contentBytes: number): Buffer {
  return blocks.subarray(CONTENT_AT, CONTENT_AT + contentBytes);
}
