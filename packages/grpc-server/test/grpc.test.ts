/** gRPC over raw frames: every wrong request of case-64, and the limits and deadlines a client library would hide. */
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { parseTimeout } from '../src/grpc/deadline.ts';
import { percentEncode } from '../src/grpc/trailers.ts';
import { ErrorCode, FrameType } from '../src/http2/frame.ts';
import { createGrpcServer } from '../src/index.ts';
import { testHandlers } from './support/handlers.ts';
import {
  call,
  data,
  frame,
  grpcFields,
  headers,
  message,
  preface,
  RawPeer,
  uint32,
} from './support/raw-peer.ts';

const handlers = testHandlers();
const server = createGrpcServer({ handlers: handlers.table });
afterAll(() => server.close({ graceMs: 0 }));

let peer: RawPeer;
beforeEach(() => {
  peer = new RawPeer(server);
  peer.send(preface);
  handlers.held.length = 0;
  handlers.cancels.length = 0;
});

const MiB = 1024 * 1024;
const echo = (extra: [string, string][] = []) => headers(1, grpcFields('/test.Test/Echo', extra));
const prefix = (length: number, flag = 0) => Buffer.concat([Buffer.from([flag]), uint32(length)]);
const join = (...parts: Buffer[]) => Buffer.concat(parts);
const gzip = ['grpc-encoding', 'gzip'] as [string, string];

async function status(bytes: Buffer): Promise<[code: string | undefined, text: string | undefined]> {
  peer.send(bytes);
  const { fields } = await peer.answered(1);
  return [fields.get('grpc-status'), fields.get('grpc-message')];
}

test.each([
  [
    'a length of 0xFFFFFFFF',
    join(echo(), data(1, prefix(0xffffffff))),
    '8',
    `grpc: received message larger than max (4294967295 vs. ${2 * MiB})`,
  ],
  [
    'a length one above the limit',
    join(echo(), data(1, prefix(2 * MiB + 1))),
    '8',
    `grpc: received message larger than max (${2 * MiB + 1} vs. ${2 * MiB})`,
  ],
  [
    'a length below the body',
    join(echo(), data(1, join(prefix(1), Buffer.from('abc')), true)),
    '12',
    'a unary call has more than one request message',
  ],
  [
    'a length above the body',
    join(echo(), data(1, join(prefix(9), Buffer.from('abc')), true)),
    '13',
    'unexpected EOF',
  ],
  ['half a prefix', join(echo(), data(1, Buffer.from([0, 0]), true)), '13', 'unexpected EOF'],
  [
    'the reserved flag 2',
    join(echo(), data(1, message('x', 2), true)),
    '13',
    'grpc: received unexpected payload format 2',
  ],
  [
    'the reserved flag 255',
    join(echo(), data(1, message('x', 255), true)),
    '13',
    'grpc: received unexpected payload format 255',
  ],
  [
    'compressed without an encoding',
    join(echo(), data(1, message('x', 1), true)),
    '13',
    'grpc: compressed flag set with identity or empty encoding',
  ],
  [
    'an unknown encoding',
    join(echo([['grpc-encoding', 'snappy']]), data(1, message('x'), true)),
    '12',
    'grpc: Decompressor is not installed for grpc-encoding "snappy"',
  ],
  [
    'gzip that is none',
    join(echo([gzip]), data(1, message('x', 1), true)),
    '13',
    'grpc: failed to decompress the received message',
  ],
  [
    'a gzip bomb',
    join(echo([gzip]), data(1, message(gzipSync(Buffer.alloc(3 * MiB)), 1), true)),
    '8',
    `grpc: received message after decompression larger than max ${2 * MiB}`,
  ],
  [
    'no message',
    headers(1, grpcFields('/test.Test/Echo'), true),
    '12',
    'a unary call has no request message',
  ],
  [
    'two messages',
    join(echo(), data(1, join(message('a'), message('b')), true)),
    '12',
    'a unary call has more than one request message',
  ],
  [
    'a path without its slash (CVE-2026-33186)',
    headers(1, grpcFields('test.Test/Echo')),
    '12',
    'malformed method name: "test.Test/Echo"',
  ],
  ['an unknown service', headers(1, grpcFields('/nope.Nope/Echo')), '12', 'unknown service nope.Nope'],
  [
    'an unknown method',
    headers(1, grpcFields('/test.Test/Nope')),
    '12',
    'unknown method Nope for service test.Test',
  ],
  [
    'a path with a query',
    headers(1, grpcFields('/test.Test/Echo?x=1')),
    '12',
    'unknown method Echo?x=1 for service test.Test',
  ],
  ['a timeout of 9 digits', echo([['grpc-timeout', '123456789S']]), '13', 'malformed grpc-timeout'],
  ['a negative timeout', echo([['grpc-timeout', '-1S']]), '13', 'malformed grpc-timeout'],
  ['a timeout with an unknown unit', echo([['grpc-timeout', '1s']]), '13', 'malformed grpc-timeout'],
  ['a timeout without a unit', echo([['grpc-timeout', '1']]), '13', 'malformed grpc-timeout'],
  ['invalid base64', echo([['key-bin', 'a!b']]), '13', 'malformed binary metadata in header "key-bin"'],
  [
    'base64 of impossible length',
    echo([['key-bin', 'abcde']]),
    '13',
    'malformed binary metadata in header "key-bin"',
  ],
])('case-64 %s', async (_name, bytes, code, text) => {
  expect(await status(bytes)).toEqual([code, text]);
  // The connection and the next call are in order.
  peer.send(call(3, '/test.Test/Echo', 'next'));
  expect((await peer.answered(3)).body.subarray(5).toString()).toBe('next');
  expect(server.stats().heldRequestBytes).toBe(0);
});

