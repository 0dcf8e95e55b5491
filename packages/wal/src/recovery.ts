/**
 * Reading a log from its first frame to its last, and what may be forgiven at the end.
 *
 * `readLog` changes nothing and serves opening, verifying and dumping alike. It throws `WalCorruptionError` for
 * whatever an unfinished last write cannot explain. `repairTail` then clears such a write, durably, before anything is
 * appended: its blocks carry the stamps that the next frame will use.
 *
 *   seg1 | H1 F2 F3 |   seg2 | H4 F5 F6 (torn) ..... |     -> state after F5, repair clears seg2 from F6 on
 *   seg1 | H1 F2 F? |   seg2 | H4 ...                |     -> refused: H4 follows F3, so F3 was durable
 */
import type { Entry, HardState, SnapshotMeta } from '@quorate/raft';
import { BLOCK_BYTES } from './blocks.ts';
import type { Disk, DiskFile } from './disk.ts';
import { type CorruptionKind, WalCorruptionError } from './errors.ts';
import type { Failpoint } from './failpoints.ts';
import { FLAG_RESTART, FrameKind } from './frame.ts';
import {
  decodeHardState,
  decodeLogBody,
  decodeMarker,
  decodeSegmentHeader,
  encodeHardState,
  encodeMarker,
  FORMAT_VERSION,
  type LogFrame,
  type SegmentHeader,
} from './frame-body.ts';
import { LogIndex } from './log-index.ts';
import { joinPath, segmentName, segmentNumber } from './segment-name.ts';
import { inspectTail, type ScannedFrame, type SegmentEnd, scanSegment } from './segment-scan.ts';
import type { WriterState } from './segment-writer.ts';
import { termRuns } from './term-index.ts';
import type { WalRepair } from './wal.ts';

/** Watches a log go by. */
export interface LogVisitor {
  segment?(file: string, header: SegmentHeader, frame: ScannedFrame): void;
  frame?(file: string, frame: ScannedFrame, content: LogFrame): void;
}

export interface LogContents {
  readonly index: LogIndex;
  readonly writer: WriterState;
  readonly hardState: HardState | null;
  readonly snapshot: SnapshotMeta | null;
  /** An unfinished last write that is still on disk. */
  readonly torn: WalRepair | null;
  /** The last whole frame, in the newest segment. */
  readonly lastFrame: { readonly offset: number; readonly bytes: number };
}

/** Segment numbers in `directory`, ascending. @throws WalCorruptionError when files stand in for each other */
export function listSegments(disk: Disk, directory: string): number[] {
  const numbers: number[] = [];
  for (const name of disk.list(directory)) {
    const number = segmentNumber(name);
    if (number !== null) numbers.push(number);
    else if (name.endsWith('.wal')) {
      throw refusal('wrong-segment', joinPath(directory, name), 0, 0, 'nothing, if it is a copy', {
        detail: 'the name is not that of a segment; move the file away',
      });
    }
  }
  numbers.sort((a, b) => a - b);
  for (const [at, number] of numbers.entries()) {
    const wanted = numbers[0]! + at;
    if (number !== wanted) {
      const file = joinPath(directory, segmentName(wanted));
      throw refusal('missing-segment', file, 0, 0, 'every entry of that file and of the files after it', {
        detail: `the file is missing, but ${segmentName(number)} is there`,
      });
    }
  }
  return numbers;
}

/** Reads all of the log; null when there is none. */
export function readLog(disk: Disk, directory: string, visitor: LogVisitor = {}): LogContents | null {
  const numbers = listSegments(disk, directory);
  if (numbers.length === 0) return null;
  const reading = new LogReading(disk, directory, numbers, visitor);
  for (const number of numbers) reading.readSegment(number);
  return reading.contents();
}

class LogReading {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #numbers: readonly number[];
  readonly #visitor: LogVisitor;
  readonly #index = new LogIndex();
  #next: { sequence: number; chain: number } | null = null;
  #offset = 0;
  #lastFrame = { offset: 0, bytes: 0 };
  #metadata: Buffer = Buffer.alloc(0);
  #hardState: HardState | null = null;
  #snapshot: SnapshotMeta | null = null;
  #torn: WalRepair | null = null;
  /** False while the log begins where the released files ended, which later frames may still correct. */
  #beginIsKnown = false;

  constructor(disk: Disk, directory: string, numbers: readonly number[], visitor: LogVisitor) {
    this.#disk = disk;
    this.#directory = directory;
    this.#numbers = numbers;
    this.#visitor = visitor;
  }

