/**
 * A unary call: one request message, one answer.
 *
 *     receiving ──(whole request)──▶ running ──(reply, fail)──▶ answered
 *         │                             └──(cancel)──▶ abandoned ──(reply, fail)──▶ answered
 *         └──(cancel)──▶ answered
 *
 * The request that lies within one frame and ends the stream, which is nearly every one, is handed over in place.
 */
import { Status, type UnaryCall, type UnaryHandler } from '../handler.ts';
import { MESSAGE_PREFIX_BYTES } from '../http2/frame-writer.ts';
import type { Stream, StreamConsumer } from '../http2/stream.ts';
import { Call, type CallEnvironment } from './call.ts';
import { GrpcError } from './errors.ts';
import { compress, MessageReader } from './message.ts';
import type { GrpcRequest } from './request.ts';

type Phase = 'receiving' | 'running' | 'abandoned' | 'answered';

/** A shorter message is joined: it leaves in one frame. */
const PARTS_FROM_BYTES = 8 * 1024;

export class UnaryCallImpl extends Call implements UnaryCall, StreamConsumer {
  readonly #handler: UnaryHandler;
  #phase: Phase = 'receiving';
  #reader: MessageReader | undefined = undefined;

  constructor(handler: UnaryHandler, stream: Stream, request: GrpcRequest, environment: CallEnvironment) {
    super(stream, request, environment);
    this.#handler = handler;
    this.waitingSinceMs = stream.connection.nowMs;
  }

  // ── The request ────────────────────────────────────────────────────────────────────────────────────────────────

  onData(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (this.#phase !== 'receiving') return;
    if (endStream && this.#reader === undefined && this.#isWhole(bytes, start, end)) {
      this.#admit(bytes.subarray(start + MESSAGE_PREFIX_BYTES, end), false, null);
      return;
    }
    this.guarded(() => this.#gather(bytes, start, end, endStream));
  }

  /** Exactly one message, plain and within the limit. */
  #isWhole(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start - MESSAGE_PREFIX_BYTES;
    return (
      length >= 0 &&
      bytes[start] === 0 &&
      bytes.readUInt32BE(start + 1) === length &&
      length <= this.environment.limits.maxRequestMessageBytes
    );
  }

  #gather(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    const { limits, counters, gatherPool } = this.environment;
    this.#reader ??= new MessageReader(
      limits.maxRequestMessageBytes,
      limits.maxHeldRequestBytes,
      counters,
      gatherPool,
    );
    const reader = this.#reader;
    reader.feed(bytes, start, end);
    // statuscodes.md: "Request cardinality violation (method requires exactly one request but client sent some other
    // number of requests)" is UNIMPLEMENTED.
    if (reader.needed < 0)
      throw new GrpcError(Status.UNIMPLEMENTED, 'a unary call has more than one request message');
    if (!endStream) {
      reader.check();
      reader.keep();
      this.stream.giveCredit(reader.held, reader.needed);
      return;
    }
    if (reader.held === 0) throw new GrpcError(Status.UNIMPLEMENTED, 'a unary call has no request message');
    const { memory } = reader;
    const message = reader.next();
    if (message === undefined) throw new GrpcError(Status.INTERNAL, 'unexpected EOF');
    const isOwned = reader.owned || reader.compressed;
    this.#admit(this.plain(message, reader.compressed), isOwned, memory);
  }

  /**
   * Starts the handler, now or when the caller has taken more of its answers.
   * @param memory what the message was gathered in
   */
  #admit(message: Buffer, isOwned: boolean, memory: Buffer | null): void {
    this.waitingSinceMs = Number.POSITIVE_INFINITY;
    this.environment.observer?.messageReceived?.(this.request.path, message.length);
    const { connection } = this.stream;
    if (connection.admits) {
      this.#run(message, memory);
      return;
    }
    const kept = isOwned ? message : Buffer.from(message);
    connection.defer(() => {
      if (!this.ended) this.#run(kept, memory);
    });
  }

  #run(message: Buffer, memory: Buffer | null): void {
    this.#phase = 'running';
    this.#handler.handle(message, this);
    if (memory !== null) this.environment.gatherPool.giveBack(memory);
  }

  // ── The answer ─────────────────────────────────────────────────────────────────────────────────────────────────

  reply(response: Uint8Array): void {
    if (!this.#answers()) return;
    const { stream, request, environment } = this;
    this.conclude(Status.OK);
    environment.observer?.messageSent?.(request.path, response.length);
    const compressed = request.replyGzip ? compress(response) : undefined;
    stream.sendHead(this.headBlock(), false);
    stream.sendMessage(compressed === undefined ? 0 : 1, compressed ?? response);
    stream.finish(this.trailerBlock(Status.OK, ''));
    stream.release();
  }

  replyParts(parts: readonly Uint8Array[]): void {
    const { stream, request, environment } = this;
    let length = 0;
    for (const part of parts) length += part.length;
    if (request.replyGzip || length < PARTS_FROM_BYTES) {
      this.reply(Buffer.concat(parts, length));
      return;
    }
    if (!this.#answers()) return;
    this.conclude(Status.OK);
    environment.observer?.messageSent?.(request.path, length);
    stream.sendHead(this.headBlock(), false);
    stream.sendParts(parts, length);
    stream.finish(this.trailerBlock(Status.OK, ''));
    stream.release();
  }

  fail(status: Status, message: string): void {
    if (!this.#answers()) return;
    this.conclude(status);
    this.stream.sendHead(this.onlyBlock(status, message), true);
    this.stream.release();
  }

  /** Whether this answer is the first one, and still wanted. Either way the handler has ended. */
  #answers(): boolean {
    const phase = this.#phase;
    if (phase === 'receiving' || phase === 'answered') return false;
    this.#phase = 'answered';
    if (phase === 'running') return true;
    this.environment.counters.abandonedCalls--;
    this.stream.release();
    return false;
  }

  onDrained(): void {}

  protected letGo(): void {
    this.#reader?.release();
    if (this.#phase === 'running') {
      this.#phase = 'abandoned';
      this.environment.counters.abandonedCalls++;
    } else if (this.#phase === 'receiving') {
      this.#phase = 'answered';
      this.stream.release();
    }
  }
}
