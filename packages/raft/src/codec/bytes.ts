/**
 * Reading and writing the primitives of the byte formats.
 *
 * Numbers are little-endian base-128 varints in their shortest form, so that every value has exactly one encoding.
 * A reader trusts nothing: every length is checked against what is left before anything is allocated.
 */
import { CodecError } from '../errors.ts';

/** Appends to a buffer that grows by doubling. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** A safe integer, zero or more. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** Unsigned 64 bits; small values, the usual ones, stay small. */
  varint64(value: bigint): void {
    if (value <= MAX_SAFE) {
      this.varint(Number(value));
      return;
    }
    this.#reserve(10);
    let rest = value;
    while (rest >= 0x80n) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  /** Length, then the bytes. */
  block(data: Uint8Array): void {
    this.varint(data.byteLength);
    this.#reserve(data.byteLength);
    this.#bytes.set(data, this.#length);
    this.#length += data.byteLength;
  }

  /** What was written; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Reads what `ByteWriter` wrote. Every method throws `CodecError` instead of returning something made up. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.byteLength - this.#position;
  }

  byte(): number {
    const value = this.#bytes[this.#position];
    if (value === undefined) throw new CodecError('the input ends too early');
    this.#position += 1;
    return value;
  }

  /** A safe integer, zero or more. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; ; count += 1) {
      const byte = this.byte();
      if (count === 7 && byte > 0x0f) throw new CodecError('the number exceeds 2^53 - 1');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && count > 0) throw new CodecError('the number is not in its shortest form');
        return value;
      }
      scale *= 0x80;
    }
  }

  /** Unsigned 64 bits. */
  varint64(): bigint {
    let value = 0n;
    for (let count = 0; ; count += 1) {
      const byte = this.byte();
      if (count === 9 && byte > 1) throw new CodecError('the number exceeds 2^64 - 1');
      value |= BigInt(byte & 0x7f) << BigInt(7 * count);
      if (byte < 0x80) {
        if (byte === 0 && count > 0) throw new CodecError('the number is not in its shortest form');
        return value;
      }
    }
  }

  boolean(): boolean {
    const byte = this.byte();
    if (byte > 1) throw new CodecError('a truth value is 0 or 1');
    return byte === 1;
  }

  /** A view of the input, not a copy. */
  block(): Uint8Array {
    const length = this.varint();
    if (length > this.left) throw new CodecError('a length exceeds the input');
    const start = this.#position;
    this.#position += length;
    return this.#bytes.subarray(start, this.#position);
  }

  /**
   * How many items follow, each of at least `minimumBytes`.
   * @throws CodecError before anything is allocated for more items than the input can hold
   */
  count(minimumBytes: number): number {
    const count = this.varint();
    if (count * minimumBytes > this.left) throw new CodecError('a count exceeds the input');
    return count;
  }

  end(): void {
    if (this.left > 0) throw new CodecError('bytes are left over');
  }
}
