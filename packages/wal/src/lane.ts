/**
 * The way from the caller to the writer and back. Two kinds: `inline-lane.ts` (same thread, for simulation) and
 * `thread-lane.ts` (writer thread).
 *
 * A lane keeps order, never calls back inside `submit`, and after `failed` calls nothing any more.
 */
import type { BatchContent } from './batch.ts';
import type { WrittenFrame } from './frame-writer.ts';

export interface LaneEvents {
  /** These frames are durable, and with them the next batches, as many as the frames hold. */
  written(frames: readonly WrittenFrame[]): void;
  /** The writer is gone; what was submitted and not reported may or may not be on disk. */
  failed(cause: unknown): void;
}

export interface Lane {
  /**
   * Queues a batch of `bytes` encoded bytes. Its contents are copied before this returns.
   * @param mayBlock it may also be made durable at once, on the caller's thread
   */
  submit(content: BatchContent, bytes: number, mayBlock: boolean): void;
  /** Segments below this number may go. */
  release(belowSegment: number): void;
  /** Does what waits, if the lane runs on the caller's thread. */
  pump(): void;
  /** Does what waits, then closes the files. */
  close(): Promise<void>;
}
