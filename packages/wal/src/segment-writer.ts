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
import type { Disk, DiskFile } from './disk.ts';
import type { Failpoint, WalFailpointName } from './failpoints.ts';
import { FRAME_HEADER_BYTES, FrameKind } from './frame.ts';
import { encodeSegmentHeader } from './frame-body.ts';
import { contentOf, FrameWriter, frameBytes, type WrittenFrame } from './frame-writer.ts';
import { planGroup } from './group.ts';
import { joinPath, segmentName } from './segment-name.ts';
import { SpareFiles } from './spares.ts';
import { LogTail } from './tail.ts';

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
  /** Where the log's end is kept, when another thread may write too. Default: memory of its own. */
  readonly tail?: LogTail;
}

const ALLOCATION_BYTES = 4096;

export class SegmentWriter {
  readonly #options: WriterOptions;
  readonly #spares: SpareFiles;
  readonly #metadata: Buffer;
  readonly #segments: number[];
  readonly #tail: LogTail;
  readonly #frames: FrameWriter;
  #file: DiskFile | null = null;
  #marker: Buffer;

  constructor(options: WriterOptions, state: WriterState) {
    const { disk, directory, segmentBytes, spareSegments, noSync } = options;
    this.#options = options;
    this.#metadata = Buffer.from(state.metadata);
    this.#segments = [...state.segments];
    this.#marker = Buffer.from(state.marker);
    this.#spares = new SpareFiles({ disk, directory, segmentBytes, limit: spareSegments, noSync });
    const tail = options.tail ?? new LogTail();
    tail.offset = state.offset;
    tail.sequence = state.sequence;
    tail.chain = state.chain;
    tail.lastIndex = state.lastIndex;
    tail.lastTerm = state.lastTerm;
    tail.hardState = state.hardState;
    this.#tail = tail;
    this.#frames = new FrameWriter(tail, options);
    const newest = this.#segments.at(-1);
    if (newest === undefined) return;
    this.#openNewest(newest);
  }

  /** What a successor would start from. */
  get state(): WriterState {
    const { offset, sequence, chain, lastIndex, lastTerm, hardState } = this.#tail;
    return {
      segments: [...this.#segments],
      offset,
      sequence,
      chain,
      lastIndex,
      lastTerm,
      hardState,
      marker: this.#marker,
      metadata: this.#metadata,
    };
  }

  /**
   * Writes encoded batches, in order, in as few frames as their contents allow. `onFrame` hears of each frame once it is durable.
   * @param onWritten the memory of the next `count` batches is not needed any more
   */
  write(
    encoded: readonly Buffer[],
    onFrame: (frame: WrittenFrame) => void,
    onWritten?: (count: number) => void,
  ): void {
    const batches = encoded.map(viewBatch);
    for (let start = 0; start < batches.length; ) {
      const group = planGroup(batches, start);
      const extent = frameBytes(group.contentBytes);
      // A segment cut for this frame starts from the state before it.
      if (this.#tail.offset + extent > this.#tail.capacity) this.#makeRoom(extent);
      if (group.marker !== null) this.#marker = Buffer.from(group.marker);
      const file = this.#file;
      assert(file !== null, 'a log frame is written into a segment');
      onFrame(this.#frames.write(file, group, batches, start, onWritten));
      start += group.batchCount;
    }
  }

  /** Cuts a segment; a frame larger than a segment gets a longer file. */
  #makeRoom(extent: number): void {
    this.cut();
    const needed = this.#tail.offset + extent;
    if (needed <= this.#tail.capacity) return;
    this.#tail.capacity = Math.ceil(needed / ALLOCATION_BYTES) * ALLOCATION_BYTES;
    this.#file!.preallocate(this.#tail.capacity);
    this.#frames.sync(this.#file!);
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
    this.#tail.segment = segment;
    this.#tail.offset = 0;

    const spare = disk.open(sparePath, 'write');
    const content = encodeSegmentHeader(
      {
        segment,
        lastIndex: this.#tail.lastIndex,
        lastTerm: this.#tail.lastTerm,
        hardState: this.#tail.hardState,
        marker: this.#marker,
        metadata: this.#metadata,
      },
      FRAME_HEADER_BYTES,
    );
    const blocks = this.#frames.blockBuffer(frameBytes(content.length));
    content.copy(contentOf(blocks, content.length));
    const kind = FrameKind.segmentHeader;
    this.#frames.seal(blocks, content.length, { kind, flags: 0, firstIndex: 0, entryCount: 0 });
    spare.write(blocks, 0);
    this.#frames.sync(spare);
    spare.close();
    this.#pass('walBeforeSegmentRename');
    disk.rename(sparePath, path);
    this.#pass('walBeforeSegmentDirectorySync');
    if (!this.#options.noSync) disk.syncDirectory(directory);

    this.#openNewest(segment);
    this.#tail.offset = blocks.length;
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

  /** Whether some of the next segment is still to be prepared. */
  get mayPrepare(): boolean {
    return this.#spares.isShort;
  }

  /**
   * Prepares a little of the next segment when that is due; false when nothing was done.
   * @param quiet nobody has written for a while
   */
  prepareStep(quiet: boolean): boolean {
    const next = (this.#segments.at(-1) ?? 0) + 1;
    if (quiet) return this.#spares.step(next);
    // Beside writing, in step with it from the half on: ready when the segment is full, and each write waits for its own share alone.
    const { offset, capacity } = this.#tail;
    const wantedBytes =
      Math.floor((offset / capacity) * 2 * this.#options.segmentBytes) - this.#options.segmentBytes;
    if (wantedBytes <= this.#spares.filledBytes) return false;
    return this.#spares.step(next, wantedBytes);
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
    this.#spares.close();
  }

  #openNewest(segment: number): void {
    const { disk, directory } = this.#options;
    this.#file = disk.open(joinPath(directory, segmentName(segment)), 'write');
    this.#tail.segment = segment;
    this.#tail.capacity = this.#file.size();
  }

  #sizeOf(path: string): number {
    const file = this.#options.disk.open(path, 'read');
    const bytes = file.size();
    file.close();
    return bytes;
  }

  #pass(name: WalFailpointName): void {
    this.#options.failpoint(name);
  }
}
