/**
 * Jump pointers: finding an old version of a key in O(log versions).
 *
 * The versions of one key form a chain: each record points to the one before it. Besides, each points to one record
 * further back, chosen by the record's depth alone (Myers, "An applicative random-access stack", 1983): the jump
 * lengths are those of the skew-binary number system. Depth 0 is the oldest record.
 *
 *   depth   0   1   2   3   4   5   6   7   8
 *   jump    -   0   1   0   3   4   3   0   7
 *
 * From 8, a reader that wants 2 goes 8 -> 7 (jump), 7's jump is 0: too far, so 7 -> 6, 6 -> 3 (jump), 3's jump is 0: too far, 3 -> 2.
 *
 * A new record at depth d needs to know where its predecessor's jump's jump points only when two jumps of equal
 * length meet; otherwise its jump is simply its predecessor.
 */

/** Depth that the record at `depth` jumps to; -1 for depth 0. */
export function jumpDepth(depth: number): number {
  if (depth === 0) return -1;
  // Peel the skew-binary digits of the predecessor's depth: weights 2^k - 1, only the lowest may occur twice.
  let rest = depth - 1;
  if (rest === 0) return 0;
  let first = 0;
  let second = 0;
  while (rest > 0) {
    const weight = largestWeight(rest);
    rest -= weight;
    second = first;
    first = weight;
  }
  // `first` is the lowest digit. Two equal ones merge with the new record.
  return first === second ? depth - 1 - first - second : depth - 1;
}

/** Largest 2^k - 1 that is not above `value` (at least 1). */
function largestWeight(value: number): number {
  return 2 ** (31 - Math.clz32(value + 1)) - 1;
}
