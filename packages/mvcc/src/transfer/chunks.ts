/**
 * A store image as a stream of chunks. SNAPSHOT-FORMAT.md says it in words, with a worked example.
 *
 *   chunk    "QSI" 01   sequence 4   kind 1   payload length 4   CRC-32C 4   payload
 *   kinds    1 begin: what it is the state of.   2 rows of small tables.   3 records.   4 end: counts, and a CRC-32C over all chunks before it.
 *
 * Each chunk stands for itself: a flipped bit is found before anything in it is believed. The sequence finds chunks that are missing, repeated or out
 * of order, and the end finds a stream that was cut off or mixed from two.
 */
import { crc32c } from '@node-rs/crc32';
import { readMain, readUint32, writeUint32 } from '../revision.ts';
import type { ImageInfo } from './types.ts';

export const CHUNK_HEADER_BYTES = 17;
const MAGIC = [0x51, 0x53, 0x49, 0x01] as const;
const CRC_AT = 13;
const TWO_32 = 2 ** 32;

export const CHUNK_BEGIN = 1;
export const CHUNK_META = 2;
export const CHUNK_RECORDS = 3;
export const CHUNK_END = 4;

/** A chunk or what it holds is not what a sender of images makes. */
export class DamagedImageError extends Error {
  override readonly name = 'DamagedImageError';
  readonly code = 'DAMAGED_IMAGE';
}

/** Fills in the header of a chunk whose payload lies behind it already. */
export function sealChunk(chunk: Uint8Array, sequence: number, kind: number): void {
  chunk.set(MAGIC, 0);
  writeUint32(chunk, 4, sequence);
  chunk[8] = kind;
  writeUint32(chunk, 9, chunk.length - CHUNK_HEADER_BYTES);
  writeUint32(chunk, CRC_AT, chunkCrc(chunk));
}

function chunkCrc(chunk: Uint8Array): number {
  return crcOver(crcOver(0, chunk.subarray(0, CRC_AT)), chunk.subarray(CHUNK_HEADER_BYTES));
}

/** CRC-32C of `bytes` behind what `crc` is the checksum of. */
export function crcOver(crc: number, bytes: Uint8Array): number {
  return crc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), crc);
}

/** @returns kind and payload @throws DamagedImageError */
export function openChunk(chunk: Uint8Array, sequence: number): { kind: number; payload: Uint8Array } {
  if (chunk.length < CHUNK_HEADER_BYTES) throw damaged(sequence, 'it is cut short');
  for (let i = 0; i < MAGIC.length; i++) {
    if (chunk[i] !== MAGIC[i]) throw damaged(sequence, 'it is no chunk of an image that this version reads');
  }
  if (readUint32(chunk, 9) !== chunk.length - CHUNK_HEADER_BYTES)
    throw damaged(sequence, 'its length is wrong');
  if (readUint32(chunk, CRC_AT) !== chunkCrc(chunk)) throw damaged(sequence, 'its checksum is wrong');
  const found = readUint32(chunk, 4);
  if (found !== sequence) throw damaged(sequence, `chunk ${found} came in its place`);
  return { kind: chunk[8]!, payload: chunk.subarray(CHUNK_HEADER_BYTES) };
}

export function damaged(sequence: number, why: string): DamagedImageError {
  return new DamagedImageError(`damaged image: chunk ${sequence}: ${why}`);
}

/** Index, term, revision, compact revision (one more than it is, since it may be -1), 8 bytes each. */
export function writeInfo(info: ImageInfo): Uint8Array {
  const chunk = new Uint8Array(CHUNK_HEADER_BYTES + 32);
  writeNumber(chunk, CHUNK_HEADER_BYTES, info.appliedIndex);
  writeNumber(chunk, CHUNK_HEADER_BYTES + 8, info.appliedTerm);
  writeNumber(chunk, CHUNK_HEADER_BYTES + 16, info.revision);
  writeNumber(chunk, CHUNK_HEADER_BYTES + 24, info.compactRevision + 1);
  return chunk;
}

export function readInfo(payload: Uint8Array): ImageInfo | null {
  if (payload.length !== 32) return null;
  return {
    appliedIndex: readMain(payload, 0),
    appliedTerm: readMain(payload, 8),
    revision: readMain(payload, 16),
    compactRevision: readMain(payload, 24) - 1,
  };
}

/** What the end says: rows and records, 8 bytes each, and the CRC-32C over all chunks before it. */
export interface ImageEnd {
  readonly rows: number;
  readonly records: number;
  readonly crc: number;
}

export function writeEnd(end: ImageEnd): Uint8Array {
  const chunk = new Uint8Array(CHUNK_HEADER_BYTES + 20);
  writeNumber(chunk, CHUNK_HEADER_BYTES, end.rows);
  writeNumber(chunk, CHUNK_HEADER_BYTES + 8, end.records);
  writeUint32(chunk, CHUNK_HEADER_BYTES + 16, end.crc);
  return chunk;
}

export function readEnd(payload: Uint8Array): ImageEnd | null {
  if (payload.length !== 20) return null;
  return { rows: readMain(payload, 0), records: readMain(payload, 8), crc: readUint32(payload, 16) };
}

/** A safe integer in 8 bytes, big-endian. */
export function writeNumber(target: Uint8Array, offset: number, value: number): void {
  writeUint32(target, offset, Math.floor(value / TWO_32));
  writeUint32(target, offset + 4, value % TWO_32);
}