  readSegment(number: number): void {
    const path = joinPath(this.#directory, segmentName(number));
    const file = this.#disk.open(path, 'read');
    try {
      const frames = scanSegment(file, number, this.#next);
      for (let step = frames.next(); ; step = frames.next()) {
        if (step.done === true) {
          this.#judgeEnd(file, number, step.value);
          return;
        }
        this.#take(path, number, step.value);
      }
    } finally {
      file.close();
    }
  }

  contents(): LogContents {
    const { terms } = this.#index;
    return {
      index: this.#index,
      hardState: this.#hardState,
      snapshot: this.#snapshot,
      torn: this.#torn,
      lastFrame: this.#lastFrame,
      writer: {
        segments: this.#numbers,
        offset: this.#offset,
        sequence: this.#next!.sequence,
        chain: this.#next!.chain,
        lastIndex: terms.lastIndex,
        lastTerm: terms.lastTerm,
        hardState: this.#hardState === null ? Buffer.alloc(0) : encodeHardState(this.#hardState),
        marker: this.#snapshot === null ? Buffer.alloc(0) : encodeMarker(this.#snapshot),
        metadata: this.#metadata,
      },
    };
  }

  #take(path: string, number: number, frame: ScannedFrame): void {
    if (frame.header.kind === FrameKind.segmentHeader) this.#takeSegmentHeader(path, number, frame);
    else this.#takeLogFrame(path, number, frame);
    this.#next = { sequence: frame.header.sequence + 1, chain: frame.header.chain };
    this.#offset = frame.offset + frame.bytes;
    this.#lastFrame = { offset: frame.offset, bytes: frame.bytes };
  }

  #takeSegmentHeader(path: string, number: number, frame: ScannedFrame): void {
    const header = decodeSegmentHeader(frame.body);
    const impossible = (detail: string): WalCorruptionError =>
      this.#corrupt('impossible-content', path, 0, detail);
    if (header === null) throw impossible('the segment header cannot be read');
    if (header.version !== FORMAT_VERSION) {
      throw impossible(`the format is version ${header.version}; this build reads version ${FORMAT_VERSION}`);
    }
    if (header.segment !== number) {
      throw this.#corrupt('wrong-segment', path, 0, `the file holds segment ${header.segment}`);
    }
    const { terms } = this.#index;
    if (number === this.#numbers[0]) {
      terms.reset(header.lastIndex, header.lastTerm);
      this.#metadata = header.metadata;
      this.#hardState = header.hardState.length === 0 ? null : decodeHardState(header.hardState);
      this.#snapshot = header.marker.length === 0 ? null : decodeMarker(header.marker);
    } else if (header.lastIndex !== terms.lastIndex || header.lastTerm !== terms.lastTerm) {
      throw impossible(`the segment continues entry ${header.lastIndex}, the log ends at ${terms.lastIndex}`);
    } else if (!header.metadata.equals(this.#metadata)) {
      throw this.#corrupt('wrong-segment', path, 0, 'the metadata differs from that of the segment before');
    }
    this.#index.addSegment(number, frame.bytes);
    this.#visitor.segment?.(path, header, frame);
  }

  #takeLogFrame(path: string, number: number, frame: ScannedFrame): void {
    const content = decodeLogBody(frame.header, frame.body);
    const impossible = (detail: string): WalCorruptionError =>
      this.#corrupt('impossible-content', path, frame.offset, detail);
    if (content === null) throw impossible('the frame cannot be decoded');
    const { terms } = this.#index;
    const { marker, entries, hardState } = content;
    const restart = (frame.header.flags & FLAG_RESTART) !== 0;
    if (restart && marker === null) throw impossible('the log restarts without a snapshot marker');
    const restartAt = restart && marker !== null ? { index: marker.index, term: marker.term } : null;
    const end = restartAt?.index ?? terms.lastIndex;
    const first = entries[0]?.index ?? end + 1;
    if (first > end + 1) throw impossible(`entry ${first} follows entry ${end}`);
    if (first < terms.firstIndex && this.#beginIsKnown && restartAt === null) {
      throw impossible(`entry ${first} lies before the beginning of the log at ${terms.firstIndex}`);
    }
    if (restartAt !== null && first <= end)
      throw impossible(`entry ${first} lies before the snapshot at ${end}`);
    const kept = this.#withoutUnknownPast(entries);
    const runs = termRuns(kept);
    let term = (restartAt !== null ? restartAt.term : terms.term((kept[0]?.index ?? end + 1) - 1)) ?? 0;
    for (const run of runs) {
      if (run.term < term)
        throw impossible(`the term falls from ${term} to ${run.term} at ${run.firstIndex}`);
      term = run.term;
    }
    const place = { segment: number, offset: frame.offset, bytes: frame.bytes };
    this.#index.apply(place, { restartAt, runs, entryCount: kept.length });
    if (restartAt !== null) this.#beginIsKnown = true;
    if (hardState !== null) this.#hardState = hardState;
    if (marker !== null) this.#snapshot = marker;
    this.#visitor.frame?.(path, frame, content);
  }

