/**
 * Protobuf's base-128 numbers, for revisions (safe integers) and leases (any int64).
 *
 * A negative int64 travels as its two's complement in ten bytes, as every protobuf writer does.
 */

export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest /= 128) bytes++;
  return bytes;
}

/** @returns the offset after the number */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  let rest = value;
  let at = offset;
  while (rest > 0x7fffffff) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 128) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

export function varintBytes64(value: bigint): number {
  if (value >= 0n && value <= 0x1fffffffffffffn) return varintBytes(Number(value));
  let rest = BigInt.asUintN(64, value);
  let bytes = 1;
  for (; rest >= 128n; rest >>= 7n) bytes++;
  return bytes;
}

export function writeVarint64(target: Uint8Array, offset: number, value: bigint): number {
  if (value >= 0n && value <= 0x1fffffffffffffn) return writeVarint(target, offset, Number(value));
  let rest = BigInt.asUintN(64, value);
  let at = offset;
  while (rest >= 128n) {
    target[at++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  target[at++] = Number(rest);
  return at;
}

/** Where the last `readVarint` ended: returning a pair would allocate on the hottest path. */
export let varintEnd = 0;

/** Reads a safe integer. */
export function readVarint(source: Uint8Array, offset: number): number {
  let at = offset;
  let byte = source[at++]!;
  let value = byte & 0x7f;
  let scale = 128;
  while (byte & 0x80) {
    byte = source[at++]!;
    value += (byte & 0x7f) * scale;
    scale *= 128;
  }
  varintEnd = at;
  return value;
}

export function readVarint64(source: Uint8Array, offset: number): bigint {
  let end = offset;
  while (source[end]! & 0x80) end++;
  if (end - offset < 7) return BigInt(readVarint(source, offset));
  let value = 0n;
  for (let at = end; at >= offset; at--) value = (value << 7n) | BigInt(source[at]! & 0x7f);
  varintEnd = end + 1;
  return BigInt.asIntN(64, value);
}
