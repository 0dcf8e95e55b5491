/**
 * The frame around every unary method: parse, guard, run, answer.
 *
 * A service gives the two ends that differ, `decode` and `run`; what is the same for all (errors of parsing, the
 * metadata checks, the way an error reaches the caller) is written here once. No promises: `run` ends by calling
 * `reply` or `fail` with whatever the member called back with.
 */
import type { UnaryCall, UnaryHandler } from '@quorate/grpc-server';
import type { ErrorCode } from '@quorate/proto';
import type { Member } from '../member.ts';
import { statusOfCode, statusOfError } from './error-map.ts';
import { refuseByMetadata } from './guard.ts';

/** Ends the call with what `error` is on the wire. */
export function fail(call: UnaryCall, error: Error): void {
  const { status, message } = statusOfError(error);
  call.fail(status, message);
}

/** Ends the call with a row of the error registry. */
export function refuse(call: UnaryCall, code: ErrorCode): void {
  const { status, message } = statusOfCode(code);
  call.fail(status, message);
}

/**
 * Ends the call if nobody waits for its answer any more: until then it counts as work under way.
 * @returns whether it did
 */
export function endIfAbandoned(call: UnaryCall): boolean {
  if (call.cancelled) refuse(call, 'REQUEST_CANCELED');
  return call.cancelled;
}

/**
 * @param member asked whether it still serves, and whether it knows a leader
 * @param decode throws a WireError or DecodeError for bytes that are no such message
 * @param run must end the call, now or later, exactly once
 */
export function unaryMethod<Request>(
  member: Pick<Member, 'leader' | 'ended'>,
  decode: (bytes: Uint8Array) => Request,
  run: (request: Request, call: UnaryCall, encodedBytes: number) => void,
): UnaryHandler {
  return {
    kind: 'unary',
    handle(bytes, call) {
      let request: Request;
      try {
        request = decode(bytes);
      } catch (error) {
        fail(call, error as Error);
        return;
      }
      const refusal = member.ended ? 'SERVER_STOPPED' : refuseByMetadata(call, member);
      if (refusal !== null) refuse(call, refusal);
      else run(request, call, bytes.length);
    },
  };
}
