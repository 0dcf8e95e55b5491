/** How the services of locks and elections fail: with the text of the cause, and no code of their own. */
import { Status, type UnaryCall } from '@quorate/grpc-server';
import { type ErrorCode, errorFacts } from '@quorate/proto';
import { DomainError } from '../../errors.ts';
import { statusOfError } from '../error-map.ts';

/**
 * UNKNOWN, except for what callers must be able to act on: a member that stops (the place is kept: go on elsewhere), and
 * their own cancellation.
 */
export function unknownStatus(error: Error): { readonly status: Status; readonly message: string } {
  const kept = error instanceof DomainError && KEPT.has(error.code);
  const { status, message } = statusOfError(error);
  return { status: kept ? status : Status.UNKNOWN, message };
}

const KEPT: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['SERVER_STOPPED', 'REQUEST_CANCELED']);

export function failUnknown(call: UnaryCall, error: Error): void {
  const { status, message } = unknownStatus(error);
  call.fail(status, message);
}

export function refuseUnknown(call: UnaryCall, code: ErrorCode): void {
  call.fail(Status.UNKNOWN, errorFacts[code].message);
}
