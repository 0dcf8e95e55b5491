/** A unary call ends also when nobody waits for it any more: until then a transport counts it as work under way. */
import { RangeRequest, services } from '@quorate/proto';
import { expect, test } from 'vitest';
import { kvHandlers } from '../../src/api/kv.ts';
import type { Member } from '../../src/member.ts';
import { TestUnaryCall } from '../support/calls.ts';

test('err-ErrGRPCCanceled a range whose caller goes while the read is being confirmed', () => {
  let confirmed: (error: null) => void = () => {};
  const member = {
    limits: {},
    leader: 1n,
    ended: false,
    confirmRead: (_deadlineMs: number, done: typeof confirmed) => {
      confirmed = done;
    },
  } as unknown as Member;
  const { path } = services['etcdserverpb.KV'].Range;
  const range = new Map(kvHandlers(member, {} as Parameters<typeof kvHandlers>[1])).get(path)!;
  if (range.kind !== 'unary') throw new Error('a unary handler is wanted');
  const call = new TestUnaryCall(path, {});
  range.handle(RangeRequest.encode({ key: Buffer.from('a') }), call);
  call.cancel();
  expect(call.failure).toBeNull();
  confirmed(null);
  expect(call.failure).toEqual({ status: 1, message: 'etcdserver: request canceled' });
});
