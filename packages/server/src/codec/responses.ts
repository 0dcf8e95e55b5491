/**
 * KV outcomes as response messages.
 *
 * Records already hold their `mvccpb.KeyValue` bytes (`KeyRecord.encoded`) and are copied as they are; what is left
 * to write are tags, lengths and a header. An outer response has the full header; the responses of txn operations
 * have one with the revision alone (sem-002), and nested txns an empty one, as etcd sends them.
 *
 * Sizes of nested messages are measured once, in the order in which they are written, and consumed in that order.
 * Answers too large for one turn go through `sliced.ts` instead.
 */
import type { KeyRecord } from '@quorate/mvcc';
import { limits } from '@quorate/proto';
import type { ResponseHeader } from '../api/header.ts';
import type { DeleteRangeOutcome, PutOutcome, RangeOutcome, TxnOutcome } from '../results.ts';
import { sizeDelimited, sizeNumberField, WireWriter } from './wire-writer.ts';

/** gRPC messages are at most this long; etcd's servers send up to it. */
const MAX_RESPONSE_BYTES = limits.maxMessageBytes;

/** The answer does not fit a gRPC message: the caller should ask for less at a time. */
export class ResponseTooLargeError extends Error {
  override readonly name = 'ResponseTooLargeError';
  constructor(bytes: number) {
    super(`grpc: trying to send message larger than max (${bytes} vs. ${MAX_RESPONSE_BYTES})`);
  }
}

const HEADER = 0x0a;
const REVISION = 0x18;

export function encodeRangeResponse(header: ResponseHeader, outcome: RangeOutcome): Uint8Array {
  const headerBytes = header.size(outcome.revision);
  const writer = new WireWriter(sizeDelimited(headerBytes) + sizeRange(outcome));
  writeHeader(writer, header, headerBytes, outcome.revision);
  writeRange(writer, outcome);
  return writer.buffer;
}

export function encodePutResponse(header: ResponseHeader, outcome: PutOutcome): Uint8Array {
  const headerBytes = header.size(outcome.revision);
  const writer = new WireWriter(sizeDelimited(headerBytes) + sizePut(outcome));
  writeHeader(writer, header, headerBytes, outcome.revision);
  writePut(writer, outcome);
  return writer.buffer;
}

export function encodeDeleteRangeResponse(header: ResponseHeader, outcome: DeleteRangeOutcome): Uint8Array {
  const headerBytes = header.size(outcome.revision);
  const size = sizeDelimited(headerBytes) + sizeDeleteRange(outcome);
  if (size > MAX_RESPONSE_BYTES) throw new ResponseTooLargeError(size);
  const writer = new WireWriter(size);
  writeHeader(writer, header, headerBytes, outcome.revision);
  writeDeleteRange(writer, outcome);
  return writer.buffer;
}

export function encodeTxnResponse(header: ResponseHeader, outcome: TxnOutcome): Uint8Array {
  const headerBytes = header.size(outcome.revision);
  const sizes: number[] = [];
  const size = sizeDelimited(headerBytes) + measureTxn(outcome, sizes);
  if (size > MAX_RESPONSE_BYTES) throw new ResponseTooLargeError(size);
  const writer = new WireWriter(size);
  writeHeader(writer, header, headerBytes, outcome.revision);
  writeTxn(writer, outcome, { sizes, next: 0 });
  return writer.buffer;
}

/** A response that consists of its header: Compact, and others of its kind. */
export function encodeHeaderResponse(header: ResponseHeader, revision: number): Uint8Array {
  const headerBytes = header.size(revision);
  const writer = new WireWriter(sizeDelimited(headerBytes));
  writeHeader(writer, header, headerBytes, revision);
  return writer.buffer;
}

/** The response of a range whose records are encoded already. */
export interface EncodedRange {
  /** Records as fields of the response; `bytes` is the length of all chunks. */
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  readonly count: number;
  readonly more: boolean;
  readonly revision: number;
}

/** The bytes that `encodeRangeResponse` would make of the records, in pieces that need not be joined. */
export function rangePageParts(header: ResponseHeader, page: EncodedRange): readonly Uint8Array[] {
  const headerBytes = header.size(page.revision);
  const endBytes = sizeRangeEnd(page);
  const size = sizeDelimited(headerBytes) + page.bytes + endBytes;
  if (size > MAX_RESPONSE_BYTES) throw new ResponseTooLargeError(size);
  const head = new WireWriter(sizeDelimited(headerBytes));
  writeHeader(head, header, headerBytes, page.revision);
  const end = new WireWriter(endBytes);
  writeRangeEnd(end, page);
  return [head.buffer, ...page.chunks, end.buffer];
}

/** `RangeStreamResponse` of one chunk. Only the last has header, more and count (sem-038). */
export function encodeRangeStreamResponse(header: ResponseHeader | null, outcome: RangeOutcome): Uint8Array {
  const headerBytes = header === null ? 0 : header.size(outcome.revision);
  const size = (header === null ? 0 : sizeDelimited(headerBytes)) + sizeRange(outcome);
  const writer = new WireWriter(sizeDelimited(size));
  writer.byte(0x0a);
  writer.varint(size);
  if (header !== null) writeHeader(writer, header, headerBytes, outcome.revision);
  writeRange(writer, outcome);
  return writer.buffer;
}

function writeHeader(writer: WireWriter, header: ResponseHeader, size: number, revision: number): void {
  writer.byte(HEADER);
  writer.varint(size);
  header.write(writer, revision);
}

function sizeRecords(records: readonly KeyRecord[]): number {
  let size = 0;
  for (const record of records) size += sizeDelimited(record.encoded.length);
  return size;
}

