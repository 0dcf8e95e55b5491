/**
 * An open image: the small tables, copied when it was opened, and the records, read from `log` as they are asked for.
 *
 *   openPin ──> (flush of the log held) rows copied ──> (flush goes on) superseded records noted ──> open ──readRecords──> ... ──close──> removal goes on
 *
 * Which records belong to it follows from its compact revision C alone, so that every member's image of the same entry is the same: all above C, all
 * at C, and of those below C the newest of each key unless it is a tombstone. Removal usually finished with C before the image is opened; what it still
 * owes is found as `read/hash.ts` finds it, by the pointers of later records up to C.
 */
import { copyBytes, EMPTY } from '../bytes.ts';
import { emptyRecordHeader, readRecordHeader } from '../log-record.ts';
import { RevisionSet } from '../read/revision-set.ts';
import type { SlicedWork } from '../read/sliced.ts';
import type { ReadView } from '../read/view.ts';
import { META, metaTable } from '../tables.ts';
import { FrameReader, FrameWriter } from '../writer/jobs.ts';
import { CHUNK_HEADER_BYTES } from './chunks.ts';
import type { ImageInfo, ImageRecord, StoreImage } from './types.ts';

/** What keeps an image whole while it is open (`flush/`). */
export interface ImagePin {
  readonly info: ImageInfo;
  /** Compact revision whose removal was complete when the image was opened. */
  readonly removalFinished: number;
  /** The small tables on disk may change from now on. */
  rowsCopied(): void;
  /** Removal may go on. Twice changes nothing. */
  release(): void;
}

export interface ImageHost {
  readonly view: ReadView;
  readonly pin: ImagePin;
  readonly monotonicMs: () => number;
  readonly sliceMs: number;
  /** @throws when the store was closed or replaced */
  readonly check: () => void;
}

/** Rows are kept as they go into chunks. */
export const BLOCK_BYTES = 256 << 10;
const ROWS_PER_LOOK = 64;
const RECORDS_PER_LOOK = 64;

/** Rows of small tables: `{ table, key, value }*`, each framed, in blocks of about 256 KiB with room for a chunk's header in front. */
export interface RowBlock {
  readonly bytes: Uint8Array;
  readonly rows: number;
}

/** Opens an image in slices. */
export class ImageOpening implements SlicedWork<OpenImage> {
  readonly #host: ImageHost;
  readonly #blocks: RowBlock[] = [];
  readonly #tables: string[] = [];
  #block = newBlock();
  #rows = 0;
  /** Where the copying of rows goes on; null: all are copied. */
  #tableFrom: Uint8Array | null = EMPTY;
  #rowFrom: Uint8Array = EMPTY;
  readonly #superseded = new RevisionSet();
  readonly #header = emptyRecordHeader();
  #atMain: number;
  #atSub = 0;

  constructor(host: ImageHost) {
    this.#host = host;
    const firstInMemory = host.view.records.firstMemoryMain();
    this.#atMain = Math.max(0, Math.min(host.pin.removalFinished, firstInMemory));
  }

  step(clockMs: () => number, deadlineMs: number): OpenImage | null {
    this.#host.check();
    while (this.#tableFrom !== null) {
      if (!this.#copyTable(this.#tableFrom, clockMs, deadlineMs)) return null;
    }
    if (this.#rows > 0) this.#endBlock();
    this.#host.pin.rowsCopied();
    if (!this.#noteSuperseded(clockMs, deadlineMs)) return null;
    return new OpenImage(this.#host, this.#tables, this.#blocks, this.#superseded);
  }

  /** Copies rows of the first table at or above the table key `from`. @returns whether the table is done */
  #copyTable(from: Uint8Array, clockMs: () => number, deadlineMs: number): boolean {
    const { reader } = this.#host.view;
    let name: Uint8Array | null = null;
    reader.scan(META, { low: from, high: null }, (key) => {
      name = copyBytes(key.subarray(0, key.indexOf(0)));
      return false;
    });
    if (name === null) {
      this.#tableFrom = null;
      return true;
    }
    const table = Buffer.from(name as Uint8Array).toString('latin1');
    let untilLook = ROWS_PER_LOOK;
    let ended = true;
    metaTable(table).scan(reader, this.#rowFrom, null, (key, value) => {
      if (untilLook-- === 0) {
        if (clockMs() >= deadlineMs) {
          this.#rowFrom = copyBytes(key);
          ended = false;
          return false;
        }
        untilLook = ROWS_PER_LOOK;
      }
      this.#addRow(name!, key, value);
      return true;
    });
    if (this.#tables[this.#tables.length - 1] !== table) this.#tables.push(table);
    this.#tableFrom = ended ? Buffer.from(`${table}\x01`, 'latin1') : from;
    if (ended) this.#rowFrom = EMPTY;
    return ended;
  }

  #addRow(name: Uint8Array, key: Uint8Array, value: Uint8Array): void {
    const size = 12 + name.length + key.length + value.length;
    if (this.#rows > 0 && this.#block.used + size > BLOCK_BYTES) this.#endBlock();
    this.#block.frame(name, 0, name.length);
    this.#block.frame(key, 0, key.length);
    this.#block.frame(value, 0, value.length);
    this.#rows++;
  }

  #endBlock(): void {
    this.#blocks.push({ bytes: this.#block.finish().slice(), rows: this.#rows });
    this.#block = newBlock();
    this.#rows = 0;
  }

  /** @returns whether all were noted */
  #noteSuperseded(clockMs: () => number, deadlineMs: number): boolean {
    const { view, pin } = this.#host;
    const { compactRevision } = pin.info;
    const header = this.#header;
    let untilLook = RECORDS_PER_LOOK;
    let ended = true;
    view.records.walk(this.#atMain, this.#atSub, compactRevision, (main, sub, frame) => {
      if (untilLook-- === 0) {
        if (clockMs() >= deadlineMs) {
          this.#atMain = main;
          this.#atSub = sub;
          ended = false;
          return false;
        }
        untilLook = RECORDS_PER_LOOK;
      }
      readRecordHeader(frame.bytes, frame.start, header);
      if (header.previousMain !== 0 && header.previousMain < compactRevision) {
        this.#superseded.add(header.previousMain, header.previousSub, true);
      }
      return true;
    });
    return ended;
  }
}

