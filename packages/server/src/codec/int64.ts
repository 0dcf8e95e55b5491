/**
 * 64-bit integers as clients send them, narrowed to what the server computes with.
 *
 * A client may put any int64 in any field; revisions, versions and limits are safe integers here. Saturating a
 * number to the safe range keeps every comparison with a safe integer as it was: a limit of 2^62 is still more than
 * any count, a revision of -2^63 is still below every revision. What must come back bit for bit (leases, ids, the
 * operands of a compare) stays a `bigint`.
 *
 * Numbers arrive as two unsigned halves, the way `wire-reader.ts` reads a varint.
 */

const TWO_TO_32 = 0x1_0000_0000;
/** Upper half of 2^53: from here on a non-negative number is no longer safe. */
const UNSAFE_HIGH = 0x20_0000;

/** Signed value of the halves, saturated to `Number.MIN_SAFE_INTEGER` and `Number.MAX_SAFE_INTEGER`. */
export function saturate(low: number, high: number): number {
  if (high === 0) return low;
  const signedHigh = high | 0;
  if (signedHigh >= UNSAFE_HIGH) return Number.MAX_SAFE_INTEGER;
  if (signedHigh < -UNSAFE_HIGH) return Number.MIN_SAFE_INTEGER;
  // -2^53 itself is the one value in range that is not safe.
  return Math.max(signedHigh * TWO_TO_32 + low, Number.MIN_SAFE_INTEGER);
}

/** Signed value of the halves, exact. */
export function toInt64(low: number, high: number): bigint {
  if (high === 0) return BigInt(low);
  return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
}

/** Unsigned value of the halves, exact. */
export function toUint64(low: number, high: number): bigint {
  if (high === 0) return BigInt(low);
  return (BigInt(high) << 32n) | BigInt(low);
}
