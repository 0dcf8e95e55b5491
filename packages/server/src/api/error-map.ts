/**
 * From errors of the domain to what a caller sees: the only place where one becomes the other.
 *
 * The registry in `@quorate/proto` holds status and text for every code; this file says which code an error is:
 *
 *   WireError, DecodeError      INTERNAL, with the text gRPC libraries give for bytes they cannot parse
 *   DomainError                 its code's row in the registry (timeouts and cancellation included, sem-016, sem-017)
 *   errors of the store         COMPACTED, FUTURE_REVISION; TOO_MANY_REQUESTS when it is full, SERVER_STOPPED when closed
 *   ResponseTooLargeError       RESOURCE_EXHAUSTED, with gRPC's text
 *   anything else               UNKNOWN with its own text (sem-015)
 *
 * Next: `unary.ts`, which every unary service goes through.
 */
import { Status } from '@quorate/grpc-server';
import {
  CompactedError,
  FutureRevisionError,
  StoreBusyError,
  StoreClosedError,
  StoreReplacedError,
} from '@quorate/mvcc';
import { DecodeError, type ErrorCode, errorFacts, wireStatus } from '@quorate/proto';
import { ResponseTooLargeError } from '../codec/responses.ts';
import { WireError } from '../codec/wire-reader.ts';
import { DomainError } from '../errors.ts';

/** What goes on the wire: `grpc-status` and `grpc-message`. */
export interface WireStatus {
  readonly status: Status;
  readonly message: string;
}

export function statusOfCode(code: ErrorCode): WireStatus {
  return { status: wireStatus(code), message: errorFacts[code].message };
}

export function statusOfError(error: Error): WireStatus {
  if (error instanceof WireError || error instanceof DecodeError) {
    return { status: Status.INTERNAL, message: `grpc: error unmarshalling request: ${error.message}` };
  }
  if (error instanceof ResponseTooLargeError) {
    return { status: Status.RESOURCE_EXHAUSTED, message: error.message };
  }
  const code = codeOf(error);
  return code === null ? { status: Status.UNKNOWN, message: error.message } : statusOfCode(code);
}

function codeOf(error: Error): ErrorCode | null {
  if (error instanceof DomainError) return error.code;
  if (error instanceof CompactedError) return 'COMPACTED';
  if (error instanceof FutureRevisionError) return 'FUTURE_REVISION';
  if (error instanceof StoreBusyError) return 'TOO_MANY_REQUESTS';
  if (error instanceof StoreClosedError) return 'SERVER_STOPPED';
  // The leader sent its state while this member was reading its own: a client asks again, as after any change of leader.
  if (error instanceof StoreReplacedError) return 'LEADER_CHANGED';
  return null;
}
