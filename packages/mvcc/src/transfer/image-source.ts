/** An open image as chunks (`chunks.ts`): begin, rows, records, end. */
import { writeRevisionKey, writeUint32 } from '../revision.ts';
import {
  CHUNK_BEGIN,
  CHUNK_END,
  CHUNK_HEADER_BYTES,
  CHUNK_META,
  CHUNK_RECORDS,
  crcOver,
  sealChunk,
  writeEnd,
  writeInfo,
} from './chunks.ts';
import { BLOCK_BYTES, type OpenImage } from './image.ts';
import type { ImageInfo, ImageRecord, ImageSource } from './types.ts';

/** What a record takes in a chunk besides its bytes: flags, revision, length. */
export const RECORD_FRAME_BYTES = 17;

export class ChunkedImage implements ImageSource {
  readonly info: ImageInfo;
  readonly #image: OpenImage;
  readonly #afterPoll: (callback: () => void) => void;
  #stage: 'begin' | 'rows' | 'records' | 'over' = 'begin';
  #sequence = 0;
  #block = 0;
  #rows = 0;
  #records = 0;
  #crc = 0;
  #failed: Error | null = null;

  constructor(image: OpenImage, afterPoll: (callback: () => void) => void) {
    this.#image = image;
    this.info = image.info;
    this.#afterPoll = afterPoll;
  }

  next(done: (error: Error | null, chunk: Uint8Array | null) => void): void {
    this.#afterPoll(() => {
      let chunk: Uint8Array | null = null;
      try {
        if (this.#failed !== null) throw this.#failed;
        if (this.#stage !== 'over') this.#image.check();
        chunk = this.#next();
      } catch (error) {
        // What was given out so far cannot be taken back, so there is no going on either.
        this.#failed = error as Error;
        this.close();
        done(this.#failed, null);
        return;
      }
      done(null, chunk);
    });
  }

  #next(): Uint8Array | null {
    if (this.#stage === 'begin') {
      this.#stage = 'rows';
      return this.#sealed(writeInfo(this.info), CHUNK_BEGIN);
    }
    if (this.#stage === 'rows') {
      const block = this.#image.blocks[this.#block++];
      if (block !== undefined) {
        this.#rows += block.rows;
        return this.#sealed(block.bytes.slice(), CHUNK_META);
      }
      this.#stage = 'records';
    }
    if (this.#stage === 'records') {
      const records = this.#image.readRecords(BLOCK_BYTES - (16 << 10));
      if (records.length > 0) {
        this.#records += records.length;
        return this.#sealed(packRecords(records), CHUNK_RECORDS);
      }
      this.#stage = 'over';
      return this.#sealed(writeEnd({ rows: this.#rows, records: this.#records, crc: this.#crc }), CHUNK_END);
    }
    return null;
  }

  #sealed(chunk: Uint8Array, kind: number): Uint8Array {
    sealChunk(chunk, this.#sequence++, kind);
    this.#crc = crcOver(this.#crc, chunk);
    return chunk;
  }

  close(): void {
    this.#image.close();
  }
}

/** `{ flags 1 (1: tombstone), main 8, sub 4, length 4, KeyValue }*`, with room for the header in front. */
function packRecords(records: readonly ImageRecord[]): Uint8Array {
  let size = CHUNK_HEADER_BYTES;
  for (const { encoded } of records) size += RECORD_FRAME_BYTES + encoded.length;
  const chunk = new Uint8Array(size);
  let at = CHUNK_HEADER_BYTES;
  for (const { main, sub, tombstone, encoded } of records) {
    chunk[at] = tombstone ? 1 : 0;
    writeRevisionKey(chunk, at + 1, main, sub);
    writeUint32(chunk, at + 13, encoded.length);
    chunk.set(encoded, at + RECORD_FRAME_BYTES);
    at += RECORD_FRAME_BYTES + encoded.length;
  }
  return chunk;
}
