/**
 * Attacks on the transport (case-67, and the HTTP/2 lines of the security checklist).
 *
 * Each one is sent in full or until the server hangs up. Then: the connection is gone with a reason, the work it caused
 * is bounded by a count, nothing of it is left in the gauges, and a good client on another connection was served
 * meanwhile.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeLiteral } from '../src/hpack/encoder.ts';
import { ErrorCode, FrameType } from '../src/http2/frame.ts';
import { createGrpcServer, type GrpcServer, type Limits, type TransportEnv } from '../src/index.ts';
import { type TestHandlers, testHandlers } from './support/handlers.ts';
import {
  call,
  data,
  frame,
  grpcFields,
  headers,
  message,
  preface,
  RawPeer,
  setting,
  settings,
  uint32,
} from './support/raw-peer.ts';

let nowMs = 0;
let timers: { atMs: number; callback: () => void }[] = [];
/** Time stands still unless a test moves it: buckets do not refill, however slow the machine. */
const env: TransportEnv = {
  monotonicMs: () => nowMs,
  setTimer(delayMs, callback) {
    const timer = { atMs: nowMs + delayMs, callback };
    timers.push(timer);
    return {
      cancel: () => {
        timers = timers.filter((each) => each !== timer);
      },
    };
  },
  afterPoll: (callback) => void setImmediate(callback),
};

