/** One call of a client: its messages in both directions, and how it ends. */
import { MessageReader } from '../grpc/message.ts';
import { Status } from '../handler.ts';
import type { HeaderField } from '../hpack/header-field.ts';
import { SendWindow } from '../http2/flow-control.ts';
import { ErrorCode } from '../http2/frame.ts';
import { MESSAGE_PREFIX_BYTES } from '../http2/frame-writer.ts';
import type { ClientConnection } from './connection.ts';
import type { ClientCall, ClientCallListener } from './contract.ts';
import { decodeStatusMessage, statusOfHttp, statusOfReset, statusOfText } from './status.ts';

interface Waiting {
  readonly message: Uint8Array;
  /** Sent of prefix and message. */
  at: number;
}

/** Of a call that was refused before anything of it was sent. */
export const NO_STREAM = 0;

/** Not gRPC-Web, whose type begins alike. */
const CONTENT_TYPE = /^application\/grpc(?:[+;]|$)/;

export class ClientCallImpl implements ClientCall {
  /** What this call may still send. */
  readonly window: SendWindow;
  readonly #connection: ClientConnection;
  readonly #streamId: number;
  readonly #listener: ClientCallListener;
  readonly #reader: MessageReader;
  #waiting: Waiting[] = [];
  #queuedBytes = 0;
  #uncreditedBytes = 0;
  #hasHead = false;
  /** What is written last is written. */
  #isWritten = false;
  /** END_STREAM was sent; it came; or RST_STREAM came. */
  #sentEnd = false;
  #receivedEnd = false;
  #ended = false;

  constructor(
    connection: ClientConnection,
    streamId: number,
    listener: ClientCallListener,
    windowBytes: number,
  ) {
    this.#connection = connection;
    this.#streamId = streamId;
    this.#listener = listener;
    this.window = new SendWindow(windowBytes);
    const { options, maxHeldBytes, counters } = connection;
    this.#reader = new MessageReader(options.maxMessageBytes, maxHeldBytes, counters);
  }

  // ── Sending ────────────────────────────────────────────────────────────────────────────────────────────────────

