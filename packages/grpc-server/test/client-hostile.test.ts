/** The client against servers that are broken, hostile, or right in ways that are rare: no network, byte by byte. */
import { describe, expect, test } from 'vitest';
import { HpackDecoder } from '../src/hpack/decoder.ts';
import { ErrorCode, Flag, FrameType } from '../src/http2/frame.ts';
import { Setting } from '../src/http2/settings.ts';
import { Status } from '../src/index.ts';
import { FakeServer } from './support/fake-server.ts';
import { data, frame, headers, message, setting, settings, uint32 } from './support/raw-peer.ts';

const head = (streamId: number) =>
  headers(streamId, [
    [':status', '200'],
    ['content-type', 'application/grpc'],
  ]);
const trailers = (streamId: number, status = '0') => headers(streamId, [['grpc-status', status]], true);
const answer = (streamId: number, text: string) =>
  Buffer.concat([head(streamId), data(streamId, message(text)), trailers(streamId)]);
const rst = (streamId: number, code: number) => frame(FrameType.RST_STREAM, 0, streamId, uint32(code));
const windowUpdate = (streamId: number, increment: number) =>
  frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));
const goaway = (last: number, code: number, text = '') =>
  frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(last, code), Buffer.from(text)]));
const initialWindow = (bytes: number) => settings(setting(Setting.INITIAL_WINDOW_SIZE, bytes));
const maxCalls = (count: number) => settings(setting(Setting.MAX_CONCURRENT_STREAMS, count));
const ping = frame(FrameType.PING, 0, 0, Buffer.alloc(8));
const request = Buffer.from('request');
/** Refusals of this side come in a microtask. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('GOAWAY', () => {
  test('lets calls go on that the server has begun, fails those it has not, and takes no more', async () => {
    const server = new FakeServer();
    const [one, two] = [server.call(request), server.call(request)];
    server.say(head(1), goaway(1, ErrorCode.NO_ERROR, 'bye'));
    expect(one.ends).toEqual([]);
    expect(two.ends).toEqual([[Status.UNAVAILABLE, 'the server ends the connection: bye']]);
    expect(server.goaways).toHaveLength(1);
    const late = server.call(request);
    expect(late.ends).toEqual([]);
    await turn();
    expect(late.ends).toEqual([[Status.UNAVAILABLE, 'the server ends the connection: bye']]);
    expect(server.client.closed).toBe(false);
    server.say(data(1, message('whole')), trailers(1));
    await turn();
    expect(one.messages).toEqual(['whole']);
    expect(one.ends).toEqual([[Status.OK, '']]);
    expect(server.ends).toEqual(['the server ends the connection: bye']);
    expect(server.socket.destroyed).toBe(true);
  });

  test('in two steps, as servers do that wait for calls under way: the second names the last', () => {
    const server = new FakeServer();
    const calls = [server.call(), server.call()];
    server.say(goaway(2 ** 31 - 1, ErrorCode.NO_ERROR));
    expect(calls.map(({ ends }) => ends.length)).toEqual([0, 0]);
    server.say(goaway(1, ErrorCode.NO_ERROR));
    expect(calls.map(({ ends }) => ends.length)).toEqual([0, 1]);
    expect(server.goaways).toHaveLength(1);
  });

  test('without a call ends the connection', () => {
    const server = new FakeServer();
    server.say(goaway(0, ErrorCode.NO_ERROR));
    expect(server.ends).toEqual(['the server ends the connection: code 0']);
  });

  test('when the last call is cancelled the connection ends too', async () => {
    const server = new FakeServer();
    const { call, ends } = server.call();
    server.say(goaway(1, ErrorCode.NO_ERROR));
    call.cancel();
    await turn();
    expect([server.ends.length, ends.length]).toEqual([1, 0]);
  });

  test('for an error ends every call at once', () => {
    const server = new FakeServer();
    const { ends } = server.call();
    server.say(goaway(1, ErrorCode.ENHANCE_YOUR_CALM, 'too_many_pings'));
    expect(ends).toEqual([[Status.UNAVAILABLE, 'the server ends the connection: too_many_pings']]);
  });
});

describe('the end of a call', () => {
  test.each([
    [ErrorCode.NO_ERROR, Status.INTERNAL],
    [ErrorCode.PROTOCOL_ERROR, Status.INTERNAL],
    [ErrorCode.INTERNAL_ERROR, Status.INTERNAL],
    [ErrorCode.FLOW_CONTROL_ERROR, Status.INTERNAL],
    [ErrorCode.SETTINGS_TIMEOUT, Status.INTERNAL],
    [ErrorCode.STREAM_CLOSED, Status.INTERNAL],
    [ErrorCode.FRAME_SIZE_ERROR, Status.INTERNAL],
    [ErrorCode.REFUSED_STREAM, Status.UNAVAILABLE],
    [ErrorCode.CANCEL, Status.CANCELLED],
    [ErrorCode.COMPRESSION_ERROR, Status.INTERNAL],
    [ErrorCode.CONNECT_ERROR, Status.INTERNAL],
    [ErrorCode.ENHANCE_YOUR_CALM, Status.RESOURCE_EXHAUSTED],
    [ErrorCode.INADEQUATE_SECURITY, Status.PERMISSION_DENIED],
    [ErrorCode.HTTP_1_1_REQUIRED, Status.INTERNAL],
    [77, Status.INTERNAL],
  ])('RST_STREAM %i is status %i, and is not answered', (code, status) => {
    const server = new FakeServer();
    const { ends } = server.call();
    server.say(rst(1, code), rst(1, code), data(1, message('late')), trailers(1));
    expect(ends.map(([each]) => each)).toEqual([status]);
    expect(server.resetsOf(1)).toEqual([]);
    expect(server.client.closed).toBe(false);
  });

  test.each([
    ['400', Status.INTERNAL],
    ['401', Status.UNAUTHENTICATED],
    ['403', Status.PERMISSION_DENIED],
    ['404', Status.UNIMPLEMENTED],
    ['429', Status.UNAVAILABLE],
    ['500', Status.UNKNOWN],
    ['503', Status.UNAVAILABLE],
    ['200', Status.UNKNOWN],
    ['', Status.UNKNOWN],
  ])('HTTP status %s without gRPC is status %i', (http, status) => {
    const server = new FakeServer();
    const { ends } = server.call(request);
    const fields = [['content-type', 'text/html']] as const;
    server.say(
      headers(1, http === '' ? fields : [[':status', http], ...fields]),
      data(1, Buffer.from('<html>'), true),
    );
    expect(ends.map(([each]) => each)).toEqual([status]);
  });

  test.each(['application/grpc', 'application/grpc+proto', 'application/grpc;x=y'])('%s is gRPC', (type) => {
    const server = new FakeServer();
    const { ends } = server.call(request);
    server.say(
      headers(
        1,
        [
          [':status', '200'],
          ['content-type', type],
          ['grpc-status', '5'],
        ],
        true,
      ),
    );
    expect(ends).toEqual([[Status.NOT_FOUND, '']]);
  });

  test('gRPC-Web is not: its trailers would be taken for messages', () => {
    const server = new FakeServer();
    const { ends } = server.call(request);
    server.say(
      headers(1, [
        [':status', '200'],
        ['content-type', 'application/grpc-web'],
      ]),
    );
    expect(ends.map(([status]) => status)).toEqual([Status.UNKNOWN]);
  });

  test.each([
    ['17', Status.UNKNOWN],
    ['99', Status.UNKNOWN],
    ['-1', Status.UNKNOWN],
    ['1e1', Status.UNKNOWN],
    ['', Status.UNKNOWN],
    ['16', Status.UNAUTHENTICATED],
  ])('grpc-status "%s" is status %i', (text, status) => {
    const server = new FakeServer();
    const { ends } = server.call(request);
    server.say(head(1), trailers(1, text));
    expect(ends.map(([each]) => each)).toEqual([status]);
  });

  test('by an interim answer that ends the stream: nothing else will come', () => {
    const server = new FakeServer();
    const { ends } = server.call(request);
    server.say(headers(1, [[':status', '100']], true));
    expect(ends.map(([status]) => status)).toEqual([Status.UNKNOWN]);
  });

  test('within a message is no success', () => {
    const server = new FakeServer();
    const { ends, messages } = server.call(request);
    server.say(head(1), data(1, message('half a message').subarray(0, 9)), trailers(1));
    expect(ends).toEqual([[Status.INTERNAL, 'the server ended the call within a message']]);
    expect(messages).toEqual([]);
  });

  test('a message before the headers is not taken for an answer', () => {
    const server = new FakeServer();
    const { ends, messages } = server.call(request);
    server.say(data(1, message('what?')), answer(1, 'late'));
    expect(ends.map(([status]) => status)).toEqual([Status.INTERNAL]);
    expect(messages).toEqual([]);
  });

  test('headers between messages end it', () => {
    const server = new FakeServer();
    const { ends, messages } = server.call(request);
    server.say(head(1), data(1, message('a')), head(1), data(1, message('b')), trailers(1));
    expect(ends.map(([status]) => status)).toEqual([Status.INTERNAL]);
    expect(messages).toEqual(['a']);
  });

  test('a header list that is too long ends it alone; the server was told how long it may be', () => {
    const server = new FakeServer();
    const { ends } = server.call(request);
    const field = ['x', '0'.repeat(8_000)] as const;
    const block = headers(1, [[':status', '200'], ['content-type', 'application/grpc'], field, field, field]);
    expect(block.length).toBeLessThan(16_384);
    const payload = block.subarray(9);
    server.say(
      frame(FrameType.HEADERS, 0, 1, payload.subarray(0, 10_000)),
      frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, payload.subarray(10_000)),
    );
    expect(ends.map(([status]) => status)).toEqual([Status.RESOURCE_EXHAUSTED]);
    expect(server.client.closed).toBe(false);
    const [told] = server.sent(FrameType.SETTINGS, 0);
    expect(told!.payload.includes(setting(Setting.MAX_HEADER_LIST_SIZE, 16_384))).toBe(true);
  });

  test.each([
    ['a message that is too long', data(1, Buffer.from([0, 0, 2, 0, 0]))],
    ['a compressed message', data(1, message('x', 1))],
    ['a flag that does not exist', data(1, message('x', 7))],
    [
      'a web page',
      headers(1, [
        [':status', '200'],
        ['content-type', 'text/html'],
      ]),
    ],
  ])('because of %s is told to the server, which else keeps what it has no credit to send', (_, bytes) => {
    const server = new FakeServer();
    const { ends } = server.call(request);
    server.say(...(bytes[3] === FrameType.DATA ? [head(1), bytes] : [bytes]));
    expect(ends).toHaveLength(1);
    expect(server.resetsOf(1)).toEqual([ErrorCode.CANCEL]);
  });

  test('an answer to a stream that was not half closed resets it, one to a whole request does not', () => {
    const server = new FakeServer();
    server.call();
    server.call(request);
    server.say(answer(1, 'a'), answer(3, 'b'));
    expect([server.resetsOf(1), server.resetsOf(3)]).toEqual([[ErrorCode.CANCEL], []]);
  });
});

describe('frames on streams that are none of this side lose the connection, and the server is told why:', () => {
  const frames: [string, Buffer, number][] = [
    ['DATA on stream 0', data(0, Buffer.alloc(1)), ErrorCode.PROTOCOL_ERROR],
    ['DATA on an idle stream', data(3, Buffer.alloc(1)), ErrorCode.PROTOCOL_ERROR],
    ['DATA on a stream of the server', data(2, Buffer.alloc(1)), ErrorCode.PROTOCOL_ERROR],
    ['HEADERS on an idle stream', head(3), ErrorCode.PROTOCOL_ERROR],
    ['RST_STREAM on stream 0', rst(0, 1), ErrorCode.PROTOCOL_ERROR],
    ['RST_STREAM on an idle stream', rst(3, 1), ErrorCode.PROTOCOL_ERROR],
    ['a short RST_STREAM', frame(FrameType.RST_STREAM, 0, 1, Buffer.alloc(3)), ErrorCode.FRAME_SIZE_ERROR],
    ['WINDOW_UPDATE on an idle stream', windowUpdate(3, 1), ErrorCode.PROTOCOL_ERROR],
    ['WINDOW_UPDATE of nothing', windowUpdate(1, 0), ErrorCode.PROTOCOL_ERROR],
    ['WINDOW_UPDATE of nothing for all', windowUpdate(0, 0), ErrorCode.PROTOCOL_ERROR],
    ['SETTINGS on a stream', frame(FrameType.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR],
    ['an ACK with settings', frame(FrameType.SETTINGS, 1, 0, Buffer.alloc(6)), ErrorCode.FRAME_SIZE_ERROR],
    ['PING on a stream', frame(FrameType.PING, 0, 1, Buffer.alloc(8)), ErrorCode.PROTOCOL_ERROR],
    ['GOAWAY on a stream', frame(FrameType.GOAWAY, 0, 1, Buffer.alloc(8)), ErrorCode.PROTOCOL_ERROR],
    ['a short GOAWAY', frame(FrameType.GOAWAY, 0, 0, Buffer.alloc(7)), ErrorCode.FRAME_SIZE_ERROR],
    ['MAX_FRAME_SIZE too small', settings(setting(Setting.MAX_FRAME_SIZE, 16_383)), ErrorCode.PROTOCOL_ERROR],
    ['a window too large', initialWindow(2 ** 31), ErrorCode.FLOW_CONTROL_ERROR],
    ['a window that overflows', windowUpdate(1, 2 ** 31 - 1), ErrorCode.FLOW_CONTROL_ERROR],
    ['a window of all that overflows', windowUpdate(0, 2 ** 31 - 1), ErrorCode.FLOW_CONTROL_ERROR],
    [
      'initial windows that overflow those of calls',
      Buffer.concat([windowUpdate(1, 1_000_000), initialWindow(2 ** 31 - 1)]),
      ErrorCode.FLOW_CONTROL_ERROR,
    ],
    [
      'a block that cannot be read',
      frame(FrameType.HEADERS, 4, 1, Buffer.from([0xff])),
      ErrorCode.COMPRESSION_ERROR,
    ],
    ['PUSH_PROMISE', frame(FrameType.PUSH_PROMISE, 4, 1, uint32(2)), ErrorCode.PROTOCOL_ERROR],
    [
      'CONTINUATION for ever',
      Buffer.concat([
        frame(FrameType.HEADERS, 0, 1),
        ...Array.from({ length: 5 }, () => frame(FrameType.CONTINUATION, 0, 1)),
      ]),
      ErrorCode.ENHANCE_YOUR_CALM,
    ],
    [
      'CONTINUATION of another stream',
      Buffer.concat([frame(FrameType.HEADERS, 0, 1), frame(FrameType.CONTINUATION, 4, 3)]),
      ErrorCode.PROTOCOL_ERROR,
    ],
  ];

  test.each(frames)('%s', (_, bytes, code) => {
    const server = new FakeServer();
    const { ends, messages } = server.call(request);
    server.say(bytes, answer(1, 'late'));
    expect(ends.map(([status]) => status)).toEqual([Status.UNAVAILABLE]);
    expect(messages).toEqual([]);
    expect(server.ends).toHaveLength(1);
    expect(server.socket.destroyed).toBe(true);
    const [told] = server.sent(FrameType.GOAWAY, 0);
    expect(told?.payload.readUInt32BE(4)).toBe(code);
    expect(told?.payload.toString('latin1', 8)).toBe(server.ends[0]);
  });

  test('but not those of calls that have just ended here', () => {
    const server = new FakeServer();
    const { call, ends } = server.call();
    call.cancel();
    server.say(
      windowUpdate(1, 5),
      head(1),
      data(1, message('x')),
      rst(1, 8),
      frame(FrameType.PRIORITY, 0, 1),
    );
    expect(server.client.closed).toBe(false);
    expect(ends).toEqual([]);
  });
});

describe('the limits of the server', () => {
  test('a window below zero holds everything back until it is above', () => {
    const server = new FakeServer();
    const { call } = server.call();
    call.write(Buffer.alloc(60_000, 1));
    expect(server.dataOf(1).length).toBe(60_005);
    server.say(initialWindow(0), windowUpdate(1, 60_005));
    call.write(Buffer.alloc(100, 2));
    expect(server.dataOf(1).length).toBe(60_005);
    expect(call.queuedBytes).toBe(105);
    server.say(windowUpdate(1, 104));
    expect([server.dataOf(1).length, call.queuedBytes]).toEqual([60_109, 1]);
    server.say(initialWindow(1));
    expect([server.dataOf(1).length, call.queuedBytes]).toEqual([60_110, 0]);
  });

  test.each([1, 2, 3, 4, 5, 6])('a window of %i bytes lets everything through, piece by piece', (bytes) => {
    const server = new FakeServer();
    server.say(initialWindow(bytes));
    server.call(request);
    const expected = message('request');
    for (let sent = 0; sent < expected.length; sent += bytes) {
      expect(server.dataOf(1)).toEqual(expected.subarray(0, sent + bytes));
      server.say(windowUpdate(1, bytes));
    }
    expect(
      server
        .sent(FrameType.DATA, 1)
        .map(({ flags }) => flags)
        .at(-1),
    ).toBe(Flag.END_STREAM);
    expect(server.sent(FrameType.DATA, 1).filter(({ flags }) => flags !== 0)).toHaveLength(1);
  });

  test('frames are as long as the server allows, header blocks too', () => {
    const server = new FakeServer();
    server.say(
      settings(setting(Setting.MAX_FRAME_SIZE, 2 ** 24 - 1), setting(Setting.INITIAL_WINDOW_SIZE, 1e6)),
    );
    server.say(windowUpdate(0, 1e6));
    const value = '{'.repeat(70_000);
    server.client.open('/a/B', [['x', value]], { onMessage() {}, onEnd() {} }, Buffer.alloc(500_000, 5));
    const blocks = server.frames.filter(
      ({ type }) => type === FrameType.HEADERS || type === FrameType.CONTINUATION,
    );
    const block = Buffer.concat(blocks.map(({ payload }) => payload));
    const decoder = new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: 1e6 });
    const fields = decoder.decode(block, 0, block.length);
    expect(fields.find(({ name }) => name === 'x')?.value === value).toBe(true);
    expect(server.dataOf(1).equals(message(Buffer.alloc(500_000, 5)))).toBe(true);
  });

  test('a smaller table of headers needs no word of this side, which never used it', () => {
    const server = new FakeServer();
    server.say(settings(setting(Setting.HEADER_TABLE_SIZE, 0)));
    server.call(request);
    server.say(
      settings(setting(Setting.HEADER_TABLE_SIZE, 4_096)),
      settings(setting(Setting.HEADER_TABLE_SIZE, 0)),
    );
    server.call(request);
    const [one, two] = [1, 3].map((id) => server.sent(FrameType.HEADERS, id)[0]!.payload);
    // RFC 7541 §6.3: a table of no bytes.
    expect(one![0]).toBe(0x20);
    expect(two).toEqual(one!.subarray(1));
  });

  test.each([0, 1, 100])('%i calls at once, and no more', async (count) => {
    const server = new FakeServer();
    server.say(maxCalls(count));
    const calls = Array.from({ length: count + 1 }, () => server.call(request));
    const last = calls.at(-1)!;
    last.call.write(request);
    last.call.end();
    expect(last.ends).toEqual([]);
    await turn();
    expect(last.ends).toEqual([[Status.UNAVAILABLE, 'the server takes no more calls at once']]);
    expect(server.frames.filter(({ type }) => type === FrameType.HEADERS)).toHaveLength(count);
    for (let at = 0; at < count; at++) server.say(answer(1 + 2 * at, 'a'));
    if (count === 0) return;
    const next = server.call(request);
    server.say(answer(1 + 2 * count, 'b'));
    expect(next.messages).toEqual(['b']);
    expect(calls.every(({ ends }) => ends.length === 1)).toBe(true);
  });

  test('a call that was refused here and is cancelled says nothing to anybody', async () => {
    const server = new FakeServer();
    server.say(maxCalls(0));
    const before = server.frames.length;
    const { call, ends } = server.call();
    call.cancel();
    await turn();
    expect([server.frames.length, ends]).toEqual([before, []]);
  });

  test('when the stream ids are used up, the connection ends with its last call', async () => {
    const server = new FakeServer();
    server.client.nextStreamId = 2 ** 31 - 3;
    const [one, two, three] = [server.call(request), server.call(request), server.call(request)];
    expect(server.goaways).toEqual([]);
    await turn();
    expect(three!.ends).toEqual([[Status.UNAVAILABLE, 'the connection has no stream ids left']]);
    expect(server.goaways).toEqual(['the connection has no stream ids left']);
    server.say(answer(2 ** 31 - 3, 'a'));
    await turn();
    expect(server.client.closed).toBe(false);
    server.say(answer(2 ** 31 - 1, 'b'));
    await turn();
    expect([one!.messages, two!.messages, server.client.closed]).toEqual([['a'], ['b'], true]);
  });
});

describe('what a server may make the client hold', () => {
  test('answers that it does not read are bounded, and counted anew once it has', () => {
    const server = new FakeServer();
    const most = Math.floor(65_536 / 17);
    for (let round = 0; round < 5; round++) {
      server.socket.writableLength = 1;
      for (let at = 0; at < most; at++) server.say(ping);
      expect(server.client.closed).toBe(false);
      server.socket.emit('drain');
    }
    // TLS never says that all has left, but that nothing waits.
    server.socket.writableLength = 0;
    for (let at = 0; at < 3 * most; at++) server.say(ping);
    expect(server.client.closed).toBe(false);
    server.socket.writableLength = 1;
    for (let at = 0; at <= most; at++) server.say(at % 2 === 0 ? ping : settings());
    expect(server.ends).toEqual(['the server does not read']);
  });

  test('parts of messages are bounded over all calls', () => {
    const maxMessageBytes = 32 * 1024 * 1024;
    const server = new FakeServer({ maxMessageBytes });
    const prefix = Buffer.concat([Buffer.from([0]), uint32(maxMessageBytes)]);
    const part = Buffer.alloc(16_384);
    // Memory is taken for a multiple of what has come: 40 calls with some MB each would be more than is held.
    const calls = Array.from({ length: 40 }, () => server.call(request));
    for (const [at] of calls.entries()) {
      server.say(head(1 + 2 * at), data(1 + 2 * at, prefix));
      for (let count = 0; count < 300; count++) server.say(data(1 + 2 * at, part));
    }
    expect(server.client.counters.heldRequestBytes).toBeLessThanOrEqual(4 * maxMessageBytes);
    const failed = calls.filter(({ ends }) => ends[0]?.[0] === Status.RESOURCE_EXHAUSTED);
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.length).toBeLessThan(40);
    server.client.destroy(new Error('over'));
    expect(server.client.counters.heldRequestBytes).toBe(0);
    expect(calls.every(({ ends }) => ends.length === 1)).toBe(true);
  });

  test('a call lets go of what was not sent, however it ends', () => {
    for (const end of [
      (server: FakeServer) => server.say(rst(1, 8)),
      (server: FakeServer) => server.client.destroy(new Error('x')),
    ]) {
      const server = new FakeServer();
      const { call } = server.call();
      call.write(Buffer.alloc(200_000));
      expect(call.queuedBytes).toBeGreaterThan(0);
      end(server);
      expect([call.queuedBytes, call.unsentBytes]).toEqual([0, 0]);
    }
  });
});

describe('listeners', () => {
  test('may cancel, destroy and call again from within', async () => {
    const server = new FakeServer();
    let again = 0;
    const listener = {
      onMessage() {
        server.client.destroy(new Error('enough'));
      },
      onEnd() {
        again++;
        if (again < 5) server.client.open('/a/B', [], listener);
      },
    };
    server.client.open('/a/B', [], listener, request);
    const other = server.call(request);
    server.say(
      Buffer.concat([head(1), data(1, Buffer.concat([message('a'), message('b')])), answer(3, 'c')]),
    );
    for (let count = 0; count < 10; count++) await turn();
    expect(again).toBe(5);
    expect(other.ends).toEqual([[Status.UNAVAILABLE, 'enough']]);
    expect(other.messages).toEqual([]);
    expect(server.ends).toEqual(['enough']);
  });

  test("a listener's mistake is not taken for a lost connection: it is thrown", () => {
    const server = new FakeServer();
    const listener = {
      onMessage() {
        throw new TypeError('a mistake');
      },
      onEnd() {},
    };
    server.client.open('/a/B', [], listener, request);
    expect(() => server.say(answer(1, 'x'))).toThrow('a mistake');
    expect(server.client.closed).toBe(true);
  });
});

test('messages may be followed by an end, in one frame with the last where that waits', () => {
  const server = new FakeServer();
  const [one, two] = [server.call(), server.call()];
  one.call.write(request);
  one.call.end();
  server.say(initialWindow(0));
  two.call.write(request);
  two.call.end();
  two.call.end();
  two.call.write(request);
  server.say(windowUpdate(3, 1_000));
  const flags = (streamId: number) =>
    server.sent(FrameType.DATA, streamId).map((each) => [each.payload.length, each.flags]);
  expect([flags(1), flags(3)]).toEqual([
    [
      [12, 0],
      [0, Flag.END_STREAM],
    ],
    [[12, Flag.END_STREAM]],
  ]);
  server.say(answer(1, 'a'), answer(3, 'b'));
  expect([server.resetsOf(1), server.resetsOf(3)]).toEqual([[], []]);
  expect([one.messages, two.messages]).toEqual([['a'], ['b']]);
});
