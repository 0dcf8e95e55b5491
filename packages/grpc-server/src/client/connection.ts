/**
 * One connection as its client has it: its calls, what it says, and how it ends.
 *
 *     socket ─▶ FrameReader ─▶ ClientReceiver ─▶ ClientCall ─▶ listener
 *     socket ◀─ FrameWriter ◀─ ClientConnection ◀─ ClientCall ◀─ write
 *
 * It is open, then perhaps retired (no more calls; those under way go on), then closed.
 */
import type { Socket } from 'node:net';
import { encodeLiteral } from '../hpack/encoder.ts';
import { HpackError } from '../hpack/header-field.ts';
import { ChunkPool } from '../http2/chunk-pool.ts';
import { ConnectionError } from '../http2/errors.ts';
import { DEFAULT_WINDOW_BYTES, SendWindow } from '../http2/flow-control.ts';
import { CLIENT_PREFACE, DEFAULT_MAX_FRAME_BYTES, ErrorCode } from '../http2/frame.ts';
import { FrameReader } from '../http2/frame-reader.ts';
import { FrameWriter } from '../http2/frame-writer.ts';
import { initialPeerSettings, Setting } from '../http2/settings.ts';
import { SocketWire } from '../node/socket-wire.ts';
import { newCounters } from '../stats.ts';
import { ClientCallImpl, NO_STREAM } from './call.ts';
import type { ClientCall, ClientCallListener, ClientOptions } from './contract.ts';
import { ClientReceiver } from './receiver.ts';

/** Credit that every call has, and all of them together. */
export const CALL_WINDOW_BYTES = 1024 * 1024;
export const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
export const MAX_HEADER_BYTES = 16 * 1024;
/** Parts of messages that have not come whole, over all calls; more when messages may be that long. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** Answers to PING and SETTINGS that the server does not read. */
const MAX_UNREAD_ANSWER_BYTES = 64 * 1024;
const ANSWER_BYTES = 17;
/** §5.1.1: ids are of 31 bits, and never used again. */
const MAX_STREAM_ID = 2 ** 31 - 1;

/**
 * RFC 7541 §6.3: this side adds nothing to the table, and says so in its first block. Thereby it owes no update when the
 * server makes the table smaller (RFC 9113 §4.3.1).
 */
const NO_TABLE = Buffer.from([0x20]);

const chunks = new ChunkPool();

export class ClientConnection {
  readonly options: ClientOptions;
  readonly writer = new FrameWriter(chunks);
  /** What all calls together may still send. */
  readonly window = new SendWindow(DEFAULT_WINDOW_BYTES);
  /** The server's. */
  readonly settings = initialPeerSettings();
  readonly calls = new Map<number, ClientCallImpl>();
  readonly counters = newCounters();
  readonly maxHeldBytes: number;
  nextStreamId = 1;
  closed = false;
  readonly #socket: Socket;
  readonly #wire: SocketWire;
  readonly #reader: FrameReader;
  /** Why there are no more calls. */
  #retired: Error | null = null;
  #unreadAnswerBytes = 0;
  #receiving = false;