function advance(ms: number): void {
  const untilMs = nowMs + ms;
  for (;;) {
    const next = timers.filter((each) => each.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
    if (next === undefined) break;
    timers = timers.filter((each) => each !== next);
    nowMs = Math.max(nowMs, next.atMs);
    next.callback();
  }
  nowMs = untilMs;
}

let handlers: TestHandlers;
let server: GrpcServer;
let good: RawPeer;
let goodStream = 1;
const ends: string[] = [];

function start(limits: Partial<Limits> = {}, keepalive = {}): void {
  handlers = testHandlers();
  ends.length = 0;
  server = createGrpcServer({
    handlers: handlers.table,
    env,
    limits,
    keepalive,
    onConnectionEnd: ({ reason }) => ends.push(reason),
  });
  good = new RawPeer(server);
  goodStream = 1;
  good.send(preface);
}

async function goodIsServed(): Promise<void> {
  good.send(call(goodStream, '/test.Test/Echo', 'good'));
  expect((await good.answered(goodStream)).body.subarray(5).toString()).toBe('good');
  goodStream += 2;
}

beforeEach(() => {
  nowMs = 1_000_000;
  timers = [];
  start();
});
afterEach(async () => {
  good.end();
  const closing = server.close({ graceMs: 0 });
  advance(10);
  await closing;
});

/** Sends until the server hangs up or all is sent; gives the loop a turn now and then, as a network does. */
async function flood(peer: RawPeer, count: number, next: (index: number) => Buffer): Promise<number> {
  let sent = 0;
  const BATCH = 500;
  while (sent < count && !peer.closed) {
    const parts: Buffer[] = [];
    for (let at = 0; at < BATCH && sent < count; at++) parts.push(next(sent++));
    peer.send(Buffer.concat(parts));
    await new Promise((resolve) => setImmediate(resolve));
    // Only the good client's own traffic shares the turn: it is served while the flood runs.
    if (sent % (20 * BATCH) === 0) await goodIsServed();
  }
  return sent;
}

async function expectCalm(peer: RawPeer, reason: string): Promise<void> {
  await peer.untilClosed();
  expect(peer.goaway).toEqual({ code: ErrorCode.ENHANCE_YOUR_CALM, debug: reason });
  await goodIsServed();
  expect(server.stats()).toMatchObject({
    connections: 1,
    streams: 0,
    heldRequestBytes: 0,
    queuedResponseBytes: 0,
  });
}

function attacker(): RawPeer {
  const peer = new RawPeer(server);
  peer.send(preface);
  return peer;
}

const block = encodeLiteral(grpcFields('/test.Test/Hold'));
const chatBlock = encodeLiteral(grpcFields('/test.Test/Chat'));
const odd = (index: number) => 2 * index + 1;

test('case-67 rapid reset (CVE-2023-44487): calls are really cancelled, abandoned handlers count, the connection ends', async () => {
  const peer = attacker();
  await flood(peer, 100_000, (index) =>
    Buffer.concat([
      frame(FrameType.HEADERS, 4, odd(index), block),
      data(odd(index), message('x'), true),
      frame(FrameType.RST_STREAM, 0, odd(index), uint32(ErrorCode.CANCEL)),
    ]),
  );
  await peer.untilClosed();
  expect(peer.goaway?.debug).toBe('too many streams are reset');
  // As many handlers as the budget, none more, each cancelled; they count until they answer.
  expect(handlers.held.length).toBeLessThanOrEqual(1_001);
  expect(handlers.cancels.length).toBe(handlers.held.length);
  expect(server.stats()).toMatchObject({
    streams: handlers.held.length,
    abandonedCalls: handlers.held.length,
  });
  for (const held of handlers.held) held.reply(new Uint8Array(0));
  expect(server.stats()).toMatchObject({ streams: 0, abandonedCalls: 0 });
  await goodIsServed();
});

test('case-67 a cancelled call counts as a stream until its handler has answered', async () => {
  start({ maxConcurrentStreams: 3 });
  const peer = attacker();
  for (let index = 0; index < 3; index++) {
    peer.send(
      Buffer.concat([
        call(odd(index), '/test.Test/Hold'),
        frame(FrameType.RST_STREAM, 0, odd(index), uint32(8)),
      ]),
    );
  }
  peer.send(call(7, '/test.Test/Echo'));
  await peer.until(() => peer.resetCode(7) === ErrorCode.REFUSED_STREAM);
  handlers.held[0]!.fail(13, 'late');
  peer.send(call(9, '/test.Test/Echo'));
  expect((await peer.answered(9)).fields.get('grpc-status')).toBe('0');
  for (const held of handlers.held.slice(1)) held.reply(new Uint8Array(0));
  peer.end();
});

test('case-67 rapid reset over many connections (GHSA-hrxh): the server as a whole has a budget', async () => {
  start({ resets: { burst: 200, perSecond: 0 }, serverResets: { burst: 300, perSecond: 0 } });
  let cancelled = 0;
  for (let connection = 0; connection < 20; connection++) {
    const peer = attacker();
    await flood(peer, 1_000, (index) =>
      Buffer.concat([
        frame(FrameType.HEADERS, 4, odd(index), chatBlock),
        frame(FrameType.RST_STREAM, 0, odd(index), uint32(8)),
      ]),
    );
    await peer.untilClosed();
    cancelled = handlers.cancels.length;
  }
  // 300 for all together, and what each new connection is spared.
  expect(cancelled).toBeLessThanOrEqual(300 + 20 * 22);
  await goodIsServed();
});

test.each([
  ['WINDOW_UPDATE of 0', (id: number) => frame(FrameType.WINDOW_UPDATE, 0, id, uint32(0))],
  ['WINDOW_UPDATE that overflows', (id: number) => frame(FrameType.WINDOW_UPDATE, 0, id, uint32(0x7fffffff))],
  ['PRIORITY of wrong length', (id: number) => frame(FrameType.PRIORITY, 0, id, Buffer.alloc(4))],
  [
    'PRIORITY on itself',
    (id: number) => frame(FrameType.PRIORITY, 0, id, Buffer.concat([uint32(id), Buffer.from([1])])),
  ],
  ['HEADERS without END_STREAM', (id: number) => headers(id, [['a', 'b']])],
])('case-67 MadeYouReset (CVE-2025-8671) by %s', async (_name, provoke) => {
  const peer = attacker();
  await flood(peer, 20_000, (index) =>
    Buffer.concat([frame(FrameType.HEADERS, 4, odd(index), chatBlock), provoke(odd(index))]),
  );
  await expectCalm(peer, 'too many streams are reset');
  expect(handlers.streams.length).toBeLessThanOrEqual(1_001);
  expect(handlers.cancels.length).toBe(handlers.streams.length);
});

test('case-67 MadeYouReset by DATA and HEADERS after END_STREAM', async () => {
  for (const provoke of [
    (id: number) => data(id, message('x')),
    (id: number) => headers(id, [['a', 'b']], true),
  ]) {
    start({ resets: { burst: 100, perSecond: 0 } });
    const peer = attacker();
    await flood(peer, 5_000, (index) =>
      Buffer.concat([call(odd(index), '/test.Test/Hold'), provoke(odd(index))]),
    );
    await peer.untilClosed();
    expect(peer.goaway?.debug).toBe('too many streams are reset');
    expect(handlers.held.length).toBeLessThanOrEqual(101);
    for (const held of handlers.held) held.reply(new Uint8Array(0));
    expect(server.stats().streams).toBe(0);
  }
});

test.each([
  ['full', Buffer.alloc(16_000, 0x82)],
  ['of one byte', Buffer.from([0x82])],
  ['empty', Buffer.alloc(0)],
])('case-67 CONTINUATION flood (CVE-2024-27316) with frames that are %s', async (_name, part) => {
  const peer = attacker();
  peer.send(frame(FrameType.HEADERS, 0, 1, block));
  const sent = await flood(peer, 100_000, () => frame(FrameType.CONTINUATION, 0, 1, part));
  await expectCalm(peer, 'a header block is too long');
  expect(sent).toBeLessThan(2_000);
});

test('case-67 a connection that ends inside of a header block (CVE-2024-27983) leaves nothing', async () => {
  for (let round = 0; round < 1_000; round++) {
    const peer = attacker();
    peer.send(
      Buffer.concat([frame(FrameType.HEADERS, 0, 1, block), frame(FrameType.CONTINUATION, 0, 1, block)]),
    );
    peer.end();
  }
  await goodIsServed();
  expect(server.stats()).toMatchObject({ connections: 1, streams: 0 });
});

test.each([
  ['PING (CVE-2019-9512)', 'too_many_pings', () => frame(FrameType.PING, 0, 0, Buffer.alloc(8))],
  ['PING acknowledgements', 'too_many_pings', () => frame(FrameType.PING, 1, 0, Buffer.alloc(8))],
  ['SETTINGS (CVE-2019-9515)', 'too many SETTINGS', () => settings(setting(4, 65_535))],
  ['SETTINGS acknowledgements', 'too many SETTINGS', () => frame(FrameType.SETTINGS, 1, 0)],
  [
    'PRIORITY (CVE-2019-9513)',
    'too many frames that do nothing',
    (index: number) => frame(FrameType.PRIORITY, 0, odd(index), Buffer.from([0, 0, 0, 0, 1])),
  ],
  ['unknown frames', 'too many frames that do nothing', () => frame(0x42, 0, 0)],
  ['GOAWAY', 'too many frames that do nothing', () => frame(FrameType.GOAWAY, 0, 0, uint32(0, 0))],
  [
    'tiny WINDOW_UPDATE',
    'too many frames that do nothing',
    () => frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(1)),
  ],
])('case-67 flood of %s', async (_name, reason, next) => {
  const peer = attacker();
  const sent = await flood(peer, 100_000, next);
  await expectCalm(peer, reason);
  expect(sent).toBeLessThan(100_000);
});

