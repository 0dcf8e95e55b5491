/**
 * Log entries of type `normal`: one operation each, with the id of the request it came from.
 *
 *     byte 0       format version (1)
 *     bytes 1-4    origin: drawn by the proposing process when it started, little endian
 *     bytes 5-8    sequence: counts that process's proposals, little endian
 *     byte 9       kind of operation
 *     then         its fields in the order of `operations.ts`
 *
 * Fields: flags are one byte; texts and bytes have a varint length in front; numbers are zigzag varints of up to 53
 * bits (the API layer narrows what clients send); `bigint`s are 8 bytes, little endian, two's complement. A put of
 * key `a`, value `1`, lease 0, no flags, from origin 7 as its third request:
 *
 *     01  07 00 00 00  03 00 00 00  01  00  02 61  02 31
 *
 * The log is checked by checksums before it gets here, so a malformed entry means a peer or a disk that lies: decoding
 * throws `EntryError`, allocates nothing in proportion to what a length claims, and bounds nesting.
 *
 * Decoded bytes are views into the entry; whoever keeps them copies them. Read next: `../apply/applier.ts`.
 */
import { MAX_TXN_DEPTH } from '../codec/requests.ts';
import type { Compare, Operation, TxnOperation, TxnStep } from '../operations.ts';

/** Bytes that are not an entry of a format this member knows. */
export class EntryError extends Error {
  override readonly name = 'EntryError';
  readonly code = 'BAD_ENTRY';
}

/** Where a request came from: unique in the cluster while the request waits for its answer. */
export interface RequestId {
  /** Unsigned 32 bits. */
  readonly origin: number;
  /** Unsigned 32 bits. */
  readonly sequence: number;
}

export interface DecodedEntry extends RequestId {
  readonly operation: Operation;
}

export const ENTRY_VERSION = 1;

const KIND = {
  put: 1,
  'delete-range': 2,
  txn: 3,
  compact: 4,
  'lease-grant': 5,
  'lease-revoke': 6,
  // 7 was a checkpoint without term and grants.
  alarm: 8,
  'member-attributes': 9,
  'cluster-version': 10,
  // 11 is a range within a txn.
  'member-update': 12,
  downgrade: 13,
  'lease-expire': 14,
  'lease-checkpoint': 15,
} as const satisfies Record<Operation['kind'], number>;

/** From here on a put is not copied through the scratch memory. */
const LARGE_VALUE_BYTES = 8 * 1024;
/** What an encoded put takes besides key and value, with room for growth of each number. */
const PUT_BYTES = 64;

const OLD_CHECKPOINT = 7;
const STEP_NONE = 0;
const STEP_RANGE = 11;

/** Encodes `operation`; the result shares no bytes with it. */
export function encodeEntry(origin: number, sequence: number, operation: Operation): Uint8Array {
  const isLarge = operation.kind === 'put' && operation.value.length >= LARGE_VALUE_BYTES;
  // A large value is copied once, into memory of its own.
  const out = isLarge ? new Writer(operation.key.length + operation.value.length + PUT_BYTES) : scratch;
  out.reset();
  out.byte(ENTRY_VERSION);
  out.uint32(origin);
  out.uint32(sequence);
  writeOperation(out, operation);
  return isLarge ? out.own() : out.take();
}

/** @throws EntryError */
export function decodeEntry(data: Uint8Array): DecodedEntry {
  const input = new Reader(data);
  const version = input.byte();
  if (version !== ENTRY_VERSION) throw new EntryError(`entry format ${version} is not known`);
  const origin = input.uint32();
  const sequence = input.uint32();
  const operation = readOperation(input);
  input.expectEnd();
  return { origin, sequence, operation };
}

function writeOperation(out: Writer, operation: Operation): void {
  out.byte(KIND[operation.kind]);
  switch (operation.kind) {
    case 'put':
      out.byte(flags(operation.prevKv, operation.ignoreValue, operation.ignoreLease, operation.lease !== 0n));
      if (operation.lease !== 0n) out.int64(operation.lease);
      out.bytes(operation.key);
      out.bytes(operation.value);
      return;
    case 'delete-range':
      out.byte(flags(operation.prevKv));
      out.bytes(operation.key);
      out.bytes(operation.rangeEnd);
      return;
    case 'txn':
      writeTxn(out, operation);
      return;
    case 'compact':
      out.byte(flags(operation.physical));
      out.number(operation.revision);
      return;
    case 'lease-grant':
      out.int64(operation.id);
      out.number(operation.ttlSec);
      return;
    case 'lease-revoke':
      out.int64(operation.id);
      return;
    case 'lease-expire':
      out.int64(operation.id);
      out.number(operation.grantIndex);
      out.number(operation.term);
      return;
    case 'lease-checkpoint':
      out.number(operation.term);
      out.number(operation.checkpoints.length);
      for (const checkpoint of operation.checkpoints) {
        out.int64(checkpoint.id);
        out.number(checkpoint.grantIndex);
        out.number(checkpoint.remainingTtlSec);
      }
      return;
    case 'alarm':
      out.number(operation.action);
      out.int64(operation.memberId);
      out.number(operation.alarm);
      return;
    case 'member-attributes':
      out.int64(operation.memberId);
      out.text(operation.name);
      out.number(operation.clientUrls.length);
      for (const url of operation.clientUrls) out.text(url);
      return;
    case 'cluster-version':
      out.text(operation.version);
      return;
    case 'member-update':
      out.int64(operation.memberId);
      out.number(operation.peerUrls.length);
      for (const url of operation.peerUrls) out.text(url);
      return;
    case 'downgrade':
      out.text(operation.target ?? '');
      return;
  }
}

