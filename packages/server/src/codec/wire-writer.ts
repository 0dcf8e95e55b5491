/**
 * Writes protobuf messages of known size.
 *
 * A message is first measured with the `size...` functions, then written into one buffer of exactly that size: no
 * growing, no second copy. Zero values are left out by the callers, as proto3 has it.
 */

/** Largest number that the 32-bit path of `varint` may take. */
const MAX_INT31 = 0x7fff_ffff;
const NEGATIVE_VARINT_BYTES = 10;

/** Bytes of `value` as a varint; negative numbers take ten, as int64 does. */
export function sizeVarint(value: number): number {
  if (value < 0) return NEGATIVE_VARINT_BYTES;
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 5;
  for (let rest = Math.floor(value / 0x8_0000_0000); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

export function sizeUint64(value: bigint): number {
  let size = 1;
  for (let rest = BigInt.asUintN(64, value) >> 7n; rest > 0n; rest >>= 7n) size++;
  return size;
}

/** Bytes of a length-delimited field whose tag takes one byte. */
export function sizeDelimited(length: number): number {
  return 1 + sizeVarint(length) + length;
}

/** Bytes of a number field whose tag takes one byte; 0 when the value is zero. */
export function sizeNumberField(value: number): number {
  return value === 0 ? 0 : 1 + sizeVarint(value);
}

export class WireWriter {
  readonly buffer: Buffer;
  position = 0;

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size);
  }

  byte(value: number): void {
    this.buffer[this.position++] = value;
  }

  /** A safe integer as int64 or uint64. */
  varint(value: number): void {
    const { buffer } = this;
    let rest = value;
    if (rest < 0) {
      this.uint64(BigInt.asUintN(64, BigInt(rest)));
      return;
    }
    while (rest > MAX_INT31) {
      buffer[this.position++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      buffer[this.position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.position++] = rest;
  }

  uint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.buffer[this.position++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.buffer[this.position++] = Number(rest);
  }

  /** Tag and value, nothing when the value is zero. */
  numberField(tag: number, value: number): void {
    if (value === 0) return;
    this.byte(tag);
    this.varint(value);
  }

  raw(bytes: Uint8Array): void {
    this.buffer.set(bytes, this.position);
    this.position += bytes.length;
  }

  delimited(tag: number, bytes: Uint8Array): void {
    this.byte(tag);
    this.varint(bytes.length);
    this.raw(bytes);
  }
}