test('case-67 flood of empty DATA (CVE-2019-9518)', async () => {
  const peer = attacker();
  peer.send(headers(1, grpcFields('/test.Test/Chat')));
  await flood(peer, 100_000, () => data(1, Buffer.alloc(0)));
  await expectCalm(peer, 'too many frames that do nothing');
});

test('case-67 a header list of empty names (CVE-2019-9516) is refused and kept nowhere', async () => {
  start({ resets: { burst: 50, perSecond: 0 } });
  const peer = attacker();
  await flood(peer, 1_000, (index) =>
    frame(FrameType.HEADERS, 5, odd(index), Buffer.concat([block, Buffer.alloc(3_000)])),
  );
  await peer.untilClosed();
  await goodIsServed();
  expect(server.stats().streams).toBe(0);
});

test('case-67 HPACK bomb: the list is counted, answered 431 and RESOURCE_EXHAUSTED, and the connection lives', async () => {
  const peer = attacker();
  const entry = Buffer.concat([Buffer.from('4001617fa11e', 'hex'), Buffer.alloc(4000, 0x62)]);
  peer.send(frame(FrameType.HEADERS, 5, 1, Buffer.concat([block, entry])));
  const first = await peer.answered(1);
  expect(first.fields.get('grpc-status')).toBe('12');
  for (let round = 0; round < 20; round++) {
    peer.send(frame(FrameType.HEADERS, 5, 3 + 2 * round, Buffer.concat([block, Buffer.alloc(15_000, 0xbe)])));
  }
  const bombed = await peer.answered(41);
  expect([bombed.fields.get(':status'), bombed.fields.get('grpc-status')]).toEqual(['431', '8']);
  expect(peer.goaway).toBeUndefined();
  peer.end();
});

