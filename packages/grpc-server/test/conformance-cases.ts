/**
 * What RFC 9113 and RFC 7541 demand of a server, as bytes to send and what must come of them.
 *
 * The list covers what conformance tools of the h2spec kind check, section by section. `conformance.test.ts` runs each
 * case whole and cut at random places.
 */
import { encodeLiteral, type FieldPair } from '../src/hpack/encoder.ts';
import { CLIENT_PREFACE, ErrorCode as E, FrameType as T } from '../src/http2/frame.ts';
import {
  call,
  data,
  frame,
  grpcFields,
  headers,
  message,
  preface,
  setting,
  settings,
  uint32,
} from './support/raw-peer.ts';

/** `goaway`: the connection ends with this code. `reset`: stream 1 does, and the connection lives. `served`: stream N is answered. */
export type Expected =
  | { readonly goaway: number }
  | { readonly reset: number; readonly stream?: number }
  | { readonly served: number; readonly status?: string }
  | { readonly pong: string };

export interface Case {
  readonly name: string;
  /** What follows the preface. */
  readonly bytes: Buffer;
  readonly expected: Expected;
  /** The bytes are everything: no preface goes before them. */
  readonly bare?: boolean;
}

const echo = grpcFields('/test.Test/Echo');
const chat = grpcFields('/test.Test/Chat');
const join = (...parts: Uint8Array[]) => Buffer.concat(parts);
const block = encodeLiteral(echo);
const chatBlock = encodeLiteral(chat);
const without = (name: string) => echo.filter((field) => field[0] !== name);
const withField = (...fields: FieldPair[]) => [...echo, ...fields];
const raw = (hex: string) => frame(T.HEADERS, 4, 1, join(block, Buffer.from(hex.replaceAll(' ', ''), 'hex')));
const padded = (pad: number, payload: Uint8Array) => join(Buffer.from([pad]), payload, Buffer.alloc(pad));
const ok = (bytes: Buffer, stream = 1): Pick<Case, 'bytes' | 'expected'> => ({
  bytes,
  expected: { served: stream, status: '0' },
});
const dies = (code: number, bytes: Buffer): Pick<Case, 'bytes' | 'expected'> => ({
  bytes,
  expected: { goaway: code },
});
const resets = (code: number, bytes: Buffer): Pick<Case, 'bytes' | 'expected'> => ({
  bytes,
  expected: { reset: code },
});
const malformed = (fields: readonly FieldPair[]) => resets(E.PROTOCOL_ERROR, headers(1, fields));

/** Stream 1 open and answered so that it is closed on both sides. */
const closed = call(1, '/test.Test/Echo');
const open = headers(1, chat);
const halfClosed = headers(1, grpcFields('/test.Test/Paused'), true);

