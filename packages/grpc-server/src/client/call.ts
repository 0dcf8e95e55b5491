/** One call of a client: its messages in both directions, and how it ends. */
import { MessageReader } from '../grpc/message.ts';
import { Status } from '../handler.ts';
import type { HeaderField } from '../hpack/header-field.ts';
import { SendWindow } from '../http2/flow-control.ts';
import { ErrorCode } from '../http2/frame.ts';
import { MESSAGE_PREFIX_BYTES } from '../http2/frame-writer.ts';
import { newCounters } from '../stats.ts';
import type { GrpcClient } from './client.ts';
import type { ClientCall, ClientCallListener } from './contract.ts';

interface Waiting {
  readonly message: Uint8Array;
  /** The call's last: half of it is closed behind it. */
  readonly isLast: boolean;
  /** Sent of prefix and message. */
  at: number;
}

export class ClientCallImpl implements ClientCall {
  /** What this call may still send. */
  readonly window: SendWindow;
  readonly #client: GrpcClient;
  readonly #streamId: number;
  readonly #listener: ClientCallListener;
  readonly #reader: MessageReader;
  #waiting: Waiting[] = [];
  #queuedBytes = 0;
  #uncreditedBytes = 0;
  #hasHead = false;
  #halfClosed = false;
  #ended = false;

  constructor(client: GrpcClient, streamId: number, listener: ClientCallListener, windowBytes: number) {
    this.#client = client;
    this.#streamId = streamId;
    this.#listener = listener;
    this.window = new SendWindow(windowBytes);
    const { maxMessageBytes } = client.options;
    this.#reader = new MessageReader(maxMessageBytes, Number.POSITIVE_INFINITY, newCounters());
  }

  // ── Sending ────────────────────────────────────────────────────────────────────────────────────────────────────

  write(message: Uint8Array): void {
    if (this.#ended) return;
    this.#queue(message, false);
    this.#client.flush();
  }

  writeLast(message: Uint8Array): void {
    this.#queue(message, true);
  }

  cancel(): void {
    if (this.#ended) return;
    this.#finish();
    this.#client.writer.rstStream(this.#streamId, ErrorCode.CANCEL);
    this.#client.flush();
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get unsentBytes(): number {
    return this.#queuedBytes + this.#client.socketBytes;
  }

  /** There is credit, or the kernel has taken something. */
  room(): void {
    if (this.#ended) return;
    this.#pump();
    this.#listener.onRoom?.();
  }

  #queue(message: Uint8Array, isLast: boolean): void {
    this.#waiting.push({ message, isLast, at: 0 });
    this.#queuedBytes += message.length + MESSAGE_PREFIX_BYTES;
    this.#pump();
  }

  /** Sends what the windows allow, a frame at a time. */
  #pump(): void {
    const { writer, window, maxFrameBytes } = this.#client;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { message, isLast } = first;
      const left = MESSAGE_PREFIX_BYTES + message.length - first.at;
      const length = Math.min(left, maxFrameBytes, window.available, this.window.available);
      // The prefix is never cut: a receiver that gives credit by halves of its window gives more than that.
      if (length <= 0 || (first.at === 0 && length < MESSAGE_PREFIX_BYTES)) return;
      window.consume(length);
      this.window.consume(length);
      this.#queuedBytes -= length;
      this.#halfClosed = isLast && length === left;
      writer.dataHeader(this.#streamId, length, this.#halfClosed);
      const from = Math.max(0, first.at - MESSAGE_PREFIX_BYTES);
      if (first.at === 0) writer.messagePrefix(0, message.length);
      first.at += length;
      writer.payload(message, from, first.at - MESSAGE_PREFIX_BYTES);
      if (length === left) this.#waiting.shift();
    }
  }

  // ── Receiving ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws GrpcError for messages that are too long or compressed */
  onData(bytes: Buffer, start: number, end: number, isLast: boolean): void {
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
    if (isLast) this.#end(Status.INTERNAL, 'the server ended the call without a status');
  }

  credit(bytes: number, windowBytes: number): void {
    if (this.#ended) return;
    this.#uncreditedBytes += bytes;
    if (this.#uncreditedBytes * 2 < windowBytes) return;
    this.#client.writer.windowUpdate(this.#streamId, this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
  }

  onHead(fields: readonly HeaderField[], isLast: boolean): void {
    const value = (name: string): string => fields.find((field) => field.name === name)?.value ?? '';
    if (!this.#hasHead) {
      const status = value(':status');
      if (status.startsWith('1')) return;
      this.#hasHead = true;
      if (status !== '200' || !value('content-type').startsWith('application/grpc')) {
        this.refuse(Status.UNKNOWN, `the server answered HTTP status ${status.slice(0, 8)}, not gRPC`);
        return;
      }
    }
    if (!isLast) return;
    const status = value('grpc-status');
    if (/^\d{1,2}$/.test(status)) this.#end(Number(status) as Status, decodeMessage(value('grpc-message')));
    else this.#end(Status.UNKNOWN, 'the server ended the call without a status');
  }

  /** RST_STREAM came. */
  reset(code: number): void {
    this.#halfClosed = true;
    this.#end(Status.UNAVAILABLE, `the server reset the call (${code})`);
  }

  /** The connection has ended. */
  lost(message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#listener.onEnd(Status.UNAVAILABLE, message);
  }

  /** This side ends the call because of what came. */
  refuse(status: Status, message: string): void {
    this.#end(status, message);
  }

  #end(status: Status, message: string): void {
    if (this.#ended) return;
    // The server forgets a call once both halves are closed.
    if (!this.#halfClosed) this.#client.writer.rstStream(this.#streamId, ErrorCode.CANCEL);
    this.#finish();
    this.#client.flush();
    this.#listener.onEnd(status, message);
  }

  #finish(): void {
    this.#ended = true;
    this.#waiting = [];
    this.#queuedBytes = 0;
    this.#reader.release();
    this.#client.forget(this.#streamId);
  }
}

/** PROTOCOL-HTTP2.md: percent-encoded UTF-8; what is not is left as it came. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