test('case-67 answers to a peer that does not read are bounded (CVE-2019-9512)', async () => {
  start({ pingFrames: { burst: 1e6, perSecond: 0 } }, { minTimeMs: 0 });
  const peer = attacker();
  await peer.ping();
  peer.socket.pause();
  await flood(peer, 100_000, () => frame(FrameType.PING, 0, 0, Buffer.alloc(8)));
  await new Promise((resolve) => setImmediate(resolve));
  expect(ends).toEqual(['the peer does not read our answers']);
  await goodIsServed();
  expect(server.stats().connections).toBe(1);
});

test('case-67 a window held open and a socket not read (CVE-2019-9517): bytes bounded, then cut off', async () => {
  const peer = attacker();
  await peer.ping();
  peer.send(
    Buffer.concat([
      settings(setting(4, 0x7fffffff)),
      frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0x7fff0000)),
    ]),
  );
  await peer.ping();
  peer.socket.pause();
  for (let index = 0; index < 100; index++) peer.send(call(odd(index), '/test.Test/Big', '1000000'));
  await goodIsServed();
  // 32 MiB queued, and no call beyond that is computed until it has gone.
  expect(server.stats().queuedResponseBytes).toBeLessThan(34 * 1024 * 1024);
  expect(server.stats().queuedResponseBytes).toBeGreaterThan(30 * 1024 * 1024);
  advance(40_000);
  expect(ends).toEqual(['the peer does not read']);
  expect(server.stats()).toMatchObject({ queuedResponseBytes: 0, streams: 0, connections: 1 });
  await goodIsServed();
});

test('case-67 tiny windows (CVE-2019-9511): one byte for each frame of the peer, until it is too much', async () => {
  const peer = attacker();
  peer.send(Buffer.concat([settings(setting(4, 0)), call(1, '/test.Test/Big', '1000000')]));
  const sent = await flood(peer, 100_000, () => frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(1)));
  await expectCalm(peer, 'too many frames that do nothing');
  expect(sent).toBeLessThan(20_000);
});

test('case-67 streams whose windows stay shut are given up when the server is short of memory, oldest first', async () => {
  start({ serverQueueBytes: 2_500_000 });
  const peer = attacker();
  peer.send(settings(setting(4, 0)));
  peer.send(call(1, '/test.Test/Big', '1000000'));
  await peer.ping();
  nowMs += 100;
  peer.send(Buffer.concat([headers(3, grpcFields('/test.Test/Chat'))]));
  await peer.ping();
  handlers.streams[0]!.write(new Uint8Array(1_000_000));
  handlers.streams[0]!.write(new Uint8Array(1_000_000));
  advance(7_000);
  await peer.until(() => peer.resetCode(1) === ErrorCode.ENHANCE_YOUR_CALM);
  expect(peer.resetCode(3)).toBeUndefined();
  expect(server.stats().queuedResponseBytes).toBe(2_000_010);
  peer.end();
});

