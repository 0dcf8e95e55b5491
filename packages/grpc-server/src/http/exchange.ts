/**
 * Where requests go that are not gRPC.
 *
 * One port carries both: a plain socket is told apart by its first bytes, a TLS one by ALPN, and an HTTP/2 request
 * by its content type. HTTP/1.x connections leave this package whole; an HTTP/2 request that is not gRPC becomes an
 * `HttpExchange`. `node-http.ts` turns both into events of an ordinary `node:http` server, so that any framework
 * built on one (Fastify, say) serves all three without knowing.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

export interface HttpHandOver {
  /**
   * An HTTP/1.x connection. Its first bytes have been put back; the socket belongs to the taker from here on. It is
   * paused, so that nothing is lost before the taker has its listeners: the taker resumes it.
   */
  connection(socket: Socket | TLSSocket): void;
  /** An HTTP/2 request that is not gRPC. The result is told what arrives. */
  exchange(exchange: HttpExchange): HttpExchangeListener;
}

/** One HTTP/2 request and the means to answer it. */
export interface HttpExchange {
  readonly method: string;
  /** Path and query, as sent; begins with `/`, or is `*`. */
  readonly path: string;
  readonly scheme: string;
  /** Host and port the caller meant, or empty. */
  readonly authority: string;
  /** The other fields in the order they came; names are lower case, connection-specific fields cannot occur. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly socket: Socket | TLSSocket;

  /** Sends status and fields, once, before any `write`. Connection-specific fields (RFC 9113 §8.2.2) are left out. */
  respond(status: number, fields: Iterable<readonly [name: string, value: string]>): void;
  /** Queues body bytes. @returns false when the caller does not keep up: wait for `onDrain` */
  write(bytes: Uint8Array): boolean;
  end(): void;
  /** Gives up: the caller sees a reset. */
  abort(): void;
  /** Tells the transport that `byteCount` body bytes have been consumed, which lets the caller send as many more. */
  consumed(byteCount: number): void;
}

/** Receives the request body. No method is called after `onAbort`. */
export interface HttpExchangeListener {
  /** @param bytes belong to the listener */
  onBody(bytes: Uint8Array): void;
  onBodyEnd(): void;
  /** After a `write` that returned false: the queue is empty again. */
  onDrain(): void;
  /** The caller went away, or the connection did, before the answer was complete. */
  onAbort(): void;
}
