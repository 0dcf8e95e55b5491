import { Status } from '@quorate/grpc-server';
import { expect, test } from 'vitest';
import { nodeEnv } from '../../node/env.ts';
import { GatewayUnaryCall } from './unary-call.ts';

function begin() {
  const happened: string[] = [];
  const call = new GatewayUnaryCall(
    {
      path: '/p',
      kind: 'unary',
      headers: {},
      peer: '127.0.0.1:1',
      env: nodeEnv({ log() {} }),
      observer: null,
    },
    ({ status, bytes }) => happened.push(`answer ${status} of ${bytes}`),
    () => happened.push('place free'),
  );
  return { call, happened };
}

test('a place is free only when the answer is accounted for: whoever enters next sees what it holds', () => {
  const answered = begin();
  answered.call.replyParts([new Uint8Array(3), new Uint8Array(4)]);
  expect(answered.happened).toEqual(['answer 0 of 7', 'place free']);
  const refused = begin();
  refused.call.fail(Status.OUT_OF_RANGE, 'compacted');
  expect(refused.happened).toEqual(['answer 11 of 0', 'place free']);
});

test('a handler that goes on for a caller who has gone keeps its place until it ends, and gives it up once', () => {
  const { call, happened } = begin();
  call.abandon();
  expect(happened).toEqual(['answer 1 of 0']);
  call.reply(new Uint8Array(1));
  expect(happened).toEqual(['answer 1 of 0', 'place free']);
  call.fail(Status.UNKNOWN, 'again');
  expect(happened).toHaveLength(2);
});