test.each([
  ['no byte at all', Buffer.alloc(0), 10_000],
  ['half a preface', preface.subarray(0, 20), 10_000],
  ['a preface without its SETTINGS', preface.subarray(0, 26), 20_000],
  ['half a frame', Buffer.concat([preface, call(1, '/test.Test/Echo').subarray(0, 30)]), 20_000],
  ['half a header block', Buffer.concat([preface, frame(FrameType.HEADERS, 0, 1, block)]), 20_000],
])('case-67 slowloris: %s', async (_name, bytes, limitMs) => {
  const peer = new RawPeer(server);
  if (bytes.length > 0) peer.send(bytes);
  await goodIsServed();
  advance(limitMs - 2_000);
  await goodIsServed();
  expect(peer.closed).toBe(false);
  advance(4_000);
  await peer.untilClosed();
  await goodIsServed();
  expect(server.stats()).toMatchObject({ connections: 1, streams: 0, heldRequestBytes: 0 });
});

test('case-67 slowloris: half a message ends its stream, for unary and streaming calls', async () => {
  const peer = attacker();
  peer.send(
    Buffer.concat([headers(1, grpcFields('/test.Test/Echo')), data(1, message('hello').subarray(0, 7))]),
  );
  peer.send(
    Buffer.concat([headers(3, grpcFields('/test.Test/Chat')), data(3, message('hello').subarray(0, 7))]),
  );
  peer.send(headers(5, grpcFields('/test.Test/Chat')));
  await peer.ping();
  expect(server.stats().heldRequestBytes).toBeGreaterThan(0);
  advance(62_000);
  expect((await peer.answered(1)).fields.get('grpc-status')).toBe('4');
  expect((await peer.answered(3)).fields.get('grpc-status')).toBe('4');
  // A stream that owes nothing may be as quiet as it likes.
  expect(peer.answer(5)).toBeUndefined();
  expect(server.stats()).toMatchObject({ heldRequestBytes: 0, streams: 1 });
  peer.end();
});

test('case-64 lying lengths: what a prefix claims is not allocated', async () => {
  const peer = attacker();
  const claim = Buffer.concat([Buffer.from([0]), uint32(2 * 1024 * 1024), Buffer.from('x')]);
  for (let index = 0; index < 1_000; index++) {
    peer.send(Buffer.concat([headers(odd(index), grpcFields('/test.Test/Echo')), data(odd(index), claim)]));
  }
  await goodIsServed();
  await goodIsServed();
  expect(server.stats().streams).toBe(1_000);
  expect(server.stats().heldRequestBytes).toBeLessThan(1_000 * 64);
  peer.end();
});

test('case-68 bytes of incomplete requests are bounded over the whole server', async () => {
  start({ maxHeldRequestBytes: 100_000 });
  const peer = attacker();
  const part = Buffer.concat([Buffer.from([0]), uint32(50_000), Buffer.alloc(15_000)]);
  for (let index = 0; index < 10; index++) {
    peer.send(Buffer.concat([headers(odd(index), grpcFields('/test.Test/Echo')), data(odd(index), part)]));
  }
  expect((await peer.answered(19)).fields.get('grpc-status')).toBe('8');
  expect(server.stats().heldRequestBytes).toBeLessThanOrEqual(100_000);
  await goodIsServed();
  peer.end();
});

test('case-67 connections that are opened and dropped, politely or not, leave nothing (CVE-2025-23085, CVE-2026-21714)', async () => {
  for (let round = 0; round < 1_000; round++) {
    const peer = attacker();
    if (round % 2 === 0)
      peer.send(
        Buffer.concat([
          headers(1, grpcFields('/test.Test/Chat')),
          frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0x7fffffff)),
        ]),
      );
    if (round % 3 === 0) peer.socket.end();
    else peer.end();
  }
  for (let turn = 0; turn < 5; turn++) await goodIsServed();
  advance(2_000);
  await goodIsServed();
  expect(server.stats()).toMatchObject({
    connections: 1,
    streams: 0,
    heldRequestBytes: 0,
    queuedResponseBytes: 0,
  });
});

