/**
 * What unary and streaming calls have in common: identity, deadline, cancellation, and their end.
 *
 * A call ends once, in one of three ways: its handler answers; the transport answers for it (the deadline has passed, the
 * request is wrong); or the caller has gone. Only the last two cancel: `cancelled` turns true, the listeners run once, and
 * what the handler says later is dropped.
 */
import { type CallContext, type Metadata, type ResponseFields, Status } from '../handler.ts';
import type { FieldPair } from '../hpack/encoder.ts';
import type { CloseReason, Stream } from '../http2/stream.ts';
import type { Limits } from '../limits.ts';
import type { CallObserver } from '../options.ts';
import type { Counters } from '../stats.ts';
import type { DeadlineEntry, DeadlineWheel } from './deadline.ts';
import { GrpcError } from './errors.ts';
import type { GatherPool } from './gather-pool.ts';
import { decompress } from './message.ts';
import { encodeFields } from './metadata.ts';
import type { GrpcRequest } from './request.ts';
import { Block, headWith, trailers, trailersOnly, trailersOnlyWith, trailersWith } from './trailers.ts';

/** What the calls of one server share. */
export interface CallEnvironment {
  readonly limits: Limits;
  readonly counters: Counters;
  readonly deadlines: DeadlineWheel;
  readonly gatherPool: GatherPool;
  readonly observer: CallObserver | undefined;
}

export abstract class Call implements CallContext, DeadlineEntry {
  readonly deadlineMs: number;
  cancelled = false;
  /** Time since which the caller owes the rest of a message; Infinity when it owes nothing. */
  waitingSinceMs = Number.POSITIVE_INFINITY;
  wheelNext: DeadlineEntry | undefined = undefined;
  wheelPrevious: DeadlineEntry | undefined = undefined;
  wheelSlot = -1;

  protected readonly stream: Stream;
  protected readonly request: GrpcRequest;
  protected readonly environment: CallEnvironment;
  /** The answer's head has been sent. */
  protected headSent = false;
  /** Metadata of the handler's; undefined in nearly every call. */
  #headFields: FieldPair[] | undefined = undefined;
  #trailerFields: FieldPair[] | undefined = undefined;
  /** The call has ended on the wire: nothing more is sent. */
  protected ended = false;
  #cancelListeners: ((reason: 'cancelled' | 'deadline') => void)[] | undefined = undefined;
  readonly #startedMs: number;
  #cancelReason: 'cancelled' | 'deadline' = 'cancelled';

  constructor(stream: Stream, request: GrpcRequest, environment: CallEnvironment) {
    this.stream = stream;
    this.request = request;
    this.environment = environment;
    this.#startedMs = stream.connection.nowMs;
    this.deadlineMs = this.#startedMs + request.timeoutMs;
    if (request.timeoutMs !== Number.POSITIVE_INFINITY) environment.deadlines.add(this);
    environment.observer?.callStarted?.(request.path, request.handler.kind, this);
  }

  get path(): string {
    return this.request.path;
  }

  get metadata(): Metadata {
    return this.request.metadata;
  }

  get peer(): string {
    return this.stream.connection.peer.address;
  }

  get peerCommonName(): string {
    return this.stream.connection.peer.commonName;
  }

  onCancel(listener: (reason: 'cancelled' | 'deadline') => void): void {
    if (this.cancelled) listener(this.#cancelReason);
    else if (!this.ended) {
      this.#cancelListeners ??= [];
      this.#cancelListeners.push(listener);
    }
  }

  setHeaders(fields: ResponseFields): void {
    this.#headFields = [...(this.#headFields ?? []), ...encodeFields(fields)];
  }

  setTrailers(fields: ResponseFields): void {
    this.#trailerFields = [...(this.#trailerFields ?? []), ...encodeFields(fields)];
  }

  /** The head before the first message. */
  protected headBlock(): Buffer | number {
    const { replyGzip } = this.request;
    if (this.#headFields !== undefined) return headWith(replyGzip, this.#headFields);
    return replyGzip ? Block.GZIP_HEAD : Block.HEAD;
  }

  /** The trailers after a head. */
  protected trailerBlock(status: Status, message: string): Buffer | number {
    return this.#trailerFields === undefined
      ? trailers(status, message)
      : trailersWith(status, message, this.#trailerFields);
  }

  /** Head and trailers in one, for an end before the first message. */
  protected onlyBlock(status: Status, message: string): Buffer {
    if (this.#headFields === undefined && this.#trailerFields === undefined)
      return trailersOnly(status, message);
    const fields = [...(this.#headFields ?? []), ...(this.#trailerFields ?? [])];
    return trailersOnlyWith(status, message, fields);
  }

  onDeadline(): void {
    if (!this.ended) this.refuse('deadline', Status.DEADLINE_EXCEEDED, 'context deadline exceeded');
  }

  onTooSlow(): void {
    if (!this.ended)
      this.refuse('cancelled', Status.DEADLINE_EXCEEDED, 'grpc: the request message does not arrive');
  }

  /** StreamConsumer: the stream has gone. */
  onClosed(_reason: CloseReason): void {
    if (!this.ended) this.#cancel('cancelled', Status.CANCELLED);
  }

  /** Answers in the handler's place. The handler, if it runs, is told that it was cancelled. */
  protected refuse(reason: 'cancelled' | 'deadline', status: Status, message: string): void {
    const { stream, headSent } = this;
    this.#cancel(reason, status);
    if (headSent) stream.finish(trailers(status, message));
    else stream.sendHead(trailersOnly(status, message), true);
  }

  /** Runs `read`; a GrpcError of it is the caller's fault and becomes the answer. @returns false when it did */
  protected guarded(read: () => void): boolean {
    try {
      read();
      return true;
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      if (!this.ended) this.refuse('cancelled', error.status, error.message);
      return false;
    }
  }

  /** The message as the handler shall see it. @throws GrpcError */
  protected plain(message: Buffer, compressed: boolean): Buffer {
    if (!compressed) return message;
    if (this.request.encoding === 'identity') {
      throw new GrpcError(Status.INTERNAL, 'grpc: compressed flag set with identity or empty encoding');
    }
    return decompress(message, this.environment.limits.maxRequestMessageBytes);
  }

  /** The end as far as deadline and observer go. */
  protected conclude(status: Status): void {
    this.ended = true;
    this.waitingSinceMs = Number.POSITIVE_INFINITY;
    this.environment.deadlines.remove(this);
    const { observer } = this.environment;
    if (observer?.callEnded !== undefined) {
      observer.callEnded(
        this.request.path,
        status,
        this.stream.connection.host.monotonicMs() - this.#startedMs,
      );
    }
    this.#cancelListeners = this.cancelled ? this.#cancelListeners : undefined;
  }

  /** Lets go of what the call holds once nothing more will come. Called once, when the call is cancelled. */
  protected abstract letGo(): void;

  #cancel(reason: 'cancelled' | 'deadline', status: Status): void {
    this.cancelled = true;
    this.#cancelReason = reason;
    this.conclude(status);
    const listeners = this.#cancelListeners;
    this.#cancelListeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) listener(reason);
    this.letGo();
  }
}
