import { Status } from '@quorate/grpc-server';
import { services } from '@quorate/proto';
import { SimEnv } from '@quorate/testing';
import { expect, test } from 'vitest';
import type { Env } from '../../env.ts';
import { Turns } from '../turns.ts';
import { BodyRoom } from './body.ts';
import { GatewayStreamCall, type LineSink } from './stream-call.ts';

const ROOM_BYTES = 64 * 1024 * 1024;
const MANY_BYTES = 2 * 1024 * 1024;

function streams(room: BodyRoom) {
  const env = new SimEnv(1, 0);
  const method = services['etcdserverpb.Watch'].Watch;
  return () => {
    const seen = { status: null as Status | null, text: '', messages: 0 };
    const sink: LineSink = {
      begin(status) {
        seen.status = status;
      },
      write(text) {
        seen.text += text;
        return true;
      },
      onDrain() {},
      end() {},
      abort() {},
      pause() {},
      resume() {},
    };
    const call = new GatewayStreamCall(
      {
        path: method.path,
        kind: 'stream',
        headers: {},
        peer: '',
        env: env as unknown as Env,
        observer: null,
      },
      method as never,
      sink,
      new Turns(env as unknown as Env),
      { maxMessageBytes: MANY_BYTES, maxBodyBytes: 2 * MANY_BYTES, room },
    );
    call.open({
      kind: 'stream',
      open: () => ({
        onMessage() {
          seen.messages++;
        },
        onHalfClose() {},
      }),
    });
    const settle = () => env.advance(10);
    return { call, seen, settle };
  };
}

test('case-66 objects that streams begin and do not end share the room of unfinished bodies', () => {
  const room = new BodyRoom();
  const open = streams(room);
  expect(room.take(ROOM_BYTES - MANY_BYTES)).toBe(true);
  const first = open();
  first.call.feed(Buffer.from(`{"x":"${'y'.repeat(MANY_BYTES - 6)}`));
  const second = open();
  second.call.feed(Buffer.from('{'));
  second.settle();
  expect(second.seen.status).toBe(Status.RESOURCE_EXHAUSTED);
  expect(second.seen.text).toContain('too many request bodies are under way');
  // What the first one held is free again when its object has ended, ...
  first.call.feed(Buffer.from('"}'));
  expect(first.seen.messages).toBe(1);
  const third = open();
  third.call.feed(Buffer.alloc(MANY_BYTES, '{"a":1,'));
  third.settle();
  expect(third.seen.status).toBeNull();
  // ... or when its caller has gone.
  third.call.abandon();
  expect(room.take(MANY_BYTES)).toBe(true);
  expect(room.take(1)).toBe(false);
});

test('case-66 what is on its way to a stream counts until it is there', () => {
  const room = new BodyRoom();
  const open = streams(room);
  expect(room.take(ROOM_BYTES - MANY_BYTES)).toBe(true);
  const first = open();
  first.call.expect(MANY_BYTES);
  expect(room.take(1)).toBe(false);
  // It was no message after all.
  first.call.expect(0);
  expect(room.take(MANY_BYTES)).toBe(true);
  room.give(MANY_BYTES);
  first.call.expect(MANY_BYTES);
  first.call.feed(Buffer.from('{}'));
  expect(first.seen.messages).toBe(1);
  expect(room.take(MANY_BYTES)).toBe(true);
  const second = open();
  second.call.expect(1);
  second.settle();
  expect(second.seen.status).toBe(Status.RESOURCE_EXHAUSTED);
});
