/** Our own code is wrong: nothing catches this, the member logs it and stops. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Always on. `sentence` is constant, so a holding assertion allocates nothing. */
export function assert(condition: boolean, sentence: string, a?: unknown, b?: unknown): asserts condition {
  if (condition) return;
  const details =
    a === undefined ? '' : b === undefined ? ` (${String(a)})` : ` (${String(a)}, ${String(b)})`;
  throw new InvariantError(sentence + details);
}
