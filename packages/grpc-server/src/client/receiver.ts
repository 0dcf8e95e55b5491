/**
 * What the server says, frame by frame, and the rules of RFC 9113 on it.
 *
 * A breach ends the connection, also where the RFC would let it cost one stream: a server that breaks rules is not worth more.
 */
import { GrpcError } from '../grpc/errors.ts';
import { Status } from '../handler.ts';
import { HpackDecoder } from '../hpack/decoder.ts';
import { ConnectionError } from '../http2/errors.ts';
import { MAX_WINDOW_BYTES } from '../http2/flow-control.ts';
import { ErrorCode, Flag, FrameType } from '../http2/frame.ts';
import type { FrameSink } from '../http2/frame-reader.ts';
import { HeaderBlock } from '../http2/header-block.ts';
import { applySettings } from '../http2/settings.ts';
import {
  CALL_WINDOW_BYTES,
  type ClientConnection,
  CONNECTION_WINDOW_BYTES,
  MAX_HEADER_BYTES,
} from './connection.ts';

const MAX_CONTINUATIONS = 4;

export class ClientReceiver implements FrameSink {
  readonly #connection: ClientConnection;
  readonly #decoder = new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: MAX_HEADER_BYTES });
  readonly #block = new HeaderBlock(MAX_HEADER_BYTES, MAX_CONTINUATIONS);
  #uncreditedBytes = 0;

  constructor(connection: ClientConnection) {
    this.#connection = connection;
  }

  get closed(): boolean {
    return this.#connection.closed;
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (this.#block.streamId !== 0 && (type !== FrameType.CONTINUATION || streamId !== this.#block.streamId))
      throw broken('a header block is interrupted');
    switch (type) {
      case FrameType.DATA:
        this.#onData(flags, streamId, bytes, start, end);
        return;
      case FrameType.HEADERS:
        this.#onHeaders(flags, streamId, bytes, start, end);
        return;
      case FrameType.CONTINUATION:
        this.#onContinuation(flags, bytes, start, end);
        return;
      case FrameType.RST_STREAM:
        this.#checkLength('RST_STREAM', end - start, 4);
        this.#checkStream('RST_STREAM', streamId);
        this.#connection.calls.get(streamId)?.reset(bytes.readUInt32BE(start));
        return;
      case FrameType.SETTINGS:
        this.#onSettings(flags, streamId, bytes, start, end);
        return;
      case FrameType.PING:
        this.#checkLength('PING', end - start, 8);
        if (streamId !== 0) throw broken('PING is on a stream');
        if ((flags & Flag.ACK) !== 0) return;
        this.#connection.writer.ping(bytes.subarray(start, end), true);
        this.#connection.answered();
        return;
      case FrameType.GOAWAY:
        this.#onGoaway(streamId, bytes, start, end);
        return;
      case FrameType.WINDOW_UPDATE:
        this.#onWindowUpdate(streamId, bytes, start, end);
        return;
      case FrameType.PUSH_PROMISE:
        throw broken('PUSH_PROMISE was not allowed');
      default:
      // §5.5: unknown types are ignored; so is PRIORITY.
    }
  }

  #onData(flags: number, streamId: number, bytes: Buffer, frameStart: number, end: number): void {
    this.#checkStream('DATA', streamId);
    const [start, to] = withoutPadding(flags, bytes, frameStart, end);
    this.#uncreditedBytes += end - frameStart;
    if (this.#uncreditedBytes * 2 >= CONNECTION_WINDOW_BYTES) {
      this.#connection.writer.windowUpdate(0, this.#uncreditedBytes);
      this.#uncreditedBytes = 0;
    }
    const call = this.#connection.calls.get(streamId);
    if (call === undefined) return;
    const isLast = (flags & Flag.END_STREAM) !== 0;
    try {
      call.onData(bytes, start, to, isLast);
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      call.refuse(error.status, error.message);
      return;
    }
    if (!isLast) call.credit(end - frameStart, CALL_WINDOW_BYTES);
  }