  constructor(socket: Socket, options: ClientOptions) {
    this.options = options;
    this.maxHeldBytes = Math.max(MAX_HELD_BYTES, 4 * options.maxMessageBytes);
    this.#socket = socket;
    this.#wire = new SocketWire(socket);
    this.#reader = new FrameReader(new ClientReceiver(this), DEFAULT_MAX_FRAME_BYTES);
    // Servers send none.
    this.#reader.push(CLIENT_PREFACE);
    const closed = (): void => this.destroy(new Error('the connection was closed'));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => {
      this.#unreadAnswerBytes = 0;
      this.roomForAll();
    });
    socket.on('error', (error) => this.destroy(withReason(error)));
    // A server that says no more may not read either, and hold up the rest of a close for ever.
    socket.on('end', closed);
    socket.on('close', closed);
    if (socket.destroyed) queueMicrotask(closed);
    this.#wire.write([CLIENT_PREFACE]);
    this.writer.settings([
      Setting.ENABLE_PUSH,
      0,
      Setting.INITIAL_WINDOW_SIZE,
      CALL_WINDOW_BYTES,
      Setting.MAX_HEADER_LIST_SIZE,
      MAX_HEADER_BYTES,
    ]);
    this.writer.windowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
    this.flush();
  }

  open(
    path: string,
    metadata: Iterable<readonly [name: string, value: string]>,
    listener: ClientCallListener,
    request?: Uint8Array,
  ): ClientCall {
    const refusal = this.#refusal();
    if (refusal !== null) {
      const call = new ClientCallImpl(this, NO_STREAM, listener, 0);
      queueMicrotask(() => call.lost(refusal));
      return call;
    }
    const streamId = this.nextStreamId;
    this.nextStreamId += 2;
    const call = new ClientCallImpl(this, streamId, listener, this.settings.initialWindowBytes);
    this.calls.set(streamId, call);
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
    this.writer.headers(streamId, streamId === 1 ? Buffer.concat([NO_TABLE, head]) : head, false);
    if (request !== undefined) call.writeLast(request);
    this.flush();
    return call;
  }

  #refusal(): string | null {
    if (this.closed) return 'the connection has ended';
    if (this.#retired !== null) return this.#retired.message;
    if (this.calls.size >= this.settings.maxConcurrentStreams)
      return 'the server takes no more calls at once';
    if (this.nextStreamId <= MAX_STREAM_ID) return null;
    const reason = 'the connection has no stream ids left';
    queueMicrotask(() => this.retire(MAX_STREAM_ID, reason));
    return reason;
  }

  /** Takes no more calls, and ends with the last one. Those above `lastStreamId` were not begun by the server. */
  retire(lastStreamId: number, reason: string): void {
    if (this.closed) return;
    for (const [streamId, call] of [...this.calls]) {
      if (streamId <= lastStreamId) continue;
      this.calls.delete(streamId);
      call.lost(reason);
    }
    if (this.#retired === null) {
      this.#retired = new Error(reason);
      this.options.onGoaway?.(reason);
    }
    this.#endRetired();
  }

  forget(streamId: number): void {
    this.calls.delete(streamId);
    // Once the call's listener knows.
    if (this.#retired !== null) queueMicrotask(() => this.#endRetired());
  }

  #endRetired(): void {
    if (this.#retired !== null && this.calls.size === 0) this.destroy(this.#retired);
  }

  destroy(error: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket.destroy();
    const calls = [...this.calls.values()];
    this.calls.clear();
    for (const call of calls) call.lost(error.message);
    this.options.onEnd?.(error);
  }

  /** Written and not taken by the kernel, once there is so much of it that the socket tells when it is gone. */
  get socketBytes(): number {
    return this.#socket.writableNeedDrain ? this.#socket.writableLength : 0;
  }

  /** What was written leaves now, or with the answer to what is being received. */
  flush(): void {
    if (this.#receiving || this.closed || this.writer.length === 0) return;
    this.#wire.write(this.writer.take());
    this.writer.settle(this.#wire.isEmpty);
  }

  /** An answer was written that nobody but the server asked for. @throws ConnectionError when it does not read them */
  answered(): void {
    if (this.#socket.writableLength === 0) this.#unreadAnswerBytes = 0;
    this.#unreadAnswerBytes += ANSWER_BYTES;
    if (this.#unreadAnswerBytes > MAX_UNREAD_ANSWER_BYTES)
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, 'the server does not read');
  }

  roomForAll(): void {
    for (const call of [...this.calls.values()]) call.room();
    this.flush();
  }

  #receive(chunk: Buffer): void {
    if (this.closed) return;
    this.#receiving = true;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#receiving = false;
      this.#fail(error as Error);
    } finally {
      this.#receiving = false;
    }
    this.flush();
  }

  /** @throws `error` when it is none of the server: a listener's mistake is not to be taken for a lost connection */
  #fail(error: Error): void {
    const isServers = error instanceof ConnectionError || error instanceof HpackError;
    if (isServers) {
      const code = error instanceof ConnectionError ? error.code : ErrorCode.COMPRESSION_ERROR;
      this.writer.goaway(0, code, error.message);
      this.flush();
    }
    this.destroy(error);
    if (!isServers) throw error;
  }
}

/** A name with several addresses fails with the errors of all of them, and without a text of its own. */
function withReason(error: Error): Error {
  if (!(error instanceof AggregateError) || error.message !== '') return error;
  const reasons = error.errors.map((each) => (each as Error).message);
  return new Error(reasons.join('; '), { cause: error });
}
