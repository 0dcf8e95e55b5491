/**
 * The short way: a small batch of a caller who has nothing else to do is written and synced on the caller's own thread.
 *
 * Waking the writer thread and being woken by it costs a lone batch more than its write does: on two cores about 150 us beside
 * 250 us of fdatasync. The price is a caller that is blocked for the length of a sync, so this way is open only
 *
 *   - while nothing is under way, and the pen is free,
 *   - for batches of up to `MAX_DIRECT_BYTES` that need no new segment and bring no marker,
 *   - after `QUICK_IN_ROW` syncs in a row of at most `QUICK_MS`, whoever made them: one slow sync closes it.
 *
 * What it writes is what the thread would have written: the same frames (`frame-writer.ts`) behind the same end (`tail.ts`).
 */
import { type BatchContent, encodeBatch, viewBatch } from './batch.ts';
import { type Disk, DiskError, type DiskFile } from './disk.ts';
import { NO_FAILPOINTS } from './failpoints.ts';
import { FrameWriter, frameBytes, type WrittenFrame } from './frame-writer.ts';
import { planGroup } from './group.ts';
import type { Pen } from './pen.ts';
import { joinPath, segmentName } from './segment-name.ts';
import type { LogTail } from './tail.ts';

/** Some hundred small entries, 128 KiB and their stamps: encoding, checksums and the write take a fifth of the sync. */
const MAX_DIRECT_BYTES = 129 * 1024;
/** Ten times a usual sync, and far below what anybody notices. */
const QUICK_MS = 3;
const QUICK_IN_ROW = 32;

export class DirectWriter {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #tail: LogTail;
  readonly #pen: Pen;
  readonly #frames: FrameWriter;
  readonly #nowMs: () => number;
  readonly #batch = Buffer.alloc(MAX_DIRECT_BYTES);
  #file: DiskFile | null = null;
  /** The segment that `#file` is. */
  #segment = 0;
  #quickInRow = 0;

  constructor(options: {
    readonly disk: Disk;
    readonly directory: string;
    readonly noSync: boolean;
    readonly tail: LogTail;
    readonly pen: Pen;
    readonly nowMs: () => number;
  }) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#tail = options.tail;
    this.#pen = options.pen;
    this.#nowMs = options.nowMs;
    this.#frames = new FrameWriter(options.tail, { noSync: options.noSync, failpoint: NO_FAILPOINTS });
  }

  /** A write and its sync took so long, on either thread. */
  observe(tookMs: number): void {
    this.#quickInRow = tookMs <= QUICK_MS ? this.#quickInRow + 1 : 0;
  }

  /**
   * Makes the batch durable, when this way is open. Nothing else may be under way.
   * @returns null when it is not: nothing was done
   * @throws DiskError after which the pen is never free again
   */
  write(content: BatchContent, bytes: number): WrittenFrame | null {
    if (bytes > MAX_DIRECT_BYTES || content.marker !== null) return null;
    if (this.#quickInRow < QUICK_IN_ROW || !this.#pen.tryTake()) return null;
    encodeBatch(this.#batch, content);
    const batches = [viewBatch(this.#batch)];
    const group = planGroup(batches, 0);
    if (this.#tail.offset + frameBytes(group.contentBytes) > this.#tail.capacity) {
      this.#pen.give();
      return null;
    }
    const file = this.#newestFile();
    if (file === null) {
      this.#pen.give();
      return null;
    }
    const startedMs = this.#nowMs();
    const frame = this.#frames.write(file, group, batches, 0);
    this.#pen.give();
    this.observe(this.#nowMs() - startedMs);
    return frame;
  }

  /** Lets go of a file whose segment is below `segment`: it may be removed, or become another. */
  dropBelow(segment: number): void {
    if (this.#segment < segment) this.close();
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
    this.#segment = 0;
  }

  /** Null when it cannot be opened, for want of descriptors: the thread has it open. */
  #newestFile(): DiskFile | null {
    const { segment } = this.#tail;
    if (this.#file !== null && this.#segment === segment) return this.#file;
    this.close();
    try {
      this.#file = this.#disk.open(joinPath(this.#directory, segmentName(segment)), 'write');
    } catch (error) {
      if (error instanceof DiskError) return null;
      throw error;
    }
    this.#segment = segment;
    return this.#file;
  }
}