  write(message: Uint8Array): void {
    if (this.#ended || this.#isWritten) return;
    this.#queue(message);
    this.#connection.flush();
  }

  /** The only message, not flushed. */
  writeLast(message: Uint8Array): void {
    this.#isWritten = true;
    this.#queue(message);
  }

  end(): void {
    if (this.#ended || this.#isWritten) return;
    this.#isWritten = true;
    // Otherwise the last message says so.
    if (this.#waiting.length > 0 || this.#streamId === NO_STREAM) return;
    this.#sentEnd = true;
    this.#connection.writer.dataHeader(this.#streamId, 0, true);
    this.#connection.flush();
  }

  cancel(): void {
    if (this.#ended) return;
    this.#release();
    if (this.#streamId === NO_STREAM) return;
    this.#connection.forget(this.#streamId);
    this.#connection.writer.rstStream(this.#streamId, ErrorCode.CANCEL);
    this.#connection.flush();
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get unsentBytes(): number {
    return this.#queuedBytes + this.#connection.socketBytes;
  }

  /** There is credit, or the kernel has taken something. */
  room(): void {
    if (this.#ended) return;
    this.#pump();
    this.#listener.onRoom?.();
  }

  #queue(message: Uint8Array): void {
    this.#waiting.push({ message, at: 0 });
    this.#queuedBytes += message.length + MESSAGE_PREFIX_BYTES;
    this.#pump();
  }

  /** Sends what the windows allow, a frame at a time. */
  #pump(): void {
    const { writer, window } = this.#connection;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { message, at } = first;
      const left = MESSAGE_PREFIX_BYTES + message.length - at;
      const length = Math.min(left, writer.maxFrameBytes, window.available, this.window.available);
      if (length <= 0) return;
      window.consume(length);
      this.window.consume(length);
      this.#queuedBytes -= length;
      if (length === left) this.#waiting.shift();
      this.#sentEnd = this.#isWritten && this.#waiting.length === 0;
      writer.dataHeader(this.#streamId, length, this.#sentEnd);
      first.at += length;
      if (at === 0 && length >= MESSAGE_PREFIX_BYTES) writer.messagePrefix(0, message.length);
      else if (at < MESSAGE_PREFIX_BYTES)
        writer.payload(prefixOf(message), at, Math.min(first.at, MESSAGE_PREFIX_BYTES));
      const from = Math.max(0, at - MESSAGE_PREFIX_BYTES);
      writer.payload(message, from, Math.max(from, first.at - MESSAGE_PREFIX_BYTES));
    }
  }

  // ── Receiving ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws GrpcError for messages that are too long */
  onData(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    this.#receivedEnd = isLast;
    if (!this.#hasHead) {
      this.refuse(Status.INTERNAL, 'the server sent a message before its headers');
      return;
    }
    this.#reader.feed(bytes, start, end);
    for (let message = this.#reader.next(); message !== undefined; message = this.#reader.next()) {
      if (this.#reader.compressed) {
        this.refuse(Status.INTERNAL, 'a compressed message was not asked for');
        return;
      }
      this.#listener.onMessage(message);
      if (this.#ended) return;
    }
    this.#reader.keep();
    if (isLast) this.refuse(Status.INTERNAL, 'the server ended the call without a status');
  }

  credit(bytes: number, windowBytes: number): void {
    if (this.#ended) return;
    this.#uncreditedBytes += bytes;
    if (this.#uncreditedBytes * 2 < windowBytes) return;
    this.#connection.writer.windowUpdate(this.#streamId, this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
  }

  onHead(fields: readonly HeaderField[], isLast: boolean): void {
    const value = (name: string): string => fields.find((field) => field.name === name)?.value ?? '';
    const status = value('grpc-status');
    this.#receivedEnd = isLast;
    if (!this.#hasHead) {
      const http = value(':status');
      // Others may follow; one that ends the call is none.
      if (http.startsWith('1') && !isLast) return;
      this.#hasHead = true;
      if (!CONTENT_TYPE.test(value('content-type')) || (http !== '200' && status === '')) {
        this.refuse(statusOfHttp(http), `the server answered HTTP status ${http.slice(0, 8)}, not gRPC`);
        return;
      }
    } else if (!isLast) {
      this.refuse(Status.INTERNAL, 'the server sent headers twice');
      return;
    }
    if (!isLast) return;
    const told = statusOfText(status);
    if (status === '') this.refuse(Status.UNKNOWN, 'the server ended the call without a status');
    else if (told === Status.OK && this.#reader.held > 0)
      this.refuse(Status.INTERNAL, 'the server ended the call within a message');
    else this.refuse(told, decodeStatusMessage(value('grpc-message')));
  }

  /** RST_STREAM came. */
  reset(code: number): void {
    this.#sentEnd = true;
    this.#receivedEnd = true;
    this.refuse(statusOfReset(code), `the server reset the call (${code})`);
  }

  /** The connection has ended, or this call has never begun. */
  lost(message: string): void {
    if (this.#ended) return;
    this.#release();
    this.#listener.onEnd(Status.UNAVAILABLE, message);
  }

  /** The call ends because of what came. */
  refuse(status: Status, message: string): void {
    if (this.#ended) return;
    this.#release();
    this.#connection.forget(this.#streamId);
    // The server forgets a call once both halves are closed; until then it counts, and keeps what it has no credit to send.
    if (!this.#sentEnd || !this.#receivedEnd)
      this.#connection.writer.rstStream(this.#streamId, ErrorCode.CANCEL);
    this.#connection.flush();
    this.#listener.onEnd(status, message);
  }

  #release(): void {
    this.#ended = true;
    this.#waiting = [];
    this.#queuedBytes = 0;
    this.#reader.release();
  }
}

/** For windows of less than five bytes. */
function prefixOf(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(MESSAGE_PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return prefix;
}
