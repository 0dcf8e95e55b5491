/**
 * What can go wrong inside the core, by whose fault it is.
 *
 * `InvariantError`: our own code or the host broke a promise the safety proofs rest on. Nothing handles it; log the
 * node's state and stop the member. `ProtocolError`: a peer sent something no correct peer sends; the state is
 * unchanged and the message is to be dropped. What storage may answer is in `storage.ts`.
 */

/**
 * A promise the proofs rest on does not hold. Stop the node; its state is no longer to be trusted.
 * Thesis figure 3.2 lists the properties.
 */
export class InvariantError extends Error {
  readonly code = 'INVARIANT';
  override readonly name = 'InvariantError';
}

/**
 * A message that no correct peer sends: wrong addressee, gaps between entries, terms that fall. State is unchanged.
 * Thesis §3.5.
 */
export class ProtocolError extends Error {
  readonly code = 'PROTOCOL';
  override readonly name = 'ProtocolError';
}

/**
 * Bytes that are not the encoding of a message, an entry or a configuration change.
 * Thesis figure 3.1 says what messages hold.
 */
export class CodecError extends Error {
  readonly code = 'CODEC';
  override readonly name = 'CodecError';
}

/**
 * A configuration change that the current configuration does not allow. State is unchanged.
 * Thesis §4.1, §4.3.
 */
export class ConfChangeError extends Error {
  readonly code = 'CONF_CHANGE';
  override readonly name = 'ConfChangeError';
}

/**
 * Checks a promise; always on, allocates nothing while it holds.
 * @param sentence constant text saying what should have been true
 */
export function assert(
  condition: boolean,
  sentence: string,
  left?: unknown,
  right?: unknown,
): asserts condition {
  if (!condition) fail(sentence, left, right);
}

function fail(sentence: string, left: unknown, right: unknown): never {
  const values = [left, right].filter((value) => value !== undefined).map(String);
  throw new InvariantError(values.length === 0 ? sentence : `${sentence} (${values.join(', ')})`);
}
