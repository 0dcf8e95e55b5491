/** Rows on their way to the image's thread: `{ key length 4, value length 4, key, value }*` in one buffer, so that nothing is cloned. */
import type { Row } from './schema.ts';

const HEADER_BYTES = 8;

export function packRows(rows: readonly Row[]): Uint8Array<ArrayBuffer> {
  let bytes = 0;
  for (const { key, value } of rows) bytes += HEADER_BYTES + key.length + value.length;
  const packed = new Uint8Array(bytes);
  const into = new DataView(packed.buffer);
  let at = 0;
  for (const { key, value } of rows) {
    into.setUint32(at, key.length, true);
    into.setUint32(at + 4, value.length, true);
    packed.set(key, at + HEADER_BYTES);
    packed.set(value, at + HEADER_BYTES + key.length);
    at += HEADER_BYTES + key.length + value.length;
  }
  return packed;
}

/** Keys and values are views into `packed`. */
export function unpackRows(packed: Uint8Array, visit: (key: Uint8Array, value: Uint8Array) => void): void {
  const from = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  for (let at = 0; at < packed.length; ) {
    const keyEnd = at + HEADER_BYTES + from.getUint32(at, true);
    const valueEnd = keyEnd + from.getUint32(at + 4, true);
    visit(packed.subarray(at + HEADER_BYTES, keyEnd), packed.subarray(keyEnd, valueEnd));
    at = valueEnd;
  }
}
