/**
 * Reads protobuf messages from bytes that nobody vouches for.
 *
 * One reader walks one request; nested messages narrow its `limit` while they last. Every read checks the limit, no
 * length is trusted, nothing recurses but the caller's own message nesting (unknown groups are counted, not
 * recursed into). Unknown fields are skipped whatever their type; a known field with another wire type is an error.
 *
 * Failures are `WireError`s with the texts that etcd's decoder gives for the same bytes; `api/error-map.ts` sends
 * them as INTERNAL "grpc: error unmarshalling request: ...".
 *
 * Source: protobuf encoding guide; lenient points (a tenth varint byte above 1 is cut, the end of a group need not
 * name its start) as observed on etcd 3.4.23.
 */
import { saturate, toInt64, toUint64 } from './int64.ts';

/** Bytes that are no valid message. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

const EMPTY = new Uint8Array(0);

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;

export class WireReader {
  private readonly buffer: Uint8Array;
  position = 0;
  /** End of the message being read: nothing is read at or after it. */
  limit: number;
  /** Halves of the last varint read. */
  private low = 0;
  private high = 0;

  constructor(buffer: Uint8Array) {
    this.buffer = buffer;
    this.limit = buffer.length;
  }

  /** True while the current message has fields left. */
  get more(): boolean {
    return this.position < this.limit;
  }

  /**
   * Field number and wire type in one number, as `number << 3 | type`.
   * @param message name for the error texts
   */
  tag(message: string): number {
    const first = this.buffer[this.position]!;
    if (first >= 8 && first < 0x80) {
      this.position++;
      if ((first & 7) === END_GROUP) throw endOfGroup(message);
      return first;
    }
    this.varint();
    const fieldNumber = (this.low >>> 3) | (this.high << 29);
    const wireType = this.low & 7;
    if (wireType === END_GROUP) throw endOfGroup(message);
    if (fieldNumber <= 0) {
      throw new WireError(`proto: ${message}: illegal tag ${fieldNumber} (wire type ${wireType})`);
    }
    return fieldNumber * 8 + wireType;
  }

  bool(): boolean {
    this.varint();
    return (this.low | this.high) !== 0;
  }

  /** Enumeration: the low 32 bits, signed, as every implementation cuts it. */
  enumeration(): number {
    this.varint();
    return this.low | 0;
  }

  /** Signed 64-bit number, saturated to the safe integers (see `int64.ts`). */
  int64(): number {
    this.varint();
    return saturate(this.low, this.high);
  }

  int64Exact(): bigint {
    this.varint();
    return toInt64(this.low, this.high);
  }

  uint64Exact(): bigint {
    this.varint();
    return toUint64(this.low, this.high);
  }

  /** A view of the bytes, valid as long as the reader's buffer. */
  bytes(): Uint8Array {
    const length = this.length();
    if (length === 0) return EMPTY;
    const start = this.position;
    this.position = start + length;
    return this.buffer.subarray(start, this.position);
  }

  /**
   * Enters a nested message.
   * @returns the limit to give back to `leave`
   */
  enter(): number {
    const length = this.length();
    const outer = this.limit;
    this.limit = this.position + length;
    return outer;
  }

  leave(outer: number): void {
    this.limit = outer;
  }

  /** Passes over the nested message without reading it. */
  skipNested(): void {
    this.advance(this.length());
  }

  /**
   * What to do with a tag that no case took: an unknown field is skipped, a known one has the wrong type.
   * @param names etcd's names of the message's fields by number, for the error text
   */
  other(tag: number, names: readonly (string | undefined)[]): void {
    const wireType = tag & 7;
    const name = names[(tag - wireType) / 8];
    if (name !== undefined) throw new WireError(`proto: wrong wireType = ${wireType} for field ${name}`);
    this.skip(wireType);
  }

  private skip(wireType: number): void {
    let depth = 0;
    let type = wireType;
    for (;;) {
      switch (type) {
        case VARINT:
          this.varint();
          break;
        case FIXED64:
          this.advance(8);
          break;
        case LENGTH_DELIMITED:
          this.advance(this.length());
          break;
        case START_GROUP:
          depth++;
          break;
        case END_GROUP:
          depth--;
          break;
        case FIXED32:
          this.advance(4);
          break;
        default:
          throw new WireError(`proto: illegal wireType ${type}`);
      }
      if (depth === 0) return;
      this.varint();
      type = this.low & 7;
    }
  }

  private advance(count: number): void {
    if (count > this.limit - this.position) throw unexpectedEnd();
    this.position += count;
  }

  private length(): number {
    const first = this.position < this.limit ? this.buffer[this.position]! : 0x80;
    let length: number;
    if (first < 0x80) {
      this.position++;
      length = first;
    } else {
      this.varint();
      length = saturate(this.low, this.high);
      if (length < 0) throw new WireError('proto: negative length found during unmarshaling');
    }
    if (length > this.limit - this.position) throw unexpectedEnd();
    return length;
  }

  /** Reads a varint of at most ten bytes into `low` and `high`. */
  private varint(): void {
    const { buffer, limit } = this;
    let position = this.position;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (position >= limit) throw unexpectedEnd();
      const byte = buffer[position++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.position = position;
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw new WireError('proto: integer overflow');
  }
}

function endOfGroup(message: string): WireError {
  return new WireError(`proto: ${message}: wiretype end group for non-group`);
}

function unexpectedEnd(): WireError {
  return new WireError('unexpected EOF');
}
