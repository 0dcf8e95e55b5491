/**
 * The client against what chance makes a server say.
 *
 * Invariants: nothing is thrown, whole frames are said, each call ends exactly once, nothing is delivered after it, and what is held
 * is let go of. A server that keeps to the rules gets every byte once and in order, and never more than it has given credit for.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Flag, FrameType } from '../src/http2/frame.ts';
import { Setting } from '../src/http2/settings.ts';
import { FakeServer } from './support/fake-server.ts';
import { below, type Random, seededRandom } from './support/random.ts';
import { data, frame, headers, message, setting, settings, uint32 } from './support/raw-peer.ts';

const seed = Number(process.env.FUZZ_SEED ?? 7540);
const head = (streamId: number) =>
  headers(streamId, [
    [':status', '200'],
    ['content-type', 'application/grpc'],
  ]);
const trailers = (streamId: number) => headers(streamId, [['grpc-status', '0']], true);

/** Three calls, and everything a server may say besides. */
const conversation: readonly Buffer[] = [
  settings(setting(Setting.INITIAL_WINDOW_SIZE, 100), setting(Setting.HEADER_TABLE_SIZE, 0)),
  frame(FrameType.SETTINGS, Flag.ACK, 0),
  headers(1, [[':status', '103']]),
  head(1),
  frame(FrameType.PING, 0, 0, Buffer.from('12345678')),
  data(1, message('one').subarray(0, 3)),
  head(3),
  data(1, Buffer.concat([message('one').subarray(3), message('two'), message('')])),
  frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(1_000)),
  frame(FrameType.WINDOW_UPDATE, 0, 3, uint32(1_000)),
  frame(FrameType.DATA, Flag.PADDED, 3, Buffer.concat([Buffer.from([4]), message('three'), Buffer.alloc(4)])),
  frame(200, 0xff, 7, Buffer.from('unknown')),
  trailers(1),
  frame(FrameType.HEADERS, Flag.END_STREAM, 3, trailers(3).subarray(9, 12)),
  frame(FrameType.CONTINUATION, Flag.END_HEADERS, 3, trailers(3).subarray(12)),
  frame(FrameType.RST_STREAM, 0, 5, uint32(8)),
  frame(FrameType.GOAWAY, 0, 0, uint32(5, 0)),
];

function listen() {
  const server = new FakeServer({ maxMessageBytes: 1_000 });
  const calls = [
    server.call(Buffer.from('a')),
    server.call(),
    server.call(Buffer.alloc(70_000)),
    server.call(),
  ];
  return { server, calls, outcome: () => calls.map(({ messages, ends }) => [messages, ends]) };
}

test('a conversation has the same outcome, cut at whatever byte', async () => {
  const bytes = Buffer.concat(conversation);
  const whole = listen();
  whole.server.say(bytes);
  await null;
  const expected = whole.outcome();
  expect(expected.map(([messages]) => messages)).toEqual([['one', 'two', ''], ['three'], [], []]);
  expect(expected.map(([, ends]) => (ends as unknown[]).length)).toEqual([1, 1, 1, 1]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { server, outcome } = listen();
    server.say(bytes.subarray(0, cut), bytes.subarray(cut));
    expect(outcome(), `cut at ${cut}`).toEqual(expected);
  }
  const { server, outcome } = listen();
  server.say(...Array.from(bytes, (byte) => Buffer.from([byte])));
  expect(outcome()).toEqual(expected);
});

test('a conversation that is broken off at whatever byte ends every call once', () => {
  const bytes = Buffer.concat(conversation);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { server, calls } = listen();
    server.say(bytes.subarray(0, cut));
    server.socket.emit('end');
    server.socket.emit('close');
    expect(
      calls.map(({ ends }) => ends.length),
      `cut at ${cut}`,
    ).toEqual([1, 1, 1, 1]);
    expect(server.ends).toHaveLength(1);
    expect(server.client.counters.heldRequestBytes).toBe(0);
  }
});

/** Frames left out, repeated, exchanged and damaged. */
function damaged(random: Random): Buffer {
  const frames = [...conversation];
  for (let count = below(random, 6); count > 0; count--) {
    const [from, to] = [below(random, frames.length), below(random, frames.length)];
    switch (below(random, 3)) {
      case 0:
        frames.splice(from, 1);
        break;
      case 1:
        frames.splice(to, 0, frames[from]!);
        break;
      default:
        [frames[from], frames[to]] = [frames[to]!, frames[from]!];
    }
  }
  const bytes = Buffer.concat(frames);
  for (let count = below(random, 4); count > 0; count--)
    bytes[below(random, bytes.length)]! ^= 1 << below(random, 8);
  return bytes;
}

const CONVERSATIONS = 10_000;