export const cases: readonly Case[] = [
  // ── §3.4 preface ──
  { name: '§3.4 a preface and a call', ...ok(call(1, '/test.Test/Echo')) },
  {
    name: '§3.4 a wrong preface',
    bare: true,
    ...dies(E.PROTOCOL_ERROR, join(Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'), settings())),
  },
  {
    name: '§3.4 a first frame that is not SETTINGS',
    bare: true,
    ...dies(E.PROTOCOL_ERROR, join(CLIENT_PREFACE, frame(T.PING, 0, 0, Buffer.alloc(8)))),
  },
  {
    name: '§3.4 a first frame that is an acknowledgement',
    bare: true,
    ...dies(E.PROTOCOL_ERROR, join(CLIENT_PREFACE, frame(T.SETTINGS, 1, 0))),
  },
  // ── §4.1 frame format ──
  { name: '§4.1 an unknown frame type is ignored', ...ok(join(frame(0x16, 0, 0, Buffer.alloc(8)), closed)) },
  {
    name: '§4.1 unknown flags are ignored',
    bytes: frame(T.PING, 0x16, 0, Buffer.from('12345678')),
    expected: { pong: '12345678' },
  },
  {
    name: '§4.1 the reserved bit is ignored',
    bytes: frame(T.PING, 0, 0x80000000, Buffer.from('12345678')),
    expected: { pong: '12345678' },
  },
  // ── §4.2 frame size ──
  {
    name: '§4.2 DATA of exactly 2^14 bytes',
    ...ok(join(headers(1, echo), data(1, message(Buffer.alloc(16_379)), true))),
  },
  {
    name: '§4.2 DATA above SETTINGS_MAX_FRAME_SIZE',
    ...dies(E.FRAME_SIZE_ERROR, join(headers(1, chat), data(1, Buffer.alloc(16_385)))),
  },
  {
    name: '§4.2 HEADERS above SETTINGS_MAX_FRAME_SIZE',
    ...dies(E.FRAME_SIZE_ERROR, frame(T.HEADERS, 4, 1, Buffer.alloc(16_385))),
  },
  {
    name: '§4.2 an unknown type above SETTINGS_MAX_FRAME_SIZE',
    ...dies(E.FRAME_SIZE_ERROR, frame(0x20, 0, 0, Buffer.alloc(16_385))),
  },
  // ── §4.3 field blocks ──
  { name: '§4.3 a block that does not decompress', ...dies(E.COMPRESSION_ERROR, raw('ff ff ff ff ff ff')) },
  {
    name: '§4.3 PRIORITY inside of a block',
    ...dies(
      E.PROTOCOL_ERROR,
      join(frame(T.HEADERS, 0, 1, block), frame(T.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 3, 1]))),
    ),
  },
  {
    name: '§4.3 HEADERS of another stream inside of a block',
    ...dies(E.PROTOCOL_ERROR, join(frame(T.HEADERS, 0, 1, block), headers(3, echo))),
  },
  {
    name: '§4.3 an unknown type inside of a block',
    ...dies(E.PROTOCOL_ERROR, join(frame(T.HEADERS, 0, 1, block), frame(0x16, 0, 0))),
  },
  // ── §5.1 stream states ──
  { name: '§5.1 idle: DATA', ...dies(E.PROTOCOL_ERROR, data(1, message('x'))) },
  { name: '§5.1 idle: RST_STREAM', ...dies(E.PROTOCOL_ERROR, frame(T.RST_STREAM, 0, 1, uint32(E.CANCEL))) },
  { name: '§5.1 idle: WINDOW_UPDATE', ...dies(E.PROTOCOL_ERROR, frame(T.WINDOW_UPDATE, 0, 1, uint32(100))) },
  { name: '§5.1 idle: CONTINUATION', ...dies(E.PROTOCOL_ERROR, frame(T.CONTINUATION, 4, 1, block)) },
  {
    name: '§5.1 idle: PRIORITY is allowed',
    ...ok(join(frame(T.PRIORITY, 0, 5, Buffer.from([0, 0, 0, 0, 1])), closed)),
  },
  {
    name: '§5.1 half-closed (remote): DATA',
    ...resets(E.STREAM_CLOSED, join(halfClosed, data(1, message('x')))),
  },
  {
    name: '§5.1 half-closed (remote): HEADERS',
    ...resets(E.STREAM_CLOSED, join(halfClosed, headers(1, echo, true))),
  },
  {
    name: '§5.1 half-closed (remote): CONTINUATION',
    ...dies(E.PROTOCOL_ERROR, join(halfClosed, frame(T.CONTINUATION, 4, 1, block))),
  },
  {
    name: '§5.1 half-closed (remote): WINDOW_UPDATE and PRIORITY are allowed',
    ...ok(
      join(
        halfClosed,
        frame(T.WINDOW_UPDATE, 0, 1, uint32(100)),
        frame(T.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 0, 1])),
        call(3, '/test.Test/Echo'),
      ),
      3,
    ),
  },
  { name: '§5.1 closed by END_STREAM: DATA', ...dies(E.STREAM_CLOSED, join(closed, data(1, message('x')))) },
  { name: '§5.1 closed by END_STREAM: HEADERS', ...dies(E.STREAM_CLOSED, join(closed, headers(1, echo))) },
  {
    name: '§5.1 closed by END_STREAM: CONTINUATION',
    ...dies(E.PROTOCOL_ERROR, join(closed, frame(T.CONTINUATION, 4, 1, block))),
  },
  {
    name: '§5.1 closed by END_STREAM: WINDOW_UPDATE is allowed',
    ...ok(join(closed, frame(T.WINDOW_UPDATE, 0, 1, uint32(9)), call(3, '/test.Test/Echo')), 3),
  },
  {
    name: '§5.1 closed by END_STREAM: RST_STREAM is allowed',
    ...ok(join(closed, frame(T.RST_STREAM, 0, 1, uint32(0)), call(3, '/test.Test/Echo')), 3),
  },
  {
    name: '§5.1 closed by END_STREAM: PRIORITY is allowed',
    ...ok(join(closed, frame(T.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 0, 1])), call(3, '/test.Test/Echo')), 3),
  },
  {
    name: '§5.1 closed by RST_STREAM: DATA',
    ...dies(E.STREAM_CLOSED, join(open, frame(T.RST_STREAM, 0, 1, uint32(E.CANCEL)), data(1, message('x')))),
  },
  {
    name: '§5.1 closed by RST_STREAM: HEADERS',
    ...dies(E.STREAM_CLOSED, join(open, frame(T.RST_STREAM, 0, 1, uint32(E.CANCEL)), headers(1, echo))),
  },
  {
    name: '§5.1 closed by our RST_STREAM: what was under way is discarded',
    ...ok(join(headers(1, without(':path')), data(1, message('x'), true), call(3, '/test.Test/Echo')), 3),
  },
  { name: '§5.1.1 an even stream', ...dies(E.PROTOCOL_ERROR, headers(2, echo)) },
  {
    name: '§5.1.1 a stream below one that was opened',
    ...dies(E.STREAM_CLOSED, join(headers(5, chat), headers(3, echo))),
  },
  {
    name: '§5.1.2 more streams than SETTINGS_MAX_CONCURRENT_STREAMS',
    bytes: join(...Array.from({ length: 11 }, (_, at) => headers(2 * at + 1, chat))),
    expected: { reset: E.REFUSED_STREAM, stream: 21 },
  },
  {
    name: '§5.3.1 (RFC 7540) HEADERS that depends on itself',
    ...resets(E.PROTOCOL_ERROR, frame(T.HEADERS, 0x24, 1, join(uint32(1), Buffer.from([1]), chatBlock))),
  },
  {
    name: '§5.3.1 (RFC 7540) PRIORITY that depends on itself',
    ...resets(E.PROTOCOL_ERROR, join(open, frame(T.PRIORITY, 0, 1, join(uint32(1), Buffer.from([1]))))),
  },
  {
    name: '§5.4.1 after an error the connection is closed',
    ...dies(E.PROTOCOL_ERROR, join(data(0, message('x')), call(1, '/test.Test/Echo'))),
  },
  // ── §6.1 DATA ──
  { name: '§6.1 DATA on stream 0', ...dies(E.PROTOCOL_ERROR, join(open, data(0, message('x')))) },
  { name: '§6.1 padded DATA', ...ok(join(headers(1, echo), frame(T.DATA, 9, 1, padded(6, message('x'))))) },
  {
    name: '§6.1 DATA padded beyond its end',
    ...dies(E.PROTOCOL_ERROR, join(open, frame(T.DATA, 8, 1, Buffer.from([6, 1, 2, 3])))),
  },
  { name: '§6.1 padded DATA without a length', ...dies(E.FRAME_SIZE_ERROR, join(open, frame(T.DATA, 8, 1))) },
  {
    name: '§6.1 padding alone is empty DATA',
    ...ok(join(headers(1, echo), data(1, message('x')), frame(T.DATA, 9, 1, padded(4, Buffer.alloc(0))))),
  },
  // ── §6.2 HEADERS ──
  { name: '§6.2 HEADERS on stream 0', ...dies(E.PROTOCOL_ERROR, headers(0, echo)) },
  {
    name: '§6.2 padded HEADERS with priority',
    ...ok(
      join(
        frame(T.HEADERS, 0x2c, 1, padded(9, join(uint32(0), Buffer.from([200]), block))),
        data(1, message('x'), true),
      ),
    ),
  },
  {
    name: '§6.2 HEADERS padded beyond its end',
    ...dies(E.PROTOCOL_ERROR, frame(T.HEADERS, 0x0c, 1, join(Buffer.from([255]), block))),
  },
  {
    name: '§6.2 HEADERS padded into its priority',
    ...dies(E.PROTOCOL_ERROR, frame(T.HEADERS, 0x2c, 1, Buffer.from([3, 0, 0, 0, 0, 1, 0x82]))),
  },
  {
    name: '§6.2 HEADERS too short for its priority',
    ...dies(E.FRAME_SIZE_ERROR, frame(T.HEADERS, 0x24, 1, Buffer.from([0, 0]))),
  },
  { name: '§6.2 padded HEADERS without a length', ...dies(E.FRAME_SIZE_ERROR, frame(T.HEADERS, 0x0c, 1)) },
  // ── §6.3 PRIORITY ──
  { name: '§6.3 PRIORITY on stream 0', ...dies(E.PROTOCOL_ERROR, frame(T.PRIORITY, 0, 0, Buffer.alloc(5))) },
  {
    name: '§6.3 PRIORITY of 4 bytes',
    ...resets(E.FRAME_SIZE_ERROR, join(open, frame(T.PRIORITY, 0, 1, Buffer.alloc(4)))),
  },
  {
    name: '§6.3 PRIORITY of 4 bytes on an idle stream',
    ...dies(E.FRAME_SIZE_ERROR, frame(T.PRIORITY, 0, 1, Buffer.alloc(4))),
  },
  // ── §6.4 RST_STREAM ──
  { name: '§6.4 RST_STREAM on stream 0', ...dies(E.PROTOCOL_ERROR, frame(T.RST_STREAM, 0, 0, uint32(8))) },
  {
    name: '§6.4 RST_STREAM of 3 bytes',
    ...dies(E.FRAME_SIZE_ERROR, join(open, frame(T.RST_STREAM, 0, 1, Buffer.alloc(3)))),
  },
  {
    name: '§6.4 RST_STREAM with an unknown code',
    ...ok(join(open, frame(T.RST_STREAM, 0, 1, uint32(0xff)), call(3, '/test.Test/Echo')), 3),
  },
  // ── §6.5 SETTINGS ──
  {
    name: '§6.5 SETTINGS acknowledgement with a payload',
    ...dies(E.FRAME_SIZE_ERROR, frame(T.SETTINGS, 1, 0, setting(3, 1))),
  },
  { name: '§6.5 SETTINGS on a stream', ...dies(E.PROTOCOL_ERROR, frame(T.SETTINGS, 0, 1, setting(3, 1))) },
  { name: '§6.5 SETTINGS of 5 bytes', ...dies(E.FRAME_SIZE_ERROR, frame(T.SETTINGS, 0, 0, Buffer.alloc(5))) },
  { name: '§6.5.2 ENABLE_PUSH of 2', ...dies(E.PROTOCOL_ERROR, settings(setting(2, 2))) },
  {
    name: '§6.5.2 INITIAL_WINDOW_SIZE of 2^31',
    ...dies(E.FLOW_CONTROL_ERROR, settings(setting(4, 0x80000000))),
  },
  { name: '§6.5.2 MAX_FRAME_SIZE below 2^14', ...dies(E.PROTOCOL_ERROR, settings(setting(5, 16_383))) },
  { name: '§6.5.2 MAX_FRAME_SIZE above 2^24-1', ...dies(E.PROTOCOL_ERROR, settings(setting(5, 0x1000000))) },
  { name: '§6.5.2 an unknown setting is ignored', ...ok(join(settings(setting(0xff, 7)), closed)) },
  {
    name: '§6.5.3 the last of repeated settings counts',
    ...ok(join(settings(setting(4, 0x7fffffff), setting(4, 100)), closed)),
  },
  { name: '§6.5.2 HEADER_TABLE_SIZE of 0', ...ok(join(settings(setting(1, 0)), closed)) },
  // ── §6.6 PUSH_PROMISE ──
  {
    name: '§6.6 PUSH_PROMISE of a client',
    ...dies(E.PROTOCOL_ERROR, join(open, frame(T.PUSH_PROMISE, 4, 1, join(uint32(3), block)))),
  },
  // ── §6.7 PING ──
  {
    name: '§6.7 PING is answered',
    bytes: frame(T.PING, 0, 0, Buffer.from('abcdefgh')),
    expected: { pong: 'abcdefgh' },
  },
  {
    name: '§6.7 a PING acknowledgement is not answered',
    bytes: join(frame(T.PING, 1, 0, Buffer.from('invalid!')), frame(T.PING, 0, 0, Buffer.from('abcdefgh'))),
    expected: { pong: 'abcdefgh' },
  },
  { name: '§6.7 PING on a stream', ...dies(E.PROTOCOL_ERROR, frame(T.PING, 0, 1, Buffer.alloc(8))) },
  { name: '§6.7 PING of 7 bytes', ...dies(E.FRAME_SIZE_ERROR, frame(T.PING, 0, 0, Buffer.alloc(7))) },
  // ── §6.8 GOAWAY ──
  { name: '§6.8 GOAWAY on a stream', ...dies(E.PROTOCOL_ERROR, frame(T.GOAWAY, 0, 1, uint32(0, 0))) },
  { name: '§6.8 GOAWAY of 7 bytes', ...dies(E.FRAME_SIZE_ERROR, frame(T.GOAWAY, 0, 0, Buffer.alloc(7))) },
  {
    name: '§6.8 calls go on after the client said GOAWAY',
    ...ok(join(headers(1, echo), frame(T.GOAWAY, 0, 0, uint32(0, 0)), data(1, message('x'), true))),
  },
  // ── §6.9 WINDOW_UPDATE ──
  {
    name: '§6.9 WINDOW_UPDATE of 0 on the connection',
    ...dies(E.PROTOCOL_ERROR, frame(T.WINDOW_UPDATE, 0, 0, uint32(0))),
  },
  {
    name: '§6.9 WINDOW_UPDATE of 0 on a stream',
    ...resets(E.PROTOCOL_ERROR, join(open, frame(T.WINDOW_UPDATE, 0, 1, uint32(0)))),
  },
  {
    name: '§6.9 WINDOW_UPDATE of 3 bytes',
    ...dies(E.FRAME_SIZE_ERROR, frame(T.WINDOW_UPDATE, 0, 0, Buffer.alloc(3))),
  },
  {
    name: '§6.9.1 an answer waits for the window',
    ...ok(join(settings(setting(4, 1)), closed, frame(T.WINDOW_UPDATE, 0, 1, uint32(100)))),
  },
  {
    name: '§6.9.1 the window of the connection overflows',
    ...dies(
      E.FLOW_CONTROL_ERROR,
      join(
        frame(T.WINDOW_UPDATE, 0, 0, uint32(0x7fffffff)),
        frame(T.WINDOW_UPDATE, 0, 0, uint32(0x7fffffff)),
      ),
    ),
  },
  {
    name: '§6.9.1 the window of a stream overflows',
    ...resets(E.FLOW_CONTROL_ERROR, join(open, frame(T.WINDOW_UPDATE, 0, 1, uint32(0x7fffffff)))),
  },
  {
    name: '§6.9.2 INITIAL_WINDOW_SIZE changes open streams',
    ...ok(join(settings(setting(4, 0)), closed, settings(setting(4, 100)))),
  },
  {
    name: '§6.9.2 a negative window is waited out',
    ...ok(
      join(
        headers(1, chat),
        data(1, message(Buffer.alloc(50))),
        settings(setting(4, 1)),
        data(1, message('x'), true),
        frame(T.WINDOW_UPDATE, 0, 1, uint32(70)),
      ),
    ),
  },
  {
    name: '§6.9.2 INITIAL_WINDOW_SIZE overflows a window',
    ...dies(
      E.FLOW_CONTROL_ERROR,
      join(
        headers(1, chat),
        frame(T.WINDOW_UPDATE, 0, 1, uint32(0x7fff0000)),
        settings(setting(4, 0x7fffffff)),
      ),
    ),
  },
  {
    name: '§6.9.1 DATA above the window of the stream',
    ...resets(
      E.FLOW_CONTROL_ERROR,
      join(
        // Until then the RFC's window holds.
        frame(T.SETTINGS, 1, 0),
        headers(1, grpcFields('/test.Test/Paused')),
        data(1, Buffer.alloc(16_384)),
        data(1, Buffer.alloc(16_384)),
      ),
    ),
  },
  // ── §6.10 CONTINUATION ──
  {
    name: '§6.10 a block over several frames',
    ...ok(
      join(
        frame(T.HEADERS, 0, 1, block.subarray(0, 5)),
        frame(T.CONTINUATION, 0, 1, block.subarray(5, 6)),
        frame(T.CONTINUATION, 4, 1, block.subarray(6)),
        data(1, message('x'), true),
      ),
    ),
  },
  {
    name: '§6.10 DATA inside of a block',
    ...dies(E.PROTOCOL_ERROR, join(frame(T.HEADERS, 0, 1, block), data(1, message('x')))),
  },
  {
    name: '§6.10 CONTINUATION on stream 0',
    ...dies(E.PROTOCOL_ERROR, join(frame(T.HEADERS, 0, 1, block), frame(T.CONTINUATION, 4, 0))),
  },
  {
    name: '§6.10 CONTINUATION after END_HEADERS',
    ...dies(E.PROTOCOL_ERROR, join(open, frame(T.CONTINUATION, 4, 1, block))),
  },
  {
    name: '§6.10 CONTINUATION after DATA',
    ...dies(E.PROTOCOL_ERROR, join(open, data(1, message('x')), frame(T.CONTINUATION, 4, 1, block))),
  },
  // ── §8.1 messages ──
  {
    name: '§8.1 trailers end the request',
    ...ok(join(headers(1, echo), data(1, message('x')), headers(1, [['x-trailer', '1']], true))),
  },
  {
    name: '§8.1 a second HEADERS without END_STREAM',
    ...resets(E.PROTOCOL_ERROR, join(open, headers(1, [['x-trailer', '1']]))),
  },
  {
    name: '§8.1 trailers with a pseudo-header field',
    ...resets(E.PROTOCOL_ERROR, join(open, headers(1, [[':method', 'POST']], true))),
  },
  {
    name: '§8.1.1 content-length above the body',
    ...resets(
      E.PROTOCOL_ERROR,
      join(headers(1, withField(['content-length', '100'])), data(1, message('x'), true)),
    ),
  },
  {
    name: '§8.1.1 content-length below the body',
    ...resets(E.PROTOCOL_ERROR, join(headers(1, withField(['content-length', '1'])), data(1, message('x')))),
  },
  {
    name: '§8.1.1 content-length below the body, over several frames',
    ...resets(
      E.PROTOCOL_ERROR,
      join(
        headers(1, withField(['content-length', '8'])),
        data(1, Buffer.alloc(5)),
        data(1, Buffer.alloc(5), true),
      ),
    ),
  },
  {
    name: '§8.1.1 content-length of a request without a body',
    ...resets(E.PROTOCOL_ERROR, headers(1, withField(['content-length', '4']), true)),
  },
  {
    name: '§8.1.1 two content-lengths',
    ...malformed(withField(['content-length', '6'], ['content-length', '7'])),
  },
  { name: '§8.1.1 content-length that is no number', ...malformed(withField(['content-length', '+6'])) },
  // ── §8.2 fields ──
  { name: '§8.2.1 an upper-case name', ...malformed(withField(['X-Upper', '1'])) },
  { name: '§8.2.1 a name with a space', ...malformed(withField(['x y', '1'])) },
  { name: '§8.2.1 an empty name', ...malformed(withField(['', '1'])) },
  { name: '§8.2.1 a name with a colon inside', ...malformed(withField(['x:y', '1'])) },
  { name: '§8.2.1 a value with CR LF', ...malformed(withField(['x-a', 'b\r\nx-c: d'])) },
  { name: '§8.2.1 a value with NUL', ...malformed(withField(['x-a', 'b\0c'])) },
  { name: '§8.2.1 a value that begins with a space', ...malformed(withField(['x-a', ' b'])) },
  { name: '§8.2.1 a value that ends with a tab', ...malformed(withField(['x-a', 'b\t'])) },
  { name: '§8.2.2 connection', ...malformed(withField(['connection', 'keep-alive'])) },
  { name: '§8.2.2 proxy-connection', ...malformed(withField(['proxy-connection', 'keep-alive'])) },
  { name: '§8.2.2 keep-alive', ...malformed(withField(['keep-alive', '1'])) },
  { name: '§8.2.2 transfer-encoding', ...malformed(withField(['transfer-encoding', 'chunked'])) },
  { name: '§8.2.2 upgrade', ...malformed(withField(['upgrade', 'h2c'])) },
  { name: '§8.2.2 te other than trailers', ...malformed([...without('te'), ['te', 'trailers, deflate']]) },
  // ── §8.3 pseudo-header fields ──
  { name: '§8.3 an unknown pseudo-header field', ...malformed([[':unknown', '1'], ...echo]) },
  { name: '§8.3 a pseudo-header field of responses', ...malformed([[':status', '200'], ...echo]) },
  {
    name: '§8.3 a pseudo-header field after a regular one',
    ...malformed([...without(':path'), [':path', '/test.Test/Echo']]),
  },
  { name: '§8.3 a repeated :method', ...malformed([[':method', 'POST'], ...echo]) },
  { name: '§8.3 a repeated :scheme', ...malformed([[':scheme', 'http'], ...echo]) },
  { name: '§8.3 a repeated :path', ...malformed([[':path', '/a'], ...echo]) },
  { name: '§8.3 a repeated :authority', ...malformed([[':authority', 'test'], ...echo]) },
  { name: '§8.3.1 no :method', ...malformed(without(':method')) },
  { name: '§8.3.1 no :scheme', ...malformed(without(':scheme')) },
  { name: '§8.3.1 no :path', ...malformed(without(':path')) },
  { name: '§8.3.1 an empty :path', ...malformed([[':path', ''], ...without(':path')]) },
  { name: '§8.3.1 host that differs from :authority', ...malformed(withField(['host', 'other'])) },
  {
    name: '§8.3.1 host that equals :authority',
    ...ok(join(headers(1, withField(['host', 'Test'])), data(1, message('x'), true))),
  },
  { name: '§8.4 a client that pushes', ...dies(E.PROTOCOL_ERROR, frame(T.PUSH_PROMISE, 4, 1, uint32(2))) },
  {
    name: '§8.5 CONNECT with a path',
    ...malformed([
      [':method', 'CONNECT'],
      [':path', '/'],
      [':authority', 'test'],
    ]),
  },
  // ── RFC 7541 ──
  { name: 'RFC 7541 §2.3.3 an index beyond the tables', ...dies(E.COMPRESSION_ERROR, raw('c6')) },
  { name: 'RFC 7541 §4.2 a size update at the end of a block', ...dies(E.COMPRESSION_ERROR, raw('20')) },
  {
    name: 'RFC 7541 §5.2 Huffman padding longer than 7 bits',
    ...dies(E.COMPRESSION_ERROR, raw('00 85 f2 b2 4a 84 ff 83 f2 b2 4a')),
  },
  {
    name: 'RFC 7541 §5.2 Huffman padding of zeros',
    ...dies(E.COMPRESSION_ERROR, raw('00 83 f2 b2 4a 84 f2 b2 4a 80')),
  },
  {
    name: 'RFC 7541 §5.2 Huffman with EOS',
    ...dies(E.COMPRESSION_ERROR, raw('00 85 f2 b2 4a 87 ff ff ff ff 00')),
  },
  { name: 'RFC 7541 §6.1 index 0', ...dies(E.COMPRESSION_ERROR, raw('80')) },
  {
    name: 'RFC 7541 §6.3 a size update above SETTINGS_HEADER_TABLE_SIZE',
    ...dies(E.COMPRESSION_ERROR, frame(T.HEADERS, 4, 1, join(Buffer.from('3fe21f', 'hex'), block))),
  },
  {
    name: 'RFC 7541 §6.3 a size update at the beginning of a block',
    ...ok(
      join(frame(T.HEADERS, 4, 1, join(Buffer.from('203fe11f', 'hex'), block)), data(1, message('x'), true)),
    ),
  },
  // ── Generic: every kind of frame is accepted where it belongs ──
  { name: 'generic: POST with a body in one frame', ...ok(call(1, '/test.Test/Echo')) },
  {
    name: 'generic: POST with a body in many frames',
    ...ok(
      join(
        headers(1, echo),
        ...[...message('hello')].map((byte) => data(1, Buffer.from([byte]))),
        data(1, Buffer.alloc(0), true),
      ),
    ),
  },
  {
    name: 'generic: many streams at once',
    ...ok(
      join(
        ...Array.from({ length: 10 }, (_, at) => headers(2 * at + 1, echo)),
        ...Array.from({ length: 10 }, (_, at) => data(2 * at + 1, message('x'), true)),
      ),
      19,
    ),
  },
  {
    name: 'generic: indexed and literal representations of all kinds',
    ...ok(join(raw('40 01 61 01 62 00 01 63 01 64 10 01 65 01 66 be'), data(1, message('x'), true))),
  },
  {
    name: 'generic: Huffman strings',
    ...ok(join(headers(1, withField(['x-text', 'www.example.com'])), data(1, message('x'), true))),
  },
  {
    name: 'generic: GET is answered, if only with 405',
    bytes: headers(1, [[':method', 'GET'], ...without(':method')], true),
    expected: { served: 1, status: '13' },
  },
  {
    name: 'generic: a request that is not gRPC',
    bytes: headers(
      1,
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', '/'],
      ],
      true,
    ),
    expected: { served: 1 },
  },
];

export { preface };