  /**
   * The oldest segment may begin by replacing entries whose first form went with the files before it. The log then begins with the
   * first of them, which only lends its term: what came before it is not known.
   */
  #withoutUnknownPast(entries: readonly Entry[]): readonly Entry[] {
    const { terms } = this.#index;
    const first = entries[0];
    if (this.#beginIsKnown || first === undefined || first.index >= terms.firstIndex) return entries;
    terms.reset(first.index, first.term);
    return entries.slice(1);
  }

  #judgeEnd(file: DiskFile, number: number, end: SegmentEnd): void {
    const path = file.path;
    if (end.kind === 'damaged') throw this.#corrupt(end.as, path, end.offset, end.detail);
    if (end.offset === 0) {
      throw this.#corrupt('damaged-header', path, 0, 'the segment header is missing or damaged');
    }
    const sequence = this.#next!.sequence;
    if (number !== this.#numbers.at(-1)) {
      // The next segment says whether frames are missing here; a torn frame cannot be followed by one.
      const next = this.#firstSequence(number + 1);
      if (end.kind === 'torn') throw this.#corrupt('damaged-body', path, end.offset, end.detail);
      if (next !== null && next !== sequence) {
        const detail = `frame ${sequence} is missing: the next segment begins with frame ${next}`;
        throw this.#corrupt('missing-frame', path, end.offset, detail);
      }
      return;
    }
    const tail = inspectTail(file, number, end.offset, sequence);
    if (tail.laterFrameAt !== null) {
      const what = end.kind === 'torn' ? end.detail : `frame ${sequence} is missing`;
      const detail = `${what}, and a later frame stands at byte ${tail.laterFrameAt}`;
      throw this.#corrupt('missing-frame', path, end.offset, detail);
    }
    if (end.kind === 'torn' || tail.residueEnd > end.offset) {
      const reason = end.kind === 'torn' ? end.detail : `frame ${sequence} lacks its first block`;
      const bytes = Math.max(tail.residueEnd - end.offset, BLOCK_BYTES);
      this.#torn = { file: path, offset: end.offset, bytes, reason };
    }
  }

  #firstSequence(number: number): number | null {
    const path = joinPath(this.#directory, segmentName(number));
    const file = this.#disk.open(path, 'read');
    try {
      const step = scanSegment(file, number, null).next();
      if (step.done === true) return null;
      const header = decodeSegmentHeader(step.value.body);
      if (header !== null && header.version === FORMAT_VERSION && header.segment !== number) {
        throw this.#corrupt('wrong-segment', path, 0, `the file holds segment ${header.segment}`);
      }
      return step.value.header.sequence;
    } finally {
      file.close();
    }
  }

  #corrupt(kind: CorruptionKind, file: string, offset: number, detail: string): WalCorruptionError {
    const { lastIndex } = this.#index.terms;
    const lost = `whatever was written after entry ${lastIndex}`;
    return refusal(kind, file, offset, lastIndex, lost, { detail });
  }
}

function refusal(
  kind: CorruptionKind,
  file: string,
  offset: number,
  lastGoodIndex: number,
  lost: string,
  { detail }: { detail: string },
): WalCorruptionError {
  return new WalCorruptionError({ kind, file, offset, lastGoodIndex, lost, detail });
}

/**
 * Makes what was read durable, clears an unfinished last write, and gives the file its full length back.
 *
 * What was read may be in the page cache alone: the process was killed before its sync, or the sync failed. After
 * a failed sync the kernel takes the pages for clean, and a sync now would succeed without writing them; so the last frame, the
 * only one that can be concerned, is written again first. Writing the same bytes in place is safe at any moment.
 */
export function repairTail(
  disk: Disk,
  contents: LogContents,
  options: { directory: string; segmentBytes: number; noSync: boolean; failpoint: Failpoint },
): void {
  const newest = contents.writer.segments.at(-1)!;
  const path = joinPath(options.directory, segmentName(newest));
  const file = disk.open(path, 'write');
  try {
    const { offset: lastOffset, bytes: lastBytes } = contents.lastFrame;
    file.write(file.read(lastOffset, lastBytes), lastOffset);
    if (contents.torn !== null) {
      options.failpoint('walBeforeRepair');
      const { offset, bytes } = contents.torn;
      file.write(Buffer.alloc(Math.min(bytes, Math.max(file.size() - offset, 0))), offset);
    }
    if (file.size() < options.segmentBytes) {
      // A file cut short may end inside a block.
      file.truncate(Math.min(file.size(), contents.writer.offset));
      file.preallocate(options.segmentBytes);
    }
    if (!options.noSync) file.sync();
  } finally {
    file.close();
  }
  // The newest segment's name may be as young as its last frame.
  if (!options.noSync) disk.syncDirectory(options.directory);
}
