/**
 * The other end of a connection: calls to a gRPC server over one socket.
 *
 * For those who dial a few servers for long and say much to them. It does not resolve names, connect again, repeat calls or know
 * deadlines: who owns it does. What is written leaves at once, so write what belongs together as one message. Any breach
 * of the protocol ends the connection, and with it every call. Read next: `connection.ts`, `receiver.ts`, `call.ts`.
 */
import type { Socket } from 'node:net';
import { ClientConnection } from './connection.ts';
import type { ClientCall, ClientCallListener, ClientOptions } from './contract.ts';

export class GrpcClient {
  readonly #connection: ClientConnection;

  /** @param socket connected or about to be, plain or TLS with ALPN `h2`; the client owns it from here on */
  constructor(socket: Socket, options: ClientOptions) {
    this.#connection = new ClientConnection(socket, options);
  }

  /** The connection has ended: calls fail at once. */
  get closed(): boolean {
    return this.#connection.closed;
  }

  /**
   * Begins a call.
   * @param metadata names in lower case, values of visible ASCII
   * @param request the only message, for calls with one; else messages follow by `write`
   */
  call(
    path: string,
    metadata: Iterable<readonly [name: string, value: string]>,
    listener: ClientCallListener,
    request?: Uint8Array,
  ): ClientCall {
    return this.#connection.open(path, metadata, listener, request);
  }

  /** Ends the connection at once, and every call with the error's text. */
  destroy(error: Error): void {
    this.#connection.destroy(error);
  }
}
