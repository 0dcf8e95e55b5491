/** Our own code is wrong: nothing catches this, the member logs it and stops. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Always on. `sentence` is constant, so a holding assertion allocates nothing. */
export function assert(condition: boolean, sentence: string, fact?: unknown): asserts condition {
  if (!condition) throw new InvariantError(fact === undefined ? sentence : `${sentence} (${String(fact)})`);
}
