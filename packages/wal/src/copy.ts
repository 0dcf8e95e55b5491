/**
 * Copying into shared memory, and out of it.
 *
 * V8 copies from or to shared memory byte by byte where source and target are aligned differently, as entries are: 1,300 ns for 4 KiB that
 * memcpy copies in 120. Node copies a part of a buffer by memcpy, and a whole one by V8 again.
 */
import { assert } from './assert.ts';

/** Below this a call of native code costs more than it saves. */
const NATIVE_BYTES = 128;

/** Copies all of `source` to `at` in `target`. */
export function copyBytes(source: Uint8Array, target: Buffer, at: number): void {
  if (source.length < NATIVE_BYTES) {
    target.set(source, at);
    return;
  }
  // Node would copy what fits, and say nothing.
  assert(at + source.length <= target.length, 'there is room for all bytes', at, source.length);
  const last = source.length - 1;
  Buffer.prototype.copy.call(source, target, at, 0, last);
  target[at + last] = source[last]!;
}
