/**
 * A streaming call, in either or both directions.
 *
 * Request messages are delivered as they are complete, until the handler pauses: then bytes are held, the stream's
 * credit is used up, and the caller waits. Answers go out as they are written; `write` says when to stop.
 */
import { Status, type StreamCall, type StreamHandler, type StreamListener } from '../handler.ts';
import type { Stream, StreamConsumer } from '../http2/stream.ts';
import { Call, type CallEnvironment } from './call.ts';
import { GrpcError } from './errors.ts';
import { compress, MessageReader } from './message.ts';
import type { GrpcRequest } from './request.ts';

export class StreamCallImpl extends Call implements StreamCall, StreamConsumer {
  readonly #listener: StreamListener;
  readonly #reader: MessageReader;
  #paused = false;
  /** Messages are being delivered: a `resume` inside of a handler needs no loop of its own. */
  #delivering = false;
  #halfClosed = false;
  #halfCloseTold = false;
  #drainListener: (() => void) | undefined = undefined;

  constructor(handler: StreamHandler, stream: Stream, request: GrpcRequest, environment: CallEnvironment) {
    super(stream, request, environment);
    const { limits, counters } = environment;
    this.#reader = new MessageReader(limits.maxRequestMessageBytes, limits.maxHeldRequestBytes, counters);
    this.#listener = handler.open(this);
  }

  // ── The request ────────────────────────────────────────────────────────────────────────────────────────────────

  onData(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.ended) return;
    this.#halfClosed = endStream;
    this.guarded(() => {
      this.#reader.feed(bytes, start, end);
      this.#deliver();
      this.#reader.keep();
    });
    this.#settle();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#delivering || this.ended) return;
    this.guarded(() => this.#deliver());
    this.#settle();
  }

  #deliver(): void {
    this.#delivering = true;
    try {
      while (!this.#paused && !this.ended) {
        const message = this.#reader.next();
        if (message === undefined) break;
        const { compressed, owned } = this.#reader;
        let plain = this.plain(message, compressed);
        // The bytes are the handler's to keep: copied unless they fill a buffer that is theirs anyway.
        if (!compressed && !(owned && plain.length * 2 > plain.buffer.byteLength)) plain = Buffer.from(plain);
        this.environment.observer?.messageReceived?.(this.request.path, plain.length);
        this.#listener.onMessage(plain);
      }
      if (!this.#halfClosed || this.#paused || this.ended || this.#halfCloseTold) return;
      if (this.#reader.held > 0) throw new GrpcError(Status.INTERNAL, 'unexpected EOF');
      this.#halfCloseTold = true;
      this.#listener.onHalfClose();
    } finally {
      this.#delivering = false;
    }
  }

  /** After delivery: credit for what was consumed, and the watch over what is incomplete. */
  #settle(): void {
    if (this.ended) {
      this.#reader.release();
      return;
    }
    const { held, needed } = this.#reader;
    const isIncomplete = held > 0 && !this.#paused;
    this.stream.giveCredit(held, this.#paused ? 0 : needed);
    if (!isIncomplete) this.waitingSinceMs = Number.POSITIVE_INFINITY;
    else if (this.waitingSinceMs === Number.POSITIVE_INFINITY)
      this.waitingSinceMs = this.stream.connection.nowMs;
  }

  // ── The answer ─────────────────────────────────────────────────────────────────────────────────────────────────

  write(message: Uint8Array): boolean {
    if (this.ended) return true;
    this.#sendHead();
    this.environment.observer?.messageSent?.(this.request.path, message.length);
    const compressed = this.request.replyGzip ? compress(message) : undefined;
    return this.stream.sendMessage(compressed === undefined ? 0 : 1, compressed ?? message);
  }

  #sendHead(): void {
    if (this.headSent) return;
    this.headSent = true;
    this.stream.sendHead(this.headBlock(), false);
  }

  get queuedBytes(): number {
    return this.stream.queuedBytes;
  }

  onDrain(listener: () => void): void {
    this.#drainListener = listener;
  }

  onDrained(): void {
    const listener = this.#drainListener;
    this.#drainListener = undefined;
    if (!this.ended) listener?.();
  }

  end(status: Status = Status.OK, message = ''): void {
    if (this.ended) return;
    this.conclude(status);
    if (!this.#delivering) this.#reader.release();
    if (status === Status.OK) this.#sendHead();
    if (this.headSent) this.stream.finish(this.trailerBlock(status, message));
    else this.stream.sendHead(this.onlyBlock(status, message), true);
    this.stream.release();
  }

  protected letGo(): void {
    if (!this.#delivering) this.#reader.release();
    this.stream.release();
  }
}
