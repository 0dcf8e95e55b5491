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
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpExchange, HttpExchangeListener, HttpHandOver } from './exchange.ts';
import { Http2Request } from './http2-request.ts';
import { Http2Response } from './http2-response.ts';

export function nodeHttpHandOver(server: Server): HttpHandOver {
  // A server that does not listen by itself would not watch over `headersTimeout` and `requestTimeout`, nor know its
  // connections (`closeAllConnections`): Node begins with both at this event.
  if (!server.listening) server.emit('listening');
  return {
    connection(socket: Socket) {
      server.emit('connection', socket);
    },
    exchange(exchange: HttpExchange): HttpExchangeListener {
      const request = new Http2Request(exchange);
      const response = new Http2Response(exchange, request);
      // After this turn: the listener has to be in place before the framework answers.
      queueMicrotask(() => {
        server.emit(
          'request',
          request as unknown as IncomingMessage,
          response as unknown as ServerResponse<IncomingMessage>,
        );
      });
      return {
        onBody: (bytes) => request.receive(bytes),
        onBodyEnd: () => request.receiveEnd(),
        onDrain: () => response.drained(),
        onAbort: () => {
          request.abort();
          response.abort();
        },
      };
    },
  };
}
