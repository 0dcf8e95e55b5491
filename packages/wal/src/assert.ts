/** Assertions that stay on: the log rather stops than writes what it does not understand. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** `sentence` is a constant, so a holding assertion allocates nothing. */
export function assert(condition: boolean, sentence: string, ...values: unknown[]): asserts condition {
  if (!condition)
    throw new InvariantError(values.length > 0 ? `${sentence} (${values.join(', ')})` : sentence);
}
