/**
 * A streaming call over HTTP or a WebSocket: requests are JSON objects one after the other, answers one line each.
 *
 * `{"result":MESSAGE}` for a message, `{"error":STATUS}` for an end that is not OK. A caller that does not read is felt by
 * the handler through `write`, as over gRPC; a handler that pauses is felt by the caller through the socket.
 */
import { Status, type StreamCall, type StreamHandler, type StreamListener } from '@quorate/grpc-server';
import type { MethodDescriptor } from '@quorate/proto';
import { decodeJson } from '../json/decode.ts';
import { jsonPieces, jsonText } from '../json/encode.ts';
import { type MessageShape, shapeOf } from '../json/shape.ts';
import { JsonError } from '../json/syntax.ts';
import { PieceQueue, type Pieces, type TextSink } from '../text-sink.ts';
import type { Turns } from '../turns.ts';
import { type BodyRoom, ObjectSplitter } from './body.ts';
import { type CallOptions, GatewayCall } from './call.ts';
import { errorLine } from './status.ts';

/** Where the lines go; it learns of the first one's kind before it comes. */
export interface LineSink extends TextSink {
  /**
   * Called once, before the first text.
   * @param status OK, or why the stream fails before its first message
   * @param hasMessages false: it ends before one
   */
  begin(status: Status, hasMessages: boolean): void;
  /** Gives up: the caller sees a cut connection. */
  abort(): void;
  pause(): void;
  resume(): void;
}

export const UNWRITABLE = 'an answer could not be written as JSON';

/** Messages up to this size are turned into text at once. */
const SMALL_BYTES = 16 * 1024;
/** Queued bytes from which on the handler is asked to wait. */
const HIGH_WATER_BYTES = 256 * 1024;

export class GatewayStreamCall extends GatewayCall implements StreamCall {
  readonly #method: MethodDescriptor<unknown, unknown>;
  readonly #request: MessageShape;
  readonly #response: MessageShape;
  readonly #sink: LineSink;
  readonly #queue: PieceQueue;
  readonly #splitter: ObjectSplitter;
  readonly #maxMessageBytes: number;
  readonly #room: BodyRoom;
  /** Taken from `#room` for what waits in `#splitter`, and for what is on its way to it. */
  #heldBytes = 0;
  #comingBytes = 0;
  #listener: StreamListener | null = null;
  #paused = false;
  #delivering = false;
  #bodyEnded = false;
  #halfCloseTold = false;
  #begun = false;

  constructor(
    options: CallOptions,
    method: MethodDescriptor<unknown, unknown>,
    sink: LineSink,
    turns: Turns,
    bounds: { readonly maxMessageBytes: number; readonly maxBodyBytes: number; readonly room: BodyRoom },
  ) {
    super(options);
    this.#method = method;
    this.#request = shapeOf(method.request.typeName);
    this.#response = shapeOf(method.response.typeName);
    this.#sink = sink;
    this.#queue = new PieceQueue(turns, sink, () => this.#broken());
    this.#splitter = new ObjectSplitter(bounds.maxBodyBytes);
    this.#maxMessageBytes = bounds.maxMessageBytes;
    this.#room = bounds.room;
  }

  open(handler: StreamHandler): void {
    this.#listener = handler.open(this);
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** So many bytes are held elsewhere until the next `feed`. */
  expect(bytes: number): void {
    this.#comingBytes = bytes;
    this.#hold();
  }

  feed(bytes: Buffer): void {
    this.#comingBytes = 0;
    if (this.isEnded) return;
    this.#splitter.feed(bytes);
    this.#deliver();
    this.#hold();
  }

  /** Many callers that begin a large object and do not end it may hold no more together than those of whole bodies. */
  #hold(): void {
    if (this.isEnded) return;
    const bytes = this.#splitter.heldCharacters + this.#comingBytes;
    if (bytes <= this.#heldBytes) this.#room.give(this.#heldBytes - bytes);
    else if (!this.#room.take(bytes - this.#heldBytes)) {
      this.abort('cancelled', Status.RESOURCE_EXHAUSTED, 'too many request bodies are under way');
      return;
    }
    this.#heldBytes = bytes;
  }

  protected override conclude(status: Status): boolean {
    this.#room.give(this.#heldBytes);
    this.#heldBytes = 0;
    return super.conclude(status);
  }

  feedEnd(): void {
    this.#bodyEnded = true;
    this.#deliver();
  }

  pause(): void {
    this.#paused = true;
    this.#sink.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#sink.resume();
    if (this.#delivering) return;
    this.#deliver();
    this.#hold();
  }

  #deliver(): void {
    this.#delivering = true;
    try {
      while (!this.#paused && !this.isEnded) {
        const text = this.#splitter.next();
        if (text === null) break;
        const message = this.#method.request.encode(decodeJson(text, this.#request) as never);
        if (message.length > this.#maxMessageBytes) throw new JsonError('request is too large');
        this.observer?.messageReceived?.(this.path, message.length);
        this.#listener?.onMessage(message);
      }
      if (!this.#bodyEnded || this.#paused || this.isEnded || this.#halfCloseTold) return;
      if (this.#splitter.isIncomplete) throw new JsonError('unexpected EOF');
      this.#halfCloseTold = true;
      this.#listener?.onHalfClose();
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      this.abort('cancelled', Status.INVALID_ARGUMENT, error.message);
    } finally {
      this.#delivering = false;
    }
  }

  // ── Answers ────────────────────────────────────────────────────────────────────────────────────────────────────

  write(message: Uint8Array): boolean {
    if (this.isEnded) return true;
    this.#begin(Status.OK, true);
    this.observer?.messageSent?.(this.path, message.length);
    if (this.#queue.isIdle && message.length <= SMALL_BYTES) {
      return this.#queue.writeNow(`{"result":${jsonText(message, this.#response)}}\n`);
    }
    this.#queue.push(line(message, this.#response), message.length);
    return this.#queue.queuedBytes < HIGH_WATER_BYTES;
  }

  get queuedBytes(): number {
    return this.#queue.queuedBytes;
  }

  onDrain(listener: () => void): void {
    this.#queue.onDrain(() => {
      if (!this.isEnded) listener();
    });
  }

  end(status: Status = Status.OK, message = ''): void {
    if (status === Status.OK) {
      if (!this.conclude(status)) return;
      this.#begin(status, false);
      this.#queue.end();
    } else this.refuse(status, message);
  }

  /** The caller has gone. */
  abandon(): void {
    this.#queue.close();
    this.abort('cancelled', Status.CANCELLED, 'context canceled');
  }

  protected refuse(status: Status, message: string): void {
    if (!this.conclude(status) || this.#queue.isClosed) return;
    this.#begin(status, false);
    this.#queue.push([errorLine(status, message)].values(), message.length);
    this.#queue.end();
  }

  #begin(status: Status, hasMessages: boolean): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#sink.begin(status, hasMessages);
  }

  /** An answer that cannot be turned into text is a fault of ours. */
  #broken(): void {
    this.#queue.close();
    this.abort('cancelled', Status.INTERNAL, UNWRITABLE);
    this.#sink.abort();
  }
}

function line(message: Uint8Array, shape: MessageShape): Pieces {
  function* pieces(): Generator<string, void> {
    yield '{"result":';
    yield* jsonPieces([message], shape);
    yield '}\n';
  }
  return pieces();
}