function writeRecords(writer: WireWriter, tag: number, records: readonly KeyRecord[]): void {
  for (const record of records) writer.delimited(tag, record.encoded);
}

// The bodies: everything of a response but its header.

function sizeRange(outcome: RangeOutcome): number {
  return sizeRecords(outcome.records) + sizeRangeEnd(outcome);
}

/** What follows the records. */
type RangeEnd = Pick<RangeOutcome, 'more' | 'count'>;

function sizeRangeEnd(outcome: RangeEnd): number {
  return (outcome.more ? 2 : 0) + sizeNumberField(outcome.count);
}

function writeRange(writer: WireWriter, outcome: RangeOutcome): void {
  writeRecords(writer, 0x12, outcome.records);
  writeRangeEnd(writer, outcome);
}

/** The fields after the records. */
function writeRangeEnd(writer: WireWriter, outcome: RangeEnd): void {
  if (outcome.more) {
    writer.byte(0x18);
    writer.byte(1);
  }
  writer.numberField(0x20, outcome.count);
}

function sizePut(outcome: PutOutcome): number {
  return outcome.previous === null ? 0 : sizeDelimited(outcome.previous.encoded.length);
}

function writePut(writer: WireWriter, outcome: PutOutcome): void {
  if (outcome.previous !== null) writer.delimited(0x12, outcome.previous.encoded);
}

function sizeDeleteRange(outcome: DeleteRangeOutcome): number {
  return sizeNumberField(outcome.deleted) + sizeRecords(outcome.previous);
}

function writeDeleteRange(writer: WireWriter, outcome: DeleteRangeOutcome): void {
  writer.numberField(0x10, outcome.deleted);
  writeRecords(writer, 0x1a, outcome.previous);
}

/** Measured sizes in writing order. */
interface Measured {
  readonly sizes: readonly number[];
  next: number;
}

/** @returns the size of the txn's body; pushes, in writing order, the size of every response op and of its response */
function measureTxn(outcome: TxnOutcome, sizes: number[]): number {
  let size = outcome.succeeded ? 2 : 0;
  for (const response of outcome.responses) {
    const slot = sizes.length;
    sizes.push(0);
    const responseSize = measureInner(response, sizes);
    sizes[slot] = responseSize;
    size += sizeDelimited(sizeDelimited(responseSize));
  }
  return size;
}

/** Size of one operation's response with its inner header. */
function measureInner(response: TxnOutcome['responses'][number], sizes: number[]): number {
  switch (response.kind) {
    case 'range':
      return sizeRevisionHeader(response.revision) + sizeRange(response);
    case 'put':
      return sizeRevisionHeader(response.revision) + sizePut(response);
    case 'delete-range':
      return sizeRevisionHeader(response.revision) + sizeDeleteRange(response);
    case 'txn':
      return EMPTY_HEADER_BYTES + measureTxn(response, sizes);
  }
}

const EMPTY_HEADER_BYTES = 2;

function sizeRevisionHeader(revision: number): number {
  return sizeDelimited(sizeNumberField(revision));
}

function writeRevisionHeader(writer: WireWriter, revision: number): void {
  writer.byte(HEADER);
  writer.byte(sizeNumberField(revision));
  writer.numberField(REVISION, revision);
}

function writeTxn(writer: WireWriter, outcome: TxnOutcome, measured: Measured): void {
  if (outcome.succeeded) {
    writer.byte(0x10);
    writer.byte(1);
  }
  for (const response of outcome.responses) {
    const size = measured.sizes[measured.next++]!;
    writer.byte(0x1a);
    writer.varint(sizeDelimited(size));
    switch (response.kind) {
      case 'range':
        writer.byte(0x0a);
        writer.varint(size);
        writeRevisionHeader(writer, response.revision);
        writeRange(writer, response);
        break;
      case 'put':
        writer.byte(0x12);
        writer.varint(size);
        writeRevisionHeader(writer, response.revision);
        writePut(writer, response);
        break;
      case 'delete-range':
        writer.byte(0x1a);
        writer.varint(size);
        writeRevisionHeader(writer, response.revision);
        writeDeleteRange(writer, response);
        break;
      case 'txn':
        writer.byte(0x22);
        writer.varint(size);
        writer.byte(HEADER);
        writer.byte(0);
        writeTxn(writer, response, measured);
        break;
    }
  }
}

/** Records handled between two looks at the clock. */
const STRIDE = 256;
/** Bytes copied between two looks at the clock. */
const PAUSE_BYTES = 256 * 1024;

/** `encodeRangeResponse` in slices, for answers too large for one turn. */
export function* encodeRangeResponseSliced(
  header: ResponseHeader,
  outcome: RangeOutcome,
): Generator<void, Uint8Array> {
  const { records } = outcome;
  // The header is encoded first: the term may change between slices.
  const headerBytes = header.encode(outcome.revision);
  let size = sizeDelimited(headerBytes.length) + sizeRangeEnd(outcome);
  for (let index = 0; index < records.length; index++) {
    size += sizeDelimited(records[index]!.encoded.length);
    if (index % (STRIDE * 8) === 0) yield;
  }
  if (size > MAX_RESPONSE_BYTES) throw new ResponseTooLargeError(size);
  const writer = new WireWriter(size);
  writer.delimited(HEADER, headerBytes);
  let pauseAt = PAUSE_BYTES;
  for (let index = 0; index < records.length; index++) {
    writer.delimited(0x12, records[index]!.encoded);
    if (index % STRIDE === 0 || writer.position >= pauseAt) {
      pauseAt = writer.position + PAUSE_BYTES;
      yield;
    }
  }
  writeRangeEnd(writer, outcome);
  return writer.buffer;
}