test(`${CONVERSATIONS} damaged conversations (seed ${seed})`, async () => {
  let survived = 0;
  for (let index = 0; index < CONVERSATIONS; index++) {
    const random = seededRandom(seed + index);
    const { server, calls } = listen();
    const bytes = damaged(random);
    const cut = below(random, bytes.length);
    server.say(bytes.subarray(0, cut));
    if (random() < 0.3) calls[below(random, 4)]!.call.cancel();
    if (random() < 0.3) calls[1]!.call.write(Buffer.alloc(below(random, 3_000)));
    server.say(bytes.subarray(cut));
    const name = `seed ${seed + index}`;
    expect(server.frames.length, name).toBeGreaterThan(0);
    if (!server.client.closed) survived++;
    await null;
    server.client.destroy(new Error('over'));
    expect(server.ends, name).toHaveLength(1);
    for (const { ends, messages } of calls) {
      expect(ends.length, name).toBeLessThanOrEqual(1);
      expect(messages.length, name).toBeLessThan(20);
    }
    expect(server.client.calls.size, name).toBe(0);
    expect(server.client.counters.heldRequestBytes, name).toBe(0);
  }
  expect(survived).toBeGreaterThan(0);
});

test('bytes of any kind: the connection goes on or ends, and nothing is thrown', () => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(fc.nat({ max: 10 }), fc.nat({ max: 255 }), fc.nat({ max: 5 }), fc.uint8Array({ maxLength: 30 }))
      .map(([type, flags, streamId, payload]) => frame(type, flags, streamId, payload)),
    fc.constantFrom(head(1), trailers(1), data(1, message('hello')), settings()),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (list) => {
      const server = new FakeServer({ maxMessageBytes: 1_000 });
      const { ends } = server.call();
      server.say(...list);
      expect(server.frames.length).toBeGreaterThan(0);
      expect(server.client.closed).toBe(server.ends.length === 1);
      expect(ends.length).toBeLessThanOrEqual(1);
      server.client.destroy(new Error('over'));
      expect([server.ends.length, ends.length]).toEqual([1, 1]);
    }),
    { numRuns: 5_000 },
  );
});

test('a server that keeps to the rules gets what was written, once, in order, and within its credit', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ what: fc.constant('write'), call: fc.nat(2), bytes: fc.nat(40_000) }),
      fc.record({ what: fc.constant('credit'), call: fc.nat(2), bytes: fc.integer({ min: 1, max: 30_000 }) }),
      fc.record({
        what: fc.constant('shared'),
        call: fc.constant(0),
        bytes: fc.integer({ min: 1, max: 30_000 }),
      }),
      fc.record({ what: fc.constant('initial'), call: fc.constant(0), bytes: fc.nat(70_000) }),
      fc.record({ what: fc.constant('frame'), call: fc.constant(0), bytes: fc.nat(50_000) }),
    ),
    { minLength: 1, maxLength: 30 },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const server = new FakeServer();
      const calls = [server.call(), server.call(), server.call()];
      const written: Buffer[][] = [[], [], []];
      const idOf = (at: number) => 1 + 2 * at;
      const sentBytes = () => calls.map((_, at) => server.dataOf(idOf(at)).length);
      const given = [0, 0, 0];
      let [initial, shared, maxFrame, mark, checked] = [65_535, 65_535, 16_384, 0, 0];
      for (const { what, call, bytes } of list) {
        const before = sentBytes();
        if (what === 'write') {
          const body = Buffer.alloc(bytes, ++mark);
          written[call]!.push(message(body));
          calls[call]!.call.write(body);
        } else if (what === 'credit') {
          given[call]! += bytes;
          server.say(frame(FrameType.WINDOW_UPDATE, 0, idOf(call), uint32(bytes)));
        } else if (what === 'shared') {
          shared += bytes;
          server.say(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(bytes)));
        } else if (what === 'initial') {
          initial = bytes;
          server.say(settings(setting(Setting.INITIAL_WINDOW_SIZE, initial)));
        } else {
          maxFrame = 16_384 + bytes;
          server.say(settings(setting(Setting.MAX_FRAME_SIZE, maxFrame)));
        }
        const after = sentBytes();
        expect(after.reduce((sum, each) => sum + each)).toBeLessThanOrEqual(shared);
        for (const [at, sent] of after.entries()) {
          const credit = Math.max(0, initial + given[at]! - before[at]!);
          expect(sent - before[at]!).toBeLessThanOrEqual(credit);
          expect(calls[at]!.call.queuedBytes).toBe(Buffer.concat(written[at]!).length - sent);
        }
        const frames = server.frames;
        for (const each of frames.slice(checked)) expect(each.payload.length).toBeLessThanOrEqual(maxFrame);
        checked = frames.length;
      }
      // With room for all, everything is there.
      server.say(settings(setting(Setting.INITIAL_WINDOW_SIZE, 2_000_000)));
      server.say(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(2_000_000)));
      for (const [at, { call }] of calls.entries()) {
        expect(server.dataOf(idOf(at)).equals(Buffer.concat(written[at]!))).toBe(true);
        expect(call.queuedBytes).toBe(0);
      }
    }),
    { numRuns: 300 },
  );
});