  #onHeaders(flags: number, streamId: number, bytes: Buffer, frameStart: number, end: number): void {
    this.#checkStream('HEADERS', streamId);
    let [start, to] = withoutPadding(flags, bytes, frameStart, end);
    if ((flags & Flag.PRIORITY) !== 0) start += 5;
    if (start > to) throw broken('HEADERS are too short');
    const isLast = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.END_HEADERS) !== 0) this.#head(streamId, bytes, start, to, isLast);
    else this.#block.begin(streamId, isLast, false, bytes, start, to);
  }

  #onContinuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (block.streamId === 0) throw broken('CONTINUATION continues nothing');
    if (!block.append(bytes, start, end))
      throw broken('a header block is too long', ErrorCode.ENHANCE_YOUR_CALM);
    if ((flags & Flag.END_HEADERS) === 0) return;
    const { streamId, endStream } = block;
    const whole = block.take();
    this.#head(streamId, whole, 0, whole.length, endStream);
  }

  #head(streamId: number, bytes: Buffer, start: number, end: number, isLast: boolean): void {
    // Also of calls that have ended: the table goes on.
    const fields = this.#decoder.decode(bytes, start, end);
    const call = this.#connection.calls.get(streamId);
    if (this.#decoder.listBytes <= MAX_HEADER_BYTES) call?.onHead(fields, isLast);
    else call?.refuse(Status.RESOURCE_EXHAUSTED, 'the header list of the answer is too long');
  }

  #onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw broken('SETTINGS is on a stream');
    if ((flags & Flag.ACK) !== 0) {
      this.#checkLength('an acknowledgement of SETTINGS', end - start, 0);
      return;
    }
    const { settings, writer, calls } = this.#connection;
    const before = settings.initialWindowBytes;
    applySettings(settings, bytes, start, end);
    writer.maxFrameBytes = settings.maxFrameBytes;
    writer.settingsAck();
    this.#connection.answered();
    const change = settings.initialWindowBytes - before;
    if (change === 0) return;
    for (const call of calls.values()) {
      if (!call.window.increase(change)) throw overflow('INITIAL_WINDOW_SIZE');
    }
    this.#connection.roomForAll();
  }

  #onGoaway(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw broken('GOAWAY is on a stream');
    if (end - start < 8) throw broken('GOAWAY is too short', ErrorCode.FRAME_SIZE_ERROR);
    const code = bytes.readUInt32BE(start + 4);
    // Of a server that may say anything.
    const text = bytes.toString('latin1', start + 8, Math.min(end, start + 208));
    const reason = `the server ends the connection: ${text === '' ? `code ${code}` : text}`;
    if (code !== ErrorCode.NO_ERROR) this.#connection.destroy(new Error(reason));
    else this.#connection.retire(bytes.readUInt32BE(start) & MAX_WINDOW_BYTES, reason);
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.#checkLength('WINDOW_UPDATE', end - start, 4);
    const increment = bytes.readUInt32BE(start) & MAX_WINDOW_BYTES;
    if (increment === 0) throw broken('WINDOW_UPDATE adds nothing');
    if (streamId === 0) {
      if (!this.#connection.window.increase(increment)) throw overflow('WINDOW_UPDATE');
      this.#connection.roomForAll();
      return;
    }
    this.#checkStream('WINDOW_UPDATE', streamId);
    const call = this.#connection.calls.get(streamId);
    if (call === undefined) return;
    if (!call.window.increase(increment)) throw overflow('WINDOW_UPDATE');
    call.room();
  }

  /** §5.1: on an idle stream such a frame is an error of the connection; servers that may not push open none. */
  #checkStream(name: string, streamId: number): void {
    if (streamId % 2 === 0 || streamId >= this.#connection.nextStreamId)
      throw broken(`${name} is of no call of this side`);
  }

  #checkLength(name: string, length: number, expected: number): void {
    if (length !== expected)
      throw broken(`${name} is not ${expected} bytes long`, ErrorCode.FRAME_SIZE_ERROR);
  }
}

function broken(message: string, code: ErrorCode = ErrorCode.PROTOCOL_ERROR): ConnectionError {
  return new ConnectionError(code, message);
}

function overflow(name: string): ConnectionError {
  return broken(`${name} overflows a window`, ErrorCode.FLOW_CONTROL_ERROR);
}

function withoutPadding(
  flags: number,
  bytes: Buffer,
  start: number,
  end: number,
): [start: number, end: number] {
  if ((flags & Flag.PADDED) === 0) return [start, end];
  const to = start < end ? end - bytes[start]! : -1;
  if (start + 1 > to) throw broken('padding is longer than its frame');
  return [start + 1, to];
}
