import { readdirSync, readFileSync } from 'node:fs';
import { Status } from '@quorate/grpc-server';
import { CompactedError, FutureRevisionError, StoreBusyError } from '@quorate/mvcc';
import { DecodeError, errorCodes, errorFacts, GrpcStatus } from '@quorate/proto';
import { describe, expect, test } from 'vitest';
import { ResponseTooLargeError } from '../codec/responses.ts';
import { WireError } from '../codec/wire-reader.ts';
import { DomainError } from '../errors.ts';
import { statusOfCode, statusOfError } from './error-map.ts';

const src = new URL('../', import.meta.url);
const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => readFileSync(new URL(name, src), 'utf8'));

describe('domain to wire', () => {
  test.each(errorCodes)('%s travels as its row of the registry says', (code) => {
    const { message, wire } = errorFacts[code];
    const expected = { status: GrpcStatus[wire], message };
    expect(statusOfCode(code)).toEqual(expected);
    expect(statusOfError(new DomainError(code))).toEqual(expected);
  });

  test('sem-014 err-ErrGRPCRequestTooManyRequests travels as UNKNOWN', () => {
    expect(statusOfError(new DomainError('TOO_MANY_REQUESTS'))).toEqual({
      status: Status.UNKNOWN,
      message: 'etcdserver: too many requests',
    });
    expect(statusOfError(new StoreBusyError())).toEqual(statusOfCode('TOO_MANY_REQUESTS'));
  });

  test('sem-014 err-ErrGRPCMemberNotEnoughStarted travels as UNKNOWN', () => {
    expect(statusOfCode('MEMBER_NOT_ENOUGH_STARTED').status).toBe(Status.UNKNOWN);
  });

  test('sem-015 what nobody mapped is UNKNOWN with its own text', () => {
    expect(statusOfError(new Error('disk on fire'))).toEqual({
      status: Status.UNKNOWN,
      message: 'disk on fire',
    });
  });

  test('sem-015 sem-016 err-context.DeadlineExceeded err-context.Canceled keep their own texts', () => {
    expect(statusOfError(new DomainError('CONTEXT_DEADLINE_EXCEEDED'))).toEqual({
      status: Status.DEADLINE_EXCEEDED,
      message: 'context deadline exceeded',
    });
    expect(statusOfError(new DomainError('CONTEXT_CANCELED'))).toEqual({
      status: Status.CANCELLED,
      message: 'context canceled',
    });
  });

  test('sem-016 sem-017 err-ErrGRPCTimeout err-ErrGRPCTimeoutDueToLeaderFail err-ErrGRPCTimeoutDueToConnectionLost', () => {
    expect(statusOfCode('REQUEST_TIMED_OUT')).toEqual({
      status: Status.UNAVAILABLE,
      message: 'etcdserver: request timed out',
    });
    expect(statusOfCode('TIMEOUT_DUE_TO_LEADER_FAIL').message).toBe(
      'etcdserver: request timed out, possibly due to previous leader failure',
    );
    expect(statusOfCode('TIMEOUT_DUE_TO_CONNECTION_LOST').message).toBe(
      'etcdserver: request timed out, possibly due to connection lost',
    );
  });

  test('err-ErrGRPCCompacted err-ErrGRPCFutureRev: errors of the store', () => {
    expect(statusOfError(new CompactedError())).toEqual({
      status: Status.OUT_OF_RANGE,
      message: 'etcdserver: mvcc: required revision has been compacted',
    });
    expect(statusOfError(new FutureRevisionError())).toEqual({
      status: Status.OUT_OF_RANGE,
      message: 'etcdserver: mvcc: required revision is a future revision',
    });
  });

  test.each([
    // Every release that a cluster here may have has every capability.
    ['err-ErrGRPCNotCapable', 'NOT_CAPABLE', Status.FAILED_PRECONDITION, 'not capable'],
    // Reserved in etcd, too: a deadline that has passed goes out with Go's own text (sem-016).
    [
      'err-ErrGRPCDeadlineExceeded',
      'REQUEST_DEADLINE_EXCEEDED',
      Status.DEADLINE_EXCEEDED,
      'context deadline exceeded',
    ],
    // Said by etcd's peer handler; members here refuse each other in their own protocol.
    [
      'err-ErrGRPCClusterIDMismatch',
      'CLUSTER_ID_MISMATCH',
      Status.FAILED_PRECONDITION,
      'cluster ID mismatch',
    ],
    // Nothing to cancel is a success since 3.6 (sem-195).
    [
      'err-ErrGRPCNoInflightDowngrade',
      'NO_INFLIGHT_DOWNGRADE',
      Status.FAILED_PRECONDITION,
      'no inflight downgrade job',
    ],
  ] as const)('%s is known, for clients of other servers, and never said here', (_, code, status, text) => {
    expect(statusOfCode(code)).toEqual({ status, message: `etcdserver: ${text}` });
    expect(sources.filter((source) => source.includes(`'${code}'`))).toEqual([]);
  });

  test('malformed requests are INTERNAL, as gRPC libraries answer them', () => {
    const message = 'grpc: error unmarshalling request: unexpected EOF';
    expect(statusOfError(new WireError('unexpected EOF'))).toEqual({ status: Status.INTERNAL, message });
    expect(statusOfError(new DecodeError('MALFORMED', 'unexpected EOF'))).toEqual({
      status: Status.INTERNAL,
      message,
    });
  });

  test('answers no message can hold are RESOURCE_EXHAUSTED', () => {
    expect(statusOfError(new ResponseTooLargeError(2 ** 31))).toEqual({
      status: Status.RESOURCE_EXHAUSTED,
      message: 'grpc: trying to send message larger than max (2147483648 vs. 2147483647)',
    });
  });
});