function readOperation(input: Reader): Operation {
  const kind = input.byte();
  switch (kind) {
    case KIND.put: {
      const [prevKv, ignoreValue, ignoreLease, hasLease] = input.flags();
      const lease = hasLease ? input.int64() : 0n;
      return {
        kind: 'put',
        prevKv,
        ignoreValue,
        ignoreLease,
        lease,
        key: input.bytes(),
        value: input.bytes(),
      };
    }
    case KIND['delete-range']: {
      const [prevKv] = input.flags();
      return { kind: 'delete-range', prevKv, key: input.bytes(), rangeEnd: input.bytes() };
    }
    case KIND.txn:
      return readTxn(input, 0);
    case KIND.compact: {
      const [physical] = input.flags();
      return { kind: 'compact', physical, revision: input.number() };
    }
    case KIND['lease-grant']:
      return { kind: 'lease-grant', id: input.int64(), ttlSec: input.number() };
    case KIND['lease-revoke']:
      return { kind: 'lease-revoke', id: input.int64() };
    case KIND['lease-expire']:
      return { kind: 'lease-expire', id: input.int64(), grantIndex: input.number(), term: input.number() };
    case KIND['lease-checkpoint']:
      return {
        kind: 'lease-checkpoint',
        term: input.number(),
        checkpoints: input.list(() => ({
          id: input.int64(),
          grantIndex: input.number(),
          remainingTtlSec: input.number(),
        })),
      };
    case OLD_CHECKPOINT:
      return {
        kind: 'lease-checkpoint',
        term: 0,
        checkpoints: input.list(() => ({
          id: input.int64(),
          grantIndex: 0,
          remainingTtlSec: input.number(),
        })),
      };
    case KIND.alarm:
      return { kind: 'alarm', action: input.number(), memberId: input.uint64(), alarm: input.number() };
    case KIND['member-attributes']:
      return {
        kind: 'member-attributes',
        memberId: input.uint64(),
        name: input.text(),
        clientUrls: input.list(() => input.text()),
      };
    case KIND['cluster-version']:
      return { kind: 'cluster-version', version: input.text() };
    case KIND['member-update']:
      return {
        kind: 'member-update',
        memberId: input.uint64(),
        peerUrls: input.list(() => input.text()),
      };
    case KIND.downgrade:
      return { kind: 'downgrade', target: input.text() || null };
    default:
      throw new EntryError(`operation kind ${kind} is not known`);
  }
}

function writeTxn(out: Writer, txn: TxnOperation): void {
  out.number(txn.compare.length);
  for (const compare of txn.compare) {
    out.number(compare.result);
    out.number(compare.target);
    out.bytes(compare.key);
    out.bytes(compare.rangeEnd);
    out.int64(compare.number);
    out.bytes(compare.value);
  }
  for (const branch of [txn.success, txn.failure]) {
    out.number(branch.length);
    for (const step of branch) writeStep(out, step);
  }
}

/** As deep as a request may be, and no less: an entry that was committed and cannot be decoded ends every member for good. */
function readTxn(input: Reader, depth: number): TxnOperation {
  if (depth > MAX_TXN_DEPTH) throw new EntryError('txn is nested too deeply');
  const compare = input.list(
    (): Compare => ({
      result: input.number(),
      target: input.number(),
      key: input.bytes(),
      rangeEnd: input.bytes(),
      number: input.int64(),
      value: input.bytes(),
    }),
  );
  const success = input.list(() => readStep(input, depth));
  const failure = input.list(() => readStep(input, depth));
  return { kind: 'txn', compare, success, failure };
}

function writeStep(out: Writer, step: TxnStep): void {
  switch (step.kind) {
    case 'none':
      out.byte(STEP_NONE);
      return;
    case 'range':
      out.byte(STEP_RANGE);
      out.byte(flags(step.serializable, step.keysOnly, step.countOnly));
      out.bytes(step.key);
      out.bytes(step.rangeEnd);
      out.number(step.limit);
      out.number(step.revision);
      out.number(step.sortOrder);
      out.number(step.sortTarget);
      out.number(step.minModRevision);
      out.number(step.maxModRevision);
      out.number(step.minCreateRevision);
      out.number(step.maxCreateRevision);
      return;
    default:
      writeOperation(out, step);
  }
}