test('keepalive: pings closer than the minimum are struck, three times', async () => {
  const peer = attacker();
  peer.send(headers(1, grpcFields('/test.Test/Chat')));
  for (let round = 0; round < 5; round++) {
    await peer.ping();
    nowMs += 5_000;
  }
  for (let round = 0; round < 3; round++) await peer.ping();
  peer.send(frame(FrameType.PING, 0, 0, Buffer.alloc(8)));
  await peer.untilClosed();
  expect(peer.goaway).toEqual({ code: ErrorCode.ENHANCE_YOUR_CALM, debug: 'too_many_pings' });
});

test('keepalive: a client without streams needs permission', async () => {
  const peer = attacker();
  for (let round = 0; round < 3; round++) {
    await peer.ping();
    nowMs += 60_000;
  }
  peer.send(frame(FrameType.PING, 0, 0, Buffer.alloc(8)));
  await peer.untilClosed();
  start({}, { permitWithoutStream: true });
  const permitted = attacker();
  for (let round = 0; round < 6; round++) {
    await permitted.ping();
    nowMs += 6_000;
  }
  expect(permitted.closed).toBe(false);
  permitted.end();
});

test('keepalive: answers wipe the strikes, since clients measure the path with pings', async () => {
  const peer = attacker();
  for (let round = 0; round < 20; round++) {
    peer.send(call(odd(round), '/test.Test/Echo'));
    await peer.answered(odd(round));
    await peer.ping();
  }
  expect(peer.closed).toBe(false);
  peer.end();
});

test('keepalive: a half-open connection is noticed by a ping that stays unanswered', async () => {
  start({}, { intervalMs: 30_000, timeoutMs: 20_000 });
  const peer = attacker();
  peer.send(headers(1, grpcFields('/test.Test/Chat')));
  await peer.ping();
  advance(31_000);
  await peer.until(() => peer.frames.some((each) => each.type === FrameType.PING && each.flags === 0));
  advance(10_000);
  expect(peer.closed).toBe(false);
  advance(12_000);
  await peer.untilClosed();
  expect(ends).toContain('keepalive: the peer does not answer');
  expect(handlers.cancels).toEqual(['cancelled']);
});

test('age: a connection is asked to go, and its calls may end', async () => {
  start({}, { maxAgeMs: 60_000, maxAgeGraceMs: 60_000 });
  const peer = attacker();
  peer.send(headers(1, grpcFields('/test.Test/Chat')));
  await peer.ping();
  advance(70_000);
  await peer.until(() => peer.frames.filter((each) => each.type === FrameType.GOAWAY).length === 2);
  peer.send(data(1, message('late'), true));
  expect((await peer.answered(1)).fields.get('grpc-status')).toBe('0');
  await peer.untilClosed();
});

test('close: two GOAWAYs, new streams are not served, running calls end, the deadline cuts the rest', async () => {
  const peer = attacker();
  peer.send(Buffer.concat([call(1, '/test.Test/Hold'), headers(3, grpcFields('/test.Test/Chat'))]));
  await peer.ping();
  const closing = server.close({ graceMs: 5_000 });
  const drainPing = await peer.until(() =>
    peer.frames.find((each) => each.type === FrameType.PING && each.flags === 0),
  );
  peer.send(Buffer.concat([call(5, '/test.Test/Echo'), frame(FrameType.PING, 1, 0, drainPing.payload)]));
  await peer.until(() => peer.frames.filter((each) => each.type === FrameType.GOAWAY).length === 2);
  expect(
    peer.frames.filter((each) => each.type === FrameType.GOAWAY).map((each) => each.payload.readUInt32BE(0)),
  ).toEqual([2 ** 31 - 1, 5]);
  peer.send(call(7, '/test.Test/Echo'));
  handlers.held[0]!.reply(Buffer.from('done'));
  expect((await peer.answered(1)).fields.get('grpc-status')).toBe('0');
  expect(peer.answer(7)).toBeUndefined();
  advance(5_100);
  await closing;
  await peer.untilClosed();
  expect(handlers.cancels).toContain('cancelled');
  expect(server.stats().connections).toBe(0);
});
