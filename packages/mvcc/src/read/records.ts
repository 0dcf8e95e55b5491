/**
 * Records by revision: the memory segments over `log`.
 *
 * Segments follow each other in revision order; the last one is active. Records up to `flushedMain` are in `log` (and perhaps still in a
 * segment, which is faster); later ones only in segments.
 */
import { assert, InvariantError } from '../assert.ts';
import type { BackendReader } from '../backend/backend.ts';
import { copyBytes, EMPTY } from '../bytes.ts';
import { RecordSegment } from '../memtable/record-segment.ts';
import { REVISION_KEY_BYTES, readMain, readSub, revisionKey, writeRevisionKey } from '../revision.ts';
import type { RecordFrame, RecordSource } from '../stored-record.ts';
import { LOG } from '../tables.ts';

/** Called for each record in order until it returns false. A frame that is not `stable` is valid during the call only. */
export type RecordVisitor = (main: number, sub: number, frame: RecordFrame, stable: boolean) => boolean;

export class Records implements RecordSource {
  #reader: BackendReader;
  readonly #segments: RecordSegment[] = [new RecordSegment()];
  readonly #peeked: { bytes: Uint8Array; start: number; end: number } = { bytes: EMPTY, start: 0, end: 0 };
  readonly #revisionKey = new Uint8Array(REVISION_KEY_BYTES);
  /** The one before the active segment, while the writer works on it. */
  sealed: RecordSegment | null = null;
  /** Greatest main revision whose records are all in `log`. */
  flushedMain: number;
  compactRevision = -1;

  constructor(reader: BackendReader, flushedMain: number) {
    this.#reader = reader;
    this.flushedMain = flushedMain;
  }

  get active(): RecordSegment {
    return this.#segments[this.#segments.length - 1]!;
  }

  /** Bytes of all segments, the ring included. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  useReader(reader: BackendReader): void {
    this.#reader = reader;
  }

  seal(): RecordSegment {
    assert(this.sealed === null, 'one segment is sealed at a time');
    this.sealed = this.active;
    this.#segments.push(new RecordSegment());
    return this.sealed;
  }

  /** The sealed segment is in `log`: it stays as part of the ring as long as there is room. */
  dropSealed(ringBytes: number): void {
    this.sealed = null;
    let flushedBytes = this.bytes - this.active.bytes;
    while (this.#segments.length > 1 && flushedBytes > ringBytes) {
      flushedBytes -= this.#segments.shift()!.bytes;
    }
  }

  frame(main: number, sub: number): RecordFrame {
    const frame = this.find(main, sub);
    if (frame === null) throw new InvariantError(`record ${main}.${sub} is missing`);
    return frame;
  }

  /** @returns null for a record that compaction removed @throws InvariantError when one above the compact revision is missing */
  find(main: number, sub: number): RecordFrame | null {
    const frame = this.peek(main, sub);
    if (frame === null || frame !== this.#peeked) return frame;
    return { bytes: copyBytes(frame.bytes), start: 0, end: frame.end };
  }

  /** The same without a copy: valid until the next call that reads. */
  peek(main: number, sub: number): RecordFrame | null {
    for (let i = this.#segments.length - 1; i >= 0; i--) {
      const segment = this.#segments[i]!;
      if (segment.count === 0 || segment.firstMain > main) continue;
      if (segment.lastMain < main) break;
      const index = segment.find(main, sub);
      if (index !== -1) return segment.frame(index);
    }
    writeRevisionKey(this.#revisionKey, 0, main, sub);
    const bytes = this.#reader.get(LOG, this.#revisionKey);
    if (bytes !== undefined) {
      this.#peeked.bytes = bytes;
      this.#peeked.end = bytes.length;
      return this.#peeked;
    }
    if (main > this.compactRevision)
      throw new InvariantError(`record ${main}.${sub} is missing from the log`);
    return null;
  }

  /** Visits records from `(main, sub)` on, up to and with main revision `last`. */
  walk(main: number, sub: number, last: number, visit: RecordVisitor): void {
    // Also, a negative revision has no key in `log`.
    if (last < main) return;
    const fromMemory = this.firstMemoryMain();
    if (main < fromMemory) {
      let goOn = true;
      const low = revisionKey(main, sub);
      const high = revisionKey(Math.min(last + 1, fromMemory), 0);
      const frame: { bytes: Uint8Array; start: number; end: number } = { bytes: EMPTY, start: 0, end: 0 };
      this.#reader.scanLog({ low, high }, (keys, keyStart, values, valueBytes) => {
        frame.bytes = values;
        frame.end = valueBytes;
        goOn = visit(readMain(keys, keyStart), readSub(keys, keyStart), frame, false);
        return goOn;
      });
      if (!goOn) return;
    }
    for (const segment of this.#segments) {
      for (let i = segment.lowerBound(main, sub); i < segment.count; i++) {
        const at = segment.main(i);
        if (at > last) return;
        if (!visit(at, segment.sub(i), segment.frame(i), true)) return;
      }
    }
  }

  /** Lowest main revision that a segment holds. */
  firstMemoryMain(): number {
    for (const segment of this.#segments) if (segment.count > 0) return segment.firstMain;
    return Number.MAX_SAFE_INTEGER;
  }
}