test.each([
  ['GET', 'application/grpc', '405'],
  ['PUT', 'application/grpc+proto', '405'],
  ['POST', 'application/json', '415'],
  ['POST', 'application/grpc-web', '415'],
])('case-64 %s of %s is answered %s', async (method, type, expected) => {
  const fields = grpcFields('/test.Test/Echo').map(
    ([name, value]) => [name, name === ':method' ? method : name === 'content-type' ? type : value] as const,
  );
  peer.send(headers(1, fields, true));
  expect((await peer.answered(1)).fields.get(':status')).toBe(expected);
});

test('case-64 a missing te is let pass, as grpc-go does', async () => {
  peer.send(
    join(
      headers(
        1,
        grpcFields('/test.Test/Echo').filter(([name]) => name !== 'te'),
      ),
      data(1, message('x'), true),
    ),
  );
  expect((await peer.answered(1)).fields.get('grpc-status')).toBe('0');
});

test('case-64 a timeout of 0 has passed before the handler can answer', async () => {
  const [code, text] = await status(
    join(headers(1, grpcFields('/test.Test/Hold', [['grpc-timeout', '0S']])), data(1, message('x'), true)),
  );
  expect([code, text]).toEqual(['4', 'context deadline exceeded']);
  expect(handlers.cancels).toEqual(['deadline']);
  handlers.held[0]!.reply(new Uint8Array(0));
});

test('a deadline cancels the call: the handler hears of it, the caller gets DEADLINE_EXCEEDED, late answers are dropped', async () => {
  peer.send(
    join(headers(1, grpcFields('/test.Test/Hold', [['grpc-timeout', '20m']])), data(1, message('x'), true)),
  );
  peer.send(headers(3, grpcFields('/test.Test/Chat', [['grpc-timeout', '20m']])));
  expect((await peer.answered(1)).fields.get('grpc-status')).toBe('4');
  expect((await peer.answered(3)).fields.get('grpc-status')).toBe('4');
  expect(handlers.cancels).toEqual(['deadline', 'deadline']);
  expect(server.stats().abandonedCalls).toBe(1);
  handlers.held[0]!.reply(Buffer.from('late'));
  await peer.ping();
  expect(peer.answer(1)!.body.length).toBe(0);
  expect(server.stats()).toMatchObject({ abandonedCalls: 0 });
});

test('the limit counts the message: 2 MiB pass', async () => {
  const body = message(Buffer.alloc(2 * MiB, 'x'));
  peer.send(
    join(
      frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(4 * MiB)),
      echo(),
      frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(4 * MiB)),
    ),
  );
  for (let at = 0; at < body.length; at += 16_384) {
    const end = Math.min(at + 16_384, body.length);
    // As far as the stream's credit goes.
    const granted = () =>
      peer.frames.reduce(
        (sum, each) =>
          sum +
          (each.type === FrameType.WINDOW_UPDATE && each.streamId === 1 ? each.payload.readUInt32BE(0) : 0),
        262_144,
      );
    await peer.until(() => granted() >= end);
    peer.send(data(1, body.subarray(at, end), end === body.length));
  }
  expect((await peer.answered(1)).body.equals(body)).toBe(true);
});

test('gzip both ways, when the caller compresses and understands it', async () => {
  const text = 'quorate '.repeat(1_000);
  peer.send(
    join(echo([gzip, ['grpc-accept-encoding', 'identity, gzip']]), data(1, message(gzipSync(text), 1), true)),
  );
  const { fields, body } = await peer.answered(1);
  expect(fields.get('grpc-encoding')).toBe('gzip');
  expect(body[0]).toBe(1);
  expect(body.subarray(5).equals(gzipSync(text, { level: 1 }))).toBe(true);
});

test('repeated header blocks are decoded to the same request, also while the table moves', async () => {
  const fields = grpcFields('/test.Test/Echo');
  // The second and third block are identical; the fourth adds an entry, after which the third's bytes mean the same again.
  const moving = (id: number) =>
    frame(
      FrameType.HEADERS,
      4,
      id,
      join(headers(id, fields).subarray(9), Buffer.from(`40016101${(0x61 + (id % 7)).toString(16)}`, 'hex')),
    );
  for (let id = 1; id <= 41; id += 2) {
    peer.send(join(id % 10 === 7 ? moving(id) : headers(id, fields), data(id, message(`call ${id}`), true)));
    expect((await peer.answered(id)).body.subarray(5).toString()).toBe(`call ${id}`);
  }
});

