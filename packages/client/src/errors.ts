/**
 * What can go wrong, as one class with a literal `code`.
 *
 * A server's error is recognised by the equality of its whole text with the registry of `@quorate/proto`; nothing
 * is matched by a part of a text. What happens to the transport has codes of its own, which say whether the
 * request can have had an effect.
 */
import type { ServiceError } from '@grpc/grpc-js';
import {
  type ErrorCode,
  errorCodeOf,
  errorFacts,
  GrpcStatus,
  type GrpcStatusName,
  grpcStatusName,
  type RetryHint,
  type WatchCancelCode,
} from '@quorate/proto';
import type { Header } from './response.ts';

/**
 * Errors that no server text describes.
 * - `CONNECTION_FAILED`: no endpoint could be reached; nothing was sent.
 * - `CONNECTION_LOST`: the connection ended before the answer; a write may or may not have happened.
 * - `DEADLINE_EXCEEDED`: no answer in time; the same doubt.
 * - `CANCELLED`: the caller's signal.
 * - `BAD_RESPONSE`: the server sent what is no valid answer.
 * - `CLOSED`: the client was closed.
 * - `INVALID_ARGUMENT`: refused before anything was sent.
 * - `STATUS`: a gRPC status with a text that is not in the registry: see `status` and `message`.
 */
export type LocalCode =
  | 'CONNECTION_FAILED'
  | 'CONNECTION_LOST'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'BAD_RESPONSE'
  | 'CLOSED'
  | 'INVALID_ARGUMENT'
  | 'STATUS';

export type ClientErrorCode = ErrorCode | WatchCancelCode | LocalCode;

export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;
  /** gRPC status it came with, or the one that describes it best. */
  readonly status: GrpcStatusName;
  /** Whether the same request may be sent again. */
  readonly retry: RetryHint;
  /** True when the text came from the server, word for word. */
  readonly fromServer: boolean;

  constructor(
    code: ClientErrorCode,
    message: string,
    details: { status: GrpcStatusName; retry?: RetryHint; fromServer?: boolean; cause?: unknown },
  ) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.retry = details.retry ?? 'no';
    this.fromServer = details.fromServer ?? false;
  }
}

/** The server ended a watch. */
export class WatchCanceledError extends ClientError {
  readonly header: Header;
  /** The oldest revision that can still be read, when the watch asked for what is gone; otherwise 0. */
  readonly compactRevision: number;

  constructor(
    code: ClientErrorCode,
    message: string,
    details: { header: Header; compactRevision: number; retry?: RetryHint },
  ) {
    super(code, message, { status: 'CANCELLED', retry: details.retry ?? 'no', fromServer: true });
    this.header = details.header;
    this.compactRevision = details.compactRevision;
  }
}

const LOCAL_STATUS: Record<LocalCode, GrpcStatusName> = {
  CONNECTION_FAILED: 'UNAVAILABLE',
  CONNECTION_LOST: 'UNAVAILABLE',
  DEADLINE_EXCEEDED: 'DEADLINE_EXCEEDED',
  CANCELLED: 'CANCELLED',
  BAD_RESPONSE: 'INTERNAL',
  CLOSED: 'CANCELLED',
  INVALID_ARGUMENT: 'INVALID_ARGUMENT',
  STATUS: 'UNKNOWN',
};
const LOCAL_RETRY: Partial<Record<LocalCode, RetryHint>> = {
  CONNECTION_FAILED: 'later',
  CONNECTION_LOST: 'if-idempotent',
  DEADLINE_EXCEEDED: 'if-idempotent',
};

export function localError(code: LocalCode, message: string, cause?: unknown): ClientError {
  const retry = LOCAL_RETRY[code] ?? 'no';
  return new ClientError(code, message, { status: LOCAL_STATUS[code], retry, cause });
}

/** Of one endpoint that could not be reached; the reason is in the transport's words. */
export interface ConnectionFailure {
  readonly endpoint: string;
  readonly reason: string;
}

/** Its `cause` is the list of failures, one for each endpoint. */
export function connectionFailed(failures: readonly ConnectionFailure[]): ClientError {
  const texts = failures.map(({ endpoint, reason }) => `${endpoint} (${reason})`);
  return localError('CONNECTION_FAILED', `no connection to ${texts.join(', ')}`, failures);
}

/** The one way from a gRPC status to a `ClientError`. */
export function fromStatus(status: number, details: string, cause?: unknown): ClientError {
  const name = grpcStatusName(status);
  const code = errorCodeOf(details);
  if (code !== undefined)
    return new ClientError(code, details, {
      status: name,
      retry: errorFacts[code].retry,
      fromServer: true,
      cause,
    });
  if (status === GrpcStatus.UNAVAILABLE) return localError('CONNECTION_LOST', details, cause);
  if (status === GrpcStatus.DEADLINE_EXCEEDED) return localError('DEADLINE_EXCEEDED', details, cause);
  if (status === GrpcStatus.CANCELLED) return localError('CANCELLED', details, cause);
  return new ClientError('STATUS', details, { status: name, fromServer: true, cause });
}

export function fromServiceError(error: ServiceError): ClientError {
  return fromStatus(error.code, error.details, error);
}

/** Whatever was thrown, as a `ClientError`: background work must end in one, never in an unhandled rejection. */
export function asClientError(error: unknown): ClientError {
  if (error instanceof ClientError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new ClientError('STATUS', text, { status: 'INTERNAL', cause: error });
}
