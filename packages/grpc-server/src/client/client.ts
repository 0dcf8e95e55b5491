/**
 * The other end of a connection: calls to a gRPC server over one socket.
 *
 *     socket ─▶ FrameReader ─▶ Client ─▶ ClientCall ─▶ listener
 *     socket ◀─ FrameWriter ◀─ Client ◀─ ClientCall ◀─ write
 *
 * For those who dial a few servers for long and say much to them. It does not resolve names, connect again, repeat calls or know
 * deadlines: who owns it does. What is written leaves at once, so write what belongs together as one message. Any breach
 * of the protocol ends the connection, and with it every call.
 */
import type { Socket } from 'node:net';
import { GrpcError } from '../grpc/errors.ts';
import { HpackDecoder } from '../hpack/decoder.ts';
import { encodeLiteral } from '../hpack/encoder.ts';
import type { HeaderField } from '../hpack/header-field.ts';
import { ChunkPool } from '../http2/chunk-pool.ts';
import { ConnectionError } from '../http2/errors.ts';
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES, SendWindow } from '../http2/flow-control.ts';
import { CLIENT_PREFACE, DEFAULT_MAX_FRAME_BYTES, ErrorCode, Flag, FrameType } from '../http2/frame.ts';
import { FrameReader, type FrameSink } from '../http2/frame-reader.ts';
import { FrameWriter } from '../http2/frame-writer.ts';
import { HeaderBlock } from '../http2/header-block.ts';
import { applySettings, initialPeerSettings, Setting } from '../http2/settings.ts';
import { SocketWire } from '../node/socket-wire.ts';
import { ClientCallImpl } from './call.ts';
import type { ClientCall, ClientCallListener, ClientOptions } from './contract.ts';

/** Credit that every call has, and all of them together. */
const CALL_WINDOW_BYTES = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONTINUATIONS = 4;
/** Answers to PING and SETTINGS that the server does not read. */
const MAX_UNREAD_ANSWER_BYTES = 64 * 1024;
const ANSWER_BYTES = 17;

const chunks = new ChunkPool();

export class GrpcClient implements FrameSink {
  readonly options: ClientOptions;
  readonly writer = new FrameWriter(chunks);
  /** What all calls together may still send. */
  readonly window = new SendWindow(DEFAULT_WINDOW_BYTES);
  closed = false;
  readonly #socket: Socket;
  readonly #wire: SocketWire;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: MAX_HEADER_BYTES });
  readonly #block = new HeaderBlock(MAX_HEADER_BYTES, MAX_CONTINUATIONS);
  readonly #settings = initialPeerSettings();
  readonly #calls = new Map<number, ClientCallImpl>();
  #nextStreamId = 1;
  #uncreditedBytes = 0;
  #unreadAnswerBytes = 0;
  #receiving = false;