test('answers of one turn leave in one write', async () => {
  await peer.ping();
  const before = server.stats().writesTotal;
  peer.send(join(...Array.from({ length: 100 }, (_, index) => call(2 * index + 1, '/test.Test/Echo'))));
  await peer.answered(199);
  expect(server.stats().writesTotal - before).toBe(1);
});

test('an answer larger than all windows waits for credit, and a small one passes it', async () => {
  peer.send(call(1, '/test.Test/Big', '200000'));
  await peer.ping();
  expect(peer.answer(1)!.body.length).toBe(65_535);
  peer.send(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(1_000_000)));
  peer.send(call(3, '/test.Test/Echo'));
  expect((await peer.answered(3)).fields.get('grpc-status')).toBe('0');
  expect(peer.answer(1)!.ended).toBe(false);
  peer.send(frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(1_000_000)));
  expect((await peer.answered(1)).body.length).toBe(200_005);
  expect(server.stats().queuedResponseBytes).toBe(0);
});

test('a paused handler stops the credit of its stream only', async () => {
  peer.send(headers(1, grpcFields('/test.Test/Paused')));
  for (let index = 0; index < 16; index++)
    peer.send(data(1, Buffer.concat([prefix(16_379), Buffer.alloc(16_379)])));
  await peer.ping();
  expect(peer.frames.some((each) => each.type === FrameType.WINDOW_UPDATE && each.streamId === 1)).toBe(
    false,
  );
  expect(server.stats().heldRequestBytes).toBeGreaterThanOrEqual(262_144);
  peer.send(call(3, '/test.Test/Echo'));
  await peer.answered(3);
  handlers.streams.at(-1)!.resume();
  await peer.until(() =>
    peer.frames.find((each) => each.type === FrameType.WINDOW_UPDATE && each.streamId === 1),
  );
  peer.send(data(1, Buffer.alloc(0), true));
  expect((await peer.answered(1)).body.subarray(5).toString()).toBe('16');
  expect(server.stats().heldRequestBytes).toBe(0);
});

describe('properties', () => {
  test('grpc-message survives: printable ASCII in, the same text out', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const encoded = percentEncode(text);
        expect(encoded).toMatch(/^[\x20-\x7e]*$/);
        expect(decodeURIComponent(encoded.replaceAll(/%(?![0-9A-F]{2})/g, '%25'))).toBe(text.toWellFormed());
      }),
    );
  });

  test.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3_000],
    ['4m', 4],
    ['5000u', 5],
    ['6000000n', 6],
    ['99999999S', 99_999_999_000],
  ])('grpc-timeout %s', (text, ms) => expect(parseTimeout(text)).toBeCloseTo(ms));

  test('streamed messages arrive the same however frames and writes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 2_000 }), { minLength: 1, maxLength: 8 }),
        async (messages, sizes) => {
          const one = new RawPeer(server);
          one.send(join(preface, headers(1, grpcFields('/test.Test/Chat'))));
          const body = join(...messages.map((each) => message(each)));
          for (let at = 0, turn = 0; at < body.length; turn++) {
            const end = Math.min(at + sizes[turn % sizes.length]!, body.length);
            const bytes = data(1, body.subarray(at, end));
            const cut = sizes[(turn + 1) % sizes.length]! % bytes.length;
            one.send(bytes.subarray(0, cut));
            one.send(bytes.subarray(cut));
            at = end;
          }
          one.send(data(1, Buffer.alloc(0), true));
          expect((await one.answered(1)).body.equals(body)).toBe(true);
          one.end();
        },
      ),
      { numRuns: 150 },
    );
  });
});

test('a window smaller than the RFC begins with binds a client once it has seen that, and not before', async () => {
  const small = createGrpcServer({ handlers: handlers.table, limits: { streamWindowBytes: 10_000 } });
  const client = new RawPeer(small);
  const chat = (streamId: number) => headers(streamId, grpcFields('/test.Test/Paused'));
  const most = Buffer.alloc(65_535);
  client.send(join(preface, chat(1)));
  for (let at = 0; at < most.length; at += 16_000) client.send(data(1, most.subarray(at, at + 16_000)));
  await client.ping();
  expect(client.resetCode(1)).toBeUndefined();
  client.send(join(chat(3), data(3, most.subarray(0, 10_000))));
  client.send(frame(FrameType.SETTINGS, 1, 0));
  // Nothing is something, also below zero.
  client.send(data(1, Buffer.alloc(0)));
  await client.ping();
  expect(client.resetCode(1)).toBeUndefined();
  client.send(data(3, Buffer.alloc(1)));
  await client.until(() => client.resetCode(3) === ErrorCode.FLOW_CONTROL_ERROR);
  client.end();
  await small.close({ graceMs: 0 });
});
