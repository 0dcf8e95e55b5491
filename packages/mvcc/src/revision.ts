/**
 * Revisions as keys of `log`, and pointers between records.
 *
 * As a key: main in 8 bytes, sub in 4, both big-endian, so that byte order is revision order. As a pointer inside
 * a record: main in 6 bytes (safe integers need 53 bits), sub in 4.
 */
import type { Revision } from './types.ts';

export const REVISION_KEY_BYTES = 12;
export const POINTER_BYTES = 10;
const TWO_32 = 2 ** 32;

export function writeRevisionKey(target: Uint8Array, offset: number, main: number, sub: number): void {
  writeUint32(target, offset, Math.floor(main / TWO_32));
  writeUint32(target, offset + 4, main % TWO_32);
  writeUint32(target, offset + 8, sub);
}

export function revisionKey(main: number, sub: number): Uint8Array {
  const key = new Uint8Array(REVISION_KEY_BYTES);
  writeRevisionKey(key, 0, main, sub);
  return key;
}

export function readMain(source: Uint8Array, offset: number): number {
  return readUint32(source, offset) * TWO_32 + readUint32(source, offset + 4);
}

export function readSub(source: Uint8Array, offset: number): number {
  return readUint32(source, offset + 8);
}

export function writePointer(target: Uint8Array, offset: number, main: number, sub: number): void {
  const high = Math.floor(main / TWO_32);
  target[offset] = high >>> 8;
  target[offset + 1] = high;
  writeUint32(target, offset + 2, main % TWO_32);
  writeUint32(target, offset + 6, sub);
}

export function readPointerMain(source: Uint8Array, offset: number): number {
  return (source[offset]! * 256 + source[offset + 1]!) * TWO_32 + readUint32(source, offset + 2);
}

export function readPointerSub(source: Uint8Array, offset: number): number {
  return readUint32(source, offset + 6);
}

export function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
}

export function readUint32(source: Uint8Array, offset: number): number {
  return (
    source[offset]! * 0x1000000 +
    ((source[offset + 1]! << 16) | (source[offset + 2]! << 8) | source[offset + 3]!)
  );
}

export function compareRevisions(a: Revision, b: Revision): number {
  return a.main - b.main || a.sub - b.sub;
}