function newBlock(): FrameWriter {
  const block = new FrameWriter(16 << 10);
  for (let i = 0; i < CHUNK_HEADER_BYTES; i++) block.byte(0);
  return block;
}

/** Visits the rows behind the header of a block or a chunk until `visit` returns false. @returns whether all were visited */
export function visitRows(
  payload: Uint8Array,
  visit: (table: string, key: Uint8Array, value: Uint8Array) => boolean,
): boolean {
  const frames = new FrameReader(payload);
  while (!frames.ended) {
    const table = Buffer.from(frames.frame()).toString('latin1');
    const key = frames.frame();
    if (!visit(table, key, frames.frame())) return false;
  }
  return true;
}

export class OpenImage implements StoreImage {
  readonly #host: ImageHost;
  readonly metaTables: readonly string[];
  /** For chunks: the rows as they are. */
  readonly blocks: readonly RowBlock[];
  readonly #superseded: RevisionSet;
  readonly #header = emptyRecordHeader();
  #atMain = 0;
  #atSub = 0;
  #closed = false;

  constructor(
    host: ImageHost,
    tables: readonly string[],
    blocks: readonly RowBlock[],
    superseded: RevisionSet,
  ) {
    this.#host = host;
    this.metaTables = tables;
    this.blocks = blocks;
    this.#superseded = superseded;
  }

  get appliedIndex(): number {
    return this.#host.pin.info.appliedIndex;
  }

  get appliedTerm(): number {
    return this.#host.pin.info.appliedTerm;
  }

  get revision(): number {
    return this.#host.pin.info.revision;
  }

  get compactRevision(): number {
    return this.#host.pin.info.compactRevision;
  }

  get info(): ImageInfo {
    return this.#host.pin.info;
  }

  scanMeta(table: string, visit: (key: Uint8Array, value: Uint8Array) => boolean): void {
    for (const { bytes } of this.blocks) {
      const goOn = visitRows(bytes.subarray(CHUNK_HEADER_BYTES), (name, key, value) =>
        name === table ? visit(key, value) : true,
      );
      if (!goOn) return;
    }
  }

  /** @throws when it is closed, or the store it is of was closed or got another state */
  check(): void {
    if (this.#closed) throw new Error('the image is closed');
    this.#host.check();
  }

  readRecords(maxBytes: number): readonly ImageRecord[] {
    this.check();
    const records: ImageRecord[] = [];
    const { view, monotonicMs, sliceMs } = this.#host;
    const deadlineMs = monotonicMs() + sliceMs;
    let bytes = 0;
    let untilLook = RECORDS_PER_LOOK;
    let ended = true;
    view.records.walk(this.#atMain, this.#atSub, this.revision, (main, sub, frame, stable) => {
      if (records.length > 0 && (bytes >= maxBytes || (untilLook <= 0 && monotonicMs() >= deadlineMs))) {
        this.#atMain = main;
        this.#atSub = sub;
        ended = false;
        return false;
      }
      if (untilLook-- <= 0) untilLook = RECORDS_PER_LOOK;
      readRecordHeader(frame.bytes, frame.start, this.#header);
      const { tombstone, keyValueStart } = this.#header;
      if (main < this.compactRevision && (tombstone || this.#superseded.get(main, sub) !== undefined)) {
        return true;
      }
      const view = frame.bytes.subarray(keyValueStart, frame.end);
      records.push({ main, sub, tombstone, encoded: stable ? view : copyBytes(view) });
      bytes += frame.end - keyValueStart;
      return true;
    });
    if (ended) {
      this.#atMain = this.revision + 1;
      this.#atSub = 0;
    }
    return records;
  }

  close(): void {
    this.#closed = true;
    this.#host.pin.release();
  }
}
