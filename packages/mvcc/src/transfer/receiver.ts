/**
 * The receiving end, in whichever thread it runs: checks chunks one by one and builds a store from them.
 *
 * Everything in a chunk is believed only after its checksum held, and nothing of the whole before its end came and agreed.
 */
import { readMain, readSub, readUint32 } from '../revision.ts';
import type { BuildCore } from './build-core.ts';
import {
  CHUNK_BEGIN,
  CHUNK_END,
  CHUNK_META,
  CHUNK_RECORDS,
  crcOver,
  DamagedImageError,
  damaged,
  openChunk,
  readEnd,
  readInfo,
} from './chunks.ts';
import { RECORD_FRAME_BYTES } from './image-source.ts';
import type { ImageInfo } from './types.ts';

export class ImageReceiver {
  readonly #core: BuildCore;
  #info: ImageInfo | null = null;
  #sequence = 0;
  #lastKind = 0;
  #rows = 0;
  #records = 0;
  #crc = 0;

  constructor(core: BuildCore) {
    this.#core = core;
  }

  /** @throws DamagedImageError, RefusedRecordError, BackendError; nothing may follow then but `abort` */
  write(chunk: Uint8Array): void {
    const { kind, payload } = openChunk(chunk, this.#sequence);
    // Kinds come in their order; rows and records as often as they like.
    const first = this.#sequence === 0;
    const ordered = first
      ? kind === CHUNK_BEGIN
      : kind >= this.#lastKind && kind !== CHUNK_BEGIN && this.#lastKind !== CHUNK_END;
    if (!ordered) throw damaged(this.#sequence, 'it does not belong here');
    if (kind === CHUNK_BEGIN) this.#begin(payload);
    else if (kind === CHUNK_META) this.#addRows(payload);
    else if (kind === CHUNK_RECORDS) this.#addRecords(payload);
    else if (kind === CHUNK_END) this.#checkEnd(payload);
    else throw damaged(this.#sequence, 'its kind is not known');
    this.#crc = crcOver(this.#crc, chunk);
    this.#lastKind = kind;
    this.#sequence++;
  }

  #begin(payload: Uint8Array): void {
    this.#info = readInfo(payload);
    if (this.#info === null) throw damaged(0, 'it does not say what it is the state of');
  }

  #addRows(payload: Uint8Array): void {
    let at = 0;
    const frame = (): Uint8Array => {
      const start = at + 4;
      const end = start + (start <= payload.length ? readUint32(payload, at) : Number.POSITIVE_INFINITY);
      if (end > payload.length) throw damaged(this.#sequence, 'a row in it is cut short');
      at = end;
      return payload.subarray(start, end);
    };
    while (at < payload.length) {
      const table = Buffer.from(frame()).toString('latin1');
      const key = frame();
      this.#core.putMeta(table, key, frame());
      this.#rows++;
    }
  }

  #addRecords(payload: Uint8Array): void {
    for (let at = 0; at < payload.length; ) {
      const start = at + RECORD_FRAME_BYTES;
      const end = start + (start <= payload.length ? readUint32(payload, at + 13) : Number.POSITIVE_INFINITY);
      if (end > payload.length) throw damaged(this.#sequence, 'a record in it is cut short');
      const flags = payload[at]!;
      if (flags > 1) throw damaged(this.#sequence, 'a record in it has unknown flags');
      const main = readMain(payload, at + 1);
      const sub = readSub(payload, at + 1);
      this.#core.add({ main, sub, tombstone: flags === 1, encoded: payload.subarray(start, end) });
      this.#records++;
      at = end;
    }
  }

  #checkEnd(payload: Uint8Array): void {
    const end = readEnd(payload);
    const agrees =
      end !== null && end.rows === this.#rows && end.records === this.#records && end.crc === this.#crc;
    if (!agrees)
      throw damaged(this.#sequence, 'its counts or its checksum of the whole do not agree with what came');
  }

  /** @param done in a later turn; an error leaves only `abort` */
  finish(done: (error: Error | null, info: ImageInfo | null) => void): void {
    if (this.#lastKind !== CHUNK_END) {
      throw new DamagedImageError(`damaged image: it ends after ${this.#sequence} chunks without its end`);
    }
    const info = this.#info!;
    this.#core.finish(info, (error) => done(error, error === null ? info : null));
  }

  abort(): void {
    this.#core.abort();
  }
}
