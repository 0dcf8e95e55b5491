/**
 * Reads entries back from segment files, on the caller's thread: for slow followers, and for replay at start.
 *
 * Only durable frames are asked for, so nothing here races with the writer. Every frame is checked again on the way: a
 * disk may return something else than it took.
 */
import type { Entry } from '@quorate/raft';
import { BLOCK_BYTES, gather, STAMP_BYTES } from './blocks.ts';
import type { Disk, DiskFile } from './disk.ts';
import { WalCorruptionError } from './errors.ts';
import { bodyMatches, FRAME_HEADER_BYTES, parseFrameHeader } from './frame.ts';
import { decodeLogBody } from './frame-body.ts';
import type { FramePlace, LogIndex } from './log-index.ts';
import { joinPath, segmentName } from './segment-name.ts';

/** Files kept open: a follower reads one segment after the other. */
const MAX_OPEN_FILES = 4;

export class SegmentReader {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #index: LogIndex;
  /** Open files by segment, least recently used first. */
  readonly #files = new Map<number, DiskFile>();
  /** The frame read last: short reads often go on within it. */
  #lastPlace: FramePlace | null = null;
  #lastEntries: readonly Entry[] = [];

  constructor(disk: Disk, directory: string, index: LogIndex) {
    this.#disk = disk;
    this.#directory = directory;
    this.#index = index;
  }

  /** Entries in `[low, high)`, which lie in the log; at least one, no more than `maxBytes` of data unless the first is larger. */
  read(low: number, high: number, maxBytes: number): Entry[] {
    const found: Entry[] = [];
    let bytes = 0;
    for (let next = low; next < high; ) {
      const { place, end } = this.#index.find(next);
      for (const entry of this.#frameEntries(place)) {
        if (entry.index < next || entry.index >= Math.min(end, high)) continue;
        bytes += entry.data.length;
        if (bytes > maxBytes && found.length > 0) return found;
        found.push(entry);
      }
      const reached = found.at(-1)?.index ?? 0;
      if (reached < next) throw this.#unreadable(place, `entry ${next} is not in its frame`);
      next = reached + 1;
    }
    return found;
  }

  /** Closes the files of segments below `segment`, whose contents will change. */
  dropBelow(segment: number): void {
    for (const [number, file] of this.#files) {
      if (number >= segment) continue;
      file.close();
      this.#files.delete(number);
    }
    if (this.#lastPlace !== null && this.#lastPlace.segment < segment) this.#forgetLast();
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
    this.#forgetLast();
  }

  #forgetLast(): void {
    this.#lastPlace = null;
    this.#lastEntries = [];
  }

  #frameEntries(place: FramePlace): readonly Entry[] {
    if (this.#lastPlace === place) return this.#lastEntries;
    const bytes = this.#file(place.segment).read(place.offset, place.bytes);
    const blocks = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const header = blocks.length < BLOCK_BYTES ? null : parseFrameHeader(blocks, STAMP_BYTES);
    if (header === null || blocks.length < place.bytes) throw this.#unreadable(place, 'its header fails');
    const content = gather(blocks, FRAME_HEADER_BYTES + header.bodyBytes);
    const frame = bodyMatches(content, header)
      ? decodeLogBody(header, content.subarray(FRAME_HEADER_BYTES))
      : null;
    if (frame === null) throw this.#unreadable(place, 'its checksum fails');
    this.#lastPlace = place;
    this.#lastEntries = frame.entries;
    return frame.entries;
  }

  #file(segment: number): DiskFile {
    let file = this.#files.get(segment);
    if (file === undefined) {
      file = this.#disk.open(joinPath(this.#directory, segmentName(segment)), 'read');
    } else {
      this.#files.delete(segment);
    }
    this.#files.set(segment, file);
    if (this.#files.size > MAX_OPEN_FILES) {
      const [oldest, oldestFile] = this.#files.entries().next().value!;
      oldestFile.close();
      this.#files.delete(oldest);
    }
    return file;
  }

  #unreadable(place: FramePlace, detail: string): WalCorruptionError {
    return new WalCorruptionError({
      kind: 'damaged-body',
      file: joinPath(this.#directory, segmentName(place.segment)),
      offset: place.offset,
      lastGoodIndex: 0,
      lost: 'the entries of one frame',
      detail: `a frame that was durable does not read back: ${detail}`,
    });
  }
}
