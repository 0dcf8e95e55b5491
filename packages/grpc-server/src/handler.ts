/**
 * The handler table: what a service looks like from the transport.
 *
 * `path -> handler`. Handlers take bytes and give bytes; they share no objects with the transport, so that
 * transport and decoding can move to other threads, and any transport (ours, grpc-js, an in-process call, the
 * simulator) can carry the same table. Every transport passes `handler.contract.ts`.
 *
 * Callbacks, not promises: a unary call costs no allocation besides its answer.
 */

/** gRPC status codes (grpc/doc/statuscodes.md). */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

/** Request metadata: lower-case names; `-bin` values are decoded bytes, the others printable ASCII text. */
export interface Metadata {
  /** First value of `name`, or undefined. */
  get(name: string): string | Uint8Array | undefined;
  entries(): Iterable<readonly [name: string, value: string | Uint8Array]>;
}

/** Response metadata: lower-case names; values of `-bin` names are bytes, the others printable ASCII text. */
export type ResponseFields = readonly (readonly [name: string, value: string | Uint8Array])[];

/** What a handler may know about its call besides the request. Valid until the call ends. */
export interface CallContext {
  readonly path: string;
  readonly metadata: Metadata;
  /** Monotonic milliseconds (same clock as the transport's) at which the caller gives up; Infinity when it set none. */
  readonly deadlineMs: number;
  /** Remote address, for logs. */
  readonly peer: string;
  /** Common name of the verified client certificate, or empty. */
  readonly peerCommonName: string;
  /** Set when the caller cancelled, its deadline passed or its connection ended: answers are then ignored. */
  readonly cancelled: boolean;
  /** Runs `listener` once when the call is cancelled; at once when it already is. Never runs after the call ended by itself. */
  onCancel(listener: (reason: 'cancelled' | 'deadline') => void): void;
  /**
   * Adds fields to the head of the answer. Without effect once the head has left, which is with the first message, or with
   * the end when there is none.
   * @throws TypeError for a name or value that HTTP/2 cannot carry, or a name that is the transport's
   */
  setHeaders(fields: ResponseFields): void;
  /** Adds fields to the trailers, beside the status. Without effect once the call has ended. */
  setTrailers(fields: ResponseFields): void;
}

/**
 * One unary call. Exactly one of `reply` and `fail` is called, once; a second call is ignored.
 *
 * Also after a cancel: the answer is then dropped, but it tells the transport that the handler has ended. Until then
 * the call counts as one of its connection's streams, so that cancelling cannot pile up work.
 */
export interface UnaryCall extends CallContext {
  /** @param response encoded message; the transport owns it from here on */
  reply(response: Uint8Array): void;
  /**
   * The same for a message in pieces, which are sent one after the other without being joined. Only some transports have it.
   * @param parts whole fields each; must not change any more, but may be used elsewhere too
   */
  replyParts?(parts: readonly Uint8Array[]): void;
  fail(status: Status, message: string): void;
}

/**
 * One streaming call (client, server or both directions; the transport does not care which).
 *
 * A cancelled one has ended when its cancel listeners have returned: they let go of everything the call holds.
 */
export interface StreamCall extends CallContext {
  /**
   * Queues one response message. The transport owns the bytes from here on: they must not change any more.
   * @returns false when the caller does not keep up: stop writing until `onDrain`. Messages given meanwhile
   *   are still queued, so the handler's restraint is what bounds memory.
   */
  write(message: Uint8Array): boolean;
  /** Bytes queued and not yet taken by the socket. */
  readonly queuedBytes: number;
  /** Runs once per `write() === false`, when the queue is empty again. */
  onDrain(listener: () => void): void;
  /** Ends the call. With no status given it ends OK. Later writes are ignored. */
  end(status?: Status, message?: string): void;
  /** Stops the delivery of request messages, so that flow control reaches the caller. */
  pause(): void;
  resume(): void;
}

/** What a stream handler does with what arrives. No method is called after `end()` or after a cancel. */
export interface StreamListener {
  /** @param message one decoded message; the bytes belong to the handler and may be kept */
  onMessage(message: Uint8Array): void;
  /** The caller has sent its last message. */
  onHalfClose(): void;
}

export interface UnaryHandler {
  readonly kind: 'unary';
  /** @param request the message bytes: valid only during this turn, copy what outlives it */
  handle(request: Uint8Array, call: UnaryCall): void;
}

export interface StreamHandler {
  readonly kind: 'stream';
  open(call: StreamCall): StreamListener;
}

export type Handler = UnaryHandler | StreamHandler;

/** Full method path (`/etcdserverpb.KV/Range`) to handler. Unknown paths are answered UNIMPLEMENTED by the transport. */
export type HandlerTable = ReadonlyMap<string, Handler>;
