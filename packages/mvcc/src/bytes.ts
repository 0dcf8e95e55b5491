/** Byte strings: the one order of keys, and small helpers that copy nothing they need not. */

export const EMPTY = new Uint8Array(0);
const NATIVE_COMPARE_FROM = 64;

/** Unsigned byte order; a prefix comes first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  const quick = Math.min(shorter, NATIVE_COMPARE_FROM);
  for (let i = 0; i < quick; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  if (quick < shorter) return Buffer.compare(a, b);
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** The least byte string above `key`. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

export function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** A copy with a buffer of its own: what outlives the turn must not hold on to a socket's chunk. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes);
}