  /** @param socket connected or about to be; the client owns it from here on */
  constructor(socket: Socket, options: ClientOptions) {
    this.options = options;
    this.#socket = socket;
    this.#wire = new SocketWire(socket);
    this.#reader = new FrameReader(this, DEFAULT_MAX_FRAME_BYTES);
    // Servers send none.
    this.#reader.push(CLIENT_PREFACE);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#roomForAll());
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy(new Error('the connection was closed')));
    this.#wire.write([CLIENT_PREFACE]);
    this.writer.settings([Setting.ENABLE_PUSH, 0, Setting.INITIAL_WINDOW_SIZE, CALL_WINDOW_BYTES]);
    this.writer.windowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
    this.flush();
  }

  /**
   * Begins a call.
   * @param metadata names in lower case, values of visible ASCII
   * @param request the only message, for calls with one; else messages follow by `write`
   */
  call(
    path: string,
    metadata: Iterable<readonly [name: string, value: string]>,
    listener: ClientCallListener,
    request?: Uint8Array,
  ): ClientCall {
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    const call = new ClientCallImpl(this, streamId, listener, this.#settings.initialWindowBytes);
    if (this.closed || streamId > MAX_WINDOW_BYTES) {
      call.lost('the connection takes no more calls');
      return call;
    }
    this.#calls.set(streamId, call);
    const { scheme, authority } = this.options;
    const head = encodeLiteral([
      [':method', 'POST'],
      [':scheme', scheme],
      [':path', path],
      [':authority', authority],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
      ...metadata,
    ]);
    this.writer.headers(streamId, head, false);
    if (request !== undefined) call.writeLast(request);
    this.flush();
    return call;
  }

  /** Ends the connection at once. */
  destroy(error: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket.destroy();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.lost(error.message);
    this.options.onEnd?.(error);
  }

  // ── For calls ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Written and not taken by the kernel, once there is so much of it that the socket tells when it is gone. */
  get socketBytes(): number {
    return this.#socket.writableNeedDrain ? this.#socket.writableLength : 0;
  }

  get maxFrameBytes(): number {
    return this.writer.maxFrameBytes;
  }

  forget(streamId: number): void {
    this.#calls.delete(streamId);
  }

  /** What was written leaves now, or with the answer to what is being received. */
  flush(): void {
    if (this.#receiving || this.closed || this.writer.length === 0) return;
    this.#wire.write(this.writer.take());
    this.writer.settle(this.#wire.isEmpty);
    if (this.#wire.isEmpty) this.#unreadAnswerBytes = 0;
  }

  // ── Receiving ──────────────────────────────────────────────────────────────────────────────────────────────────

  #receive(chunk: Buffer): void {
    if (this.closed) return;
    this.#receiving = true;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.destroy(error as Error);
    } finally {
      this.#receiving = false;
    }
    this.flush();
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
        if (end - start !== 4) throw broken('RST_STREAM is not 4 bytes long');
        this.#calls.get(streamId)?.reset(bytes.readUInt32BE(start));
        return;
      case FrameType.SETTINGS:
        if ((flags & Flag.ACK) === 0) this.#onSettings(bytes, start, end);
        return;
      case FrameType.PING:
        if (end - start !== 8) throw broken('PING is not 8 bytes long');
        if ((flags & Flag.ACK) !== 0) return;
        this.writer.ping(bytes.subarray(start, end), true);
        this.#answered();
        return;
      case FrameType.GOAWAY:
        this.destroy(new Error(`the server ends the connection: ${text(bytes, start + 8, end)}`));
        return;
      case FrameType.WINDOW_UPDATE:
        this.#onWindowUpdate(streamId, bytes, start, end);
        return;
      case FrameType.PUSH_PROMISE:
        throw broken('PUSH_PROMISE was not allowed');
      default:
      // RFC 9113 §5.5: unknown types are ignored.
    }
  }

  #onData(flags: number, streamId: number, bytes: Buffer, frameStart: number, end: number): void {
    const [start, to] = withoutPadding(flags, bytes, frameStart, end);
    this.#uncreditedBytes += end - frameStart;
    if (this.#uncreditedBytes * 2 >= CONNECTION_WINDOW_BYTES) {
      this.writer.windowUpdate(0, this.#uncreditedBytes);
      this.#uncreditedBytes = 0;
    }
    const call = this.#calls.get(streamId);
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
    if (streamId === 0 || streamId % 2 === 0 || streamId >= this.#nextStreamId)
      throw broken('HEADERS are of no call of this side');
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
    if (!block.append(bytes, start, end)) throw broken('a header block is too long');
    if ((flags & Flag.END_HEADERS) === 0) return;
    const { streamId, endStream } = block;
    const whole = block.take();
    this.#head(streamId, whole, 0, whole.length, endStream);
  }

  #head(streamId: number, bytes: Buffer, start: number, end: number, isLast: boolean): void {
    // Also of calls that have ended: the table goes on.
    const fields: HeaderField[] = this.#decoder.decode(bytes, start, end);
    this.#calls.get(streamId)?.onHead(fields, isLast);
  }

  #onSettings(bytes: Buffer, start: number, end: number): void {
    const before = this.#settings.initialWindowBytes;
    applySettings(this.#settings, bytes, start, end);
    this.writer.maxFrameBytes = this.#settings.maxFrameBytes;
    this.writer.settingsAck();
    this.#answered();
    const change = this.#settings.initialWindowBytes - before;
    if (change === 0) return;
    for (const call of this.#calls.values()) {
      if (!call.window.increase(change)) throw broken('INITIAL_WINDOW_SIZE overflows a window');
    }
    this.#roomForAll();
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw broken('WINDOW_UPDATE is not 4 bytes long');
    const increment = bytes.readUInt32BE(start) & MAX_WINDOW_BYTES;
    if (streamId === 0) {
      if (!this.window.increase(increment)) throw broken('WINDOW_UPDATE overflows a window');
      this.#roomForAll();
      return;
    }
    const call = this.#calls.get(streamId);
    if (call === undefined) return;
    if (!call.window.increase(increment)) throw broken('WINDOW_UPDATE overflows a window');
    call.room();
  }

  #answered(): void {
    this.#unreadAnswerBytes += ANSWER_BYTES;
    if (this.#unreadAnswerBytes > MAX_UNREAD_ANSWER_BYTES) throw broken('the server does not read');
  }

  #roomForAll(): void {
    for (const call of [...this.#calls.values()]) call.room();
    this.flush();
  }
}

function broken(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, message);
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

/** Of a server that may say anything. */
function text(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('latin1', Math.min(start, end), Math.min(end, start + 200));
}
