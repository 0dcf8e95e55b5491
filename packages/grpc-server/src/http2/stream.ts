/**
 * One stream: its state, its windows, and what waits to be sent on it.
 *
 * The layer above (a gRPC call, an HTTP exchange) sees this object and nothing else of HTTP/2. What it may count on:
 * bytes leave in the order given, `sendHead` first; nothing is delivered after `onClosed`; everything it still says
 * after the stream has closed is dropped.
 *
 * Two counts differ on purpose. The stream is *closed* when the protocol says so; it is *released* when the handler
 * behind it has ended. It stops counting as one of the connection's streams when both have happened.
 */
import type { Connection } from './connection.ts';
import { creditToGive, SendWindow } from './flow-control.ts';
import { ErrorCode } from './frame.ts';
import { canReceive, StreamState } from './stream-state.ts';

/** Why nothing more will come: the peer reset the stream, we did (it broke a rule), or the connection has ended. */
export type CloseReason = 'reset' | 'refused' | 'connection';

/** The layer above. */
export interface StreamConsumer {
  /** Payload is `[start, end)` of `bytes`, valid during the call only. @param endStream the peer has sent all it will */
  onData(bytes: Buffer, start: number, end: number, endStream: boolean): void;
  /** The stream ended before both sides were done. */
  onClosed(reason: CloseReason): void;
  /** The queue has been emptied after `sendMessage` or `sendBytes` asked for a pause. */
  onDrained(): void;
  /** Time since which the peer owes the rest of something it has begun (Infinity: nothing). */
  readonly waitingSinceMs: number;
  /** That was too long: answer in the protocol of the layer, and end. */
  onTooSlow(): void;
}

/**
 * A field section to send: bytes that hold in any state of the peer's table (`encodeLiteral`), or the number of a
 * recurring block, encoded when it is written.
 */
export type FieldBlock = Buffer | number;

/** What ends the sending side once the queue is empty: an END_STREAM flag on data, or a trailer section. */
export type SendEnd = 'none' | 'data' | FieldBlock;

export class Stream {
  readonly id: number;
  readonly connection: Connection;
  readonly sendWindow: SendWindow;
  state: StreamState = StreamState.OPEN;
  consumer!: StreamConsumer;
  /** What the peer may still send. */
  receiveWindow: number;
  /** Bytes of body that content-length promises and that have not come, or -1. */
  bodyLeft = -1;
  released = false;

  // The sending side; `send-queue.ts` works on these.
  queue: Uint8Array[] = [];
  /** Bytes of the queue's first chunk that have been sent. */
  queueOffset = 0;
  queuedBytes = 0;
  sendEnd: SendEnd = 'none';
  wantsDrain = false;
  isReady = false;
  nextReady: Stream | undefined;
  /** Time since which the peer's windows have kept queued bytes from leaving; 0 when they do not. */
  stalledSinceMs = 0;

  constructor(connection: Connection, id: number, sendWindowBytes: number, receiveWindowBytes: number) {
    this.connection = connection;
    this.id = id;
    this.sendWindow = new SendWindow(sendWindowBytes);
    this.receiveWindow = receiveWindowBytes;
  }

  get closed(): boolean {
    return this.state === StreamState.CLOSED;
  }

  /** Sends the response's first field section. */
  sendHead(block: FieldBlock, endStream: boolean): void {
    if (this.closed) return;
    this.connection.sendHead(this, block, endStream);
  }

  /** Sends one length-prefixed gRPC message. @returns false when the caller should wait for `onDrained` */
  sendMessage(compressed: number, message: Uint8Array): boolean {
    if (this.closed) return true;
    return this.connection.sender.message(this, compressed, message);
  }

  /** The same for a message of `length` bytes in pieces. */
  sendParts(parts: readonly Uint8Array[], length: number): boolean {
    if (this.closed) return true;
    return this.connection.sender.parts(this, parts, length);
  }

  /** Sends body bytes. @returns false when the caller should wait for `onDrained` */
  sendBytes(bytes: Uint8Array): boolean {
    if (this.closed) return true;
    return this.connection.sender.bytes(this, bytes);
  }

  /** Ends the sending side, with a trailer section or without, once all queued bytes have left. */
  finish(end: 'data' | FieldBlock): void {
    if (this.closed) return;
    this.connection.sender.end(this, end);
  }

  /** Ends the stream at once; queued bytes are dropped. */
  reset(code: ErrorCode): void {
    if (this.closed) return;
    this.connection.resetStream(this, code);
  }

  /** Ends the stream because its answers are not taken. */
  giveUp(): void {
    this.reset(ErrorCode.ENHANCE_YOUR_CALM);
  }

  /** The handler behind the stream has ended. Idempotent. */
  release(): void {
    if (this.released) return;
    this.released = true;
    this.connection.streamReleased(this);
  }

  /** Gives the peer credit according to what is `held` of its bytes and what the message in progress still needs. */
  giveCredit(held: number, needed: number): void {
    if (!canReceive(this.state)) return;
    const windowBytes = this.connection.limits.streamWindowBytes;
    const grant = creditToGive(windowBytes, this.receiveWindow, held, needed);
    if (grant === 0) return;
    this.receiveWindow += grant;
    this.connection.sendWindowUpdate(this.id, grant);
  }
}
