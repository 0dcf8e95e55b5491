/**
 * What goes wrong between members, and how an error of one becomes an error of the other.
 *
 * An error travels as its `code` and text. A code of the registry in `@quorate/proto` comes back as a `DomainError`, so
 * that a client of the asking member gets the answer it would have got from the asked one.
 */
import { type ErrorCode, errorFacts } from '@quorate/proto';
import { DomainError } from '../errors.ts';

export const REFUSALS = [
  /** It speaks another version of the peer protocol, or its server version is too far from ours. */
  'PEER_VERSION',
  'PEER_OTHER_CLUSTER',
  /** It meant another member: an address changed hands. */
  'PEER_OTHER_MEMBER',
  /** It was removed from the cluster, for good. */
  'PEER_REMOVED',
  /** It is no member, or not yet known to be one. */
  'PEER_UNKNOWN',
  /** It did not say who it is. */
  'PEER_HANDSHAKE',
  /** This member takes no snapshot now, or has too much to do for the caller. */
  'PEER_BUSY',
] as const;
export type RefusalCode = (typeof REFUSALS)[number];

export type PeerErrorCode =
  | RefusalCode
  /** No connection, or it was lost. */
  | 'PEER_UNREACHABLE'
  | 'PEER_TIMEOUT'
  /** The other side broke the protocol. */
  | 'PEER_PROTOCOL'
  /** The other side does not know the method. */
  | 'PEER_METHOD'
  /** This side has closed. */
  | 'PEER_CLOSED'
  /** The other side failed with an error that has no code. */
  | 'PEER_FAILED';

export class PeerError extends Error {
  override readonly name = 'PeerError';
  /** A `PeerErrorCode`, or the code that an error of the other side had. */
  readonly code: string;
  constructor(code: PeerErrorCode | (string & {}), message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** As it travels. */
export interface FailureBody extends Readonly<Record<string, unknown>> {
  readonly code: string;
  readonly message: string;
}

export function failureOf(error: Error): FailureBody {
  const { code } = error as { code?: unknown };
  return { code: typeof code === 'string' ? code : 'PEER_FAILED', message: error.message };
}

export function errorOf({ code, message }: FailureBody): Error {
  if (Object.hasOwn(errorFacts, code)) return new DomainError(code as ErrorCode);
  return new PeerError(code === '' ? 'PEER_FAILED' : code, message);
}
