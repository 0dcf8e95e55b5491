/**
 * Serves what is not gRPC with an ordinary `node:http` server, and so with any framework that is built on one.
 *
 * An HTTP/1.x connection becomes the server's 'connection' event: parsing, limits and keep-alive are Node's. An HTTP/2
 * request becomes its 'request' event, with a request and a response that behave like Node's own (`Http2Request`,
 * `Http2Response`); the framework cannot tell. The server need not listen anywhere:
 *
 *     const app = fastify();
 *     await app.ready();
 *     const grpc = createGrpcServer({ handlers, http: nodeHttpHandOver(app.server) });
 *
 * Given a function instead of a server, it asks for the server when the first request is there, which then waits: loading
 * a framework may take longer than everything else that a program does before it serves. `prepare` asks for it earlier.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpExchange, HttpExchangeListener, HttpHandOver } from './exchange.ts';
import { Http2Request } from './http2-request.ts';
import { Http2Response } from './http2-response.ts';

export interface NodeHttpHandOver extends HttpHandOver {
  /** Has the server made now, unless it is there: later there may be no file descriptors left to load it with. */
  prepare(): void;
}

/** @param given the server, or what makes it: called until it succeeds; when it rejects, those who wait for it are cut off */
export function nodeHttpHandOver(given: Server | (() => Promise<Server>)): NodeHttpHandOver {
  const { use } = typeof given === 'function' ? lateServer(given) : readyServer(given);
  return {
    prepare() {
      use(
        () => {},
        () => {},
      );
    },
    connection(socket: Socket) {
      use(
        (server) => {
          if (socket.destroyed) return;
          server.emit('connection', socket);
          socket.resume();
        },
        () => socket.destroy(),
      );
    },
    exchange(exchange: HttpExchange): HttpExchangeListener {
      const request = new Http2Request(exchange);
      const response = new Http2Response(exchange, request);
      let aborted = false;
      // After this turn: the listener has to be in place before the framework answers.
      queueMicrotask(() => {
        use(
          (server) => {
            if (aborted) return;
            server.emit(
              'request',
              request as unknown as IncomingMessage,
              response as unknown as ServerResponse<IncomingMessage>,
            );
          },
          () => exchange.abort(),
        );
      });
      return {
        onBody: (bytes) => request.receive(bytes),
        onBodyEnd: () => request.receiveEnd(),
        onDrain: () => response.drained(),
        onAbort: () => {
          aborted = true;
          request.abort();
          response.abort();
        },
      };
    },
  };
}

interface Taker {
  /** Calls one of both, once. */
  use(take: (server: Server) => void, giveUp: () => void): void;
}

function readyServer(server: Server): Taker {
  watch(server);
  return { use: (take) => take(server) };
}

function lateServer(make: () => Promise<Server>): Taker {
  let server: Server | null = null;
  let coming: Promise<Server> | null = null;
  return {
    use(take, giveUp) {
      if (server !== null) {
        take(server);
        return;
      }
      coming ??= make().then(
        (made) => {
          watch(made);
          server = made;
          return made;
        },
        (error: unknown) => {
          // The next one asks again.
          coming = null;
          throw error;
        },
      );
      coming.then(take, giveUp);
    },
  };
}

/**
 * A server that does not listen by itself would not watch over `headersTimeout` and `requestTimeout`, nor know its
 * connections (`closeAllConnections`): Node begins with both at this event.
 */
function watch(server: Server): void {
  if (!server.listening) server.emit('listening');
}