function readStep(input: Reader, depth: number): TxnStep {
  const kind = input.peek();
  if (kind === STEP_NONE) {
    input.byte();
    return { kind: 'none' };
  }
  if (kind === STEP_RANGE) {
    input.byte();
    const [serializable, keysOnly, countOnly] = input.flags();
    return {
      kind: 'range',
      serializable,
      keysOnly,
      countOnly,
      key: input.bytes(),
      rangeEnd: input.bytes(),
      limit: input.number(),
      revision: input.number(),
      sortOrder: input.number(),
      sortTarget: input.number(),
      minModRevision: input.number(),
      maxModRevision: input.number(),
      minCreateRevision: input.number(),
      maxCreateRevision: input.number(),
    };
  }
  if (kind === KIND.txn) {
    input.byte();
    return readTxn(input, depth + 1);
  }
  if (kind !== KIND.put && kind !== KIND['delete-range'])
    throw new EntryError(`txn step ${kind} is not known`);
  return readOperation(input) as TxnStep;
}

function flags(a: boolean, b = false, c = false, d = false): number {
  return (a ? 1 : 0) | (b ? 2 : 0) | (c ? 4 : 0) | (d ? 8 : 0);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

const SLAB_BYTES = 64 * 1024;
let slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let slabUsed = 0;

/**
 * Memory of a new entry. Young entries live long (raft keeps megabytes of them), so they share slabs with each other alone: beside the
 * short-lived contents of Node's own pool, each would keep many times its size.
 */
function entryMemory(bytes: number): Buffer {
  if (bytes > SLAB_BYTES / 8) return Buffer.allocUnsafeSlow(bytes);
  if (slabUsed + bytes > SLAB_BYTES) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    slabUsed = 0;
  }
  const memory = slab.subarray(slabUsed, slabUsed + bytes);
  slabUsed += bytes;
  return memory;
}

/** Grows as needed. */
class Writer {
  #buffer: Buffer;
  #length = 0;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  reset(): void {
    this.#length = 0;
  }

  /** The bytes written so far, as a copy of their own. */
  take(): Uint8Array {
    const result = entryMemory(this.#length);
    this.#buffer.copy(result, 0, 0, this.#length);
    return result;
  }

  /** The bytes written so far, for a writer that is not used again. */
  own(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value >>> 0, this.#length);
  }

  /** Signed or unsigned 64 bits: what matters is that the same ones come back. */
  int64(value: bigint): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeBigInt64LE(BigInt.asIntN(64, value), this.#length);
  }

  /** A safe integer. Zigzag done by multiplication: shifts would cut it to 32 bits. */
  number(value: number): void {
    if (!Number.isSafeInteger(value)) throw new EntryError('number is not a safe integer');
    this.#reserve(9);
    const negative = value < 0;
    let rest = negative ? -(value + 1) : value;
    let byte = ((rest % 64) << 1) | (negative ? 1 : 0);
    rest = Math.floor(rest / 64);
    while (rest > 0) {
      this.#buffer[this.#length++] = byte | 0x80;
      byte = rest % 128;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#length++] = byte;
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    this.bytes(encoder.encode(value));
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Used again for the next entry: encoding allocates nothing but its result. */
const scratch = new Writer(64 * 1024);

class Reader {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  peek(): number {
    this.#need(1);
    return this.#data[this.#at]!;
  }

  byte(): number {
    this.#need(1);
    return this.#data[this.#at++]!;
  }

  flags(): [boolean, boolean, boolean, boolean] {
    const bits = this.byte();
    return [(bits & 1) !== 0, (bits & 2) !== 0, (bits & 4) !== 0, (bits & 8) !== 0];
  }

  uint32(): number {
    this.#need(4);
    const value = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  int64(): bigint {
    this.#need(8);
    const value = this.#view.getBigInt64(this.#at, true);
    this.#at += 8;
    return value;
  }

  uint64(): bigint {
    return BigInt.asUintN(64, this.int64());
  }

  number(): number {
    const first = this.byte();
    const negative = (first & 1) !== 0;
    let value = (first & 0x7f) >> 1;
    let scale = 64;
    let byte = first;
    while ((byte & 0x80) !== 0) {
      byte = this.byte();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (scale > 2 ** 62) throw new EntryError('number is too long');
    }
    if (value > Number.MAX_SAFE_INTEGER) throw new EntryError('number is not a safe integer');
    return negative ? -value - 1 : value;
  }

  bytes(): Uint8Array {
    const length = this.number();
    if (length < 0) throw new EntryError('negative length');
    this.#need(length);
    const value = this.#data.subarray(this.#at, this.#at + length);
    this.#at += length;
    return value;
  }

  text(): string {
    try {
      return decoder.decode(this.bytes());
    } catch (error) {
      if (error instanceof EntryError) throw error;
      throw new EntryError('text is not UTF-8');
    }
  }

  /** Every element takes at least one byte, so a count that lies ends at the end of the data. */
  list<T>(element: () => T): T[] {
    const count = this.number();
    if (count < 0 || count > this.#data.length - this.#at)
      throw new EntryError('list is longer than the entry');
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(element());
    return items;
  }

  expectEnd(): void {
    if (this.#at !== this.#data.length) throw new EntryError('bytes are left over');
  }

  #need(count: number): void {
    if (count > this.#data.length - this.#at) throw new EntryError('entry ends too early');
  }
}
