/**
 * Streams over WebSockets, as etcd's proxy for browsers offers them: `GET /v3/watch` with an upgrade.
 *
 * Each text message is one or more request objects, each line of the answer is one text message. A browser cannot set
 * headers here, so the token comes as a subprotocol (`Bearer, TOKEN`) or in the cookie `token`; both stand for
 * `Authorization: Bearer TOKEN`. A page of another origin may connect unless `--cors` names the allowed ones.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Status } from '@quorate/grpc-server';
import type { MethodDescriptor } from '@quorate/proto';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { Gateway } from './gateway.ts';
import { errorLine } from './status.ts';
import type { LineSink } from './stream-call.ts';

/** Bytes in the socket's queue from which on the handler is asked to wait. */
const HIGH_WATER_BYTES = 256 * 1024;

export class WebSocketStreams {
  readonly #gateway: Gateway;
  readonly #server: WebSocketServer;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: gateway.maxBodyBytes,
      clientTracking: true,
      perMessageDeflate: false,
      handleProtocols: (protocols) => (protocols.has('Bearer') ? 'Bearer' : false),
    });
  }

  /** Takes over a request to upgrade. */
  upgrade(
    method: MethodDescriptor<unknown, unknown>,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): void {
    const token = tokenOf(request);
    if (token !== null) request.headers.authorization = `Bearer ${token}`;
    this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#serve(method, request, webSocket));
  }

  /** Cuts off whoever is still connected. */
  close(): void {
    for (const webSocket of this.#server.clients) webSocket.terminate();
    this.#server.close();
  }

  #serve(method: MethodDescriptor<unknown, unknown>, request: IncomingMessage, webSocket: WebSocket): void {
    // Always followed by 'close'.
    webSocket.on('error', () => {});
    const call = this.#gateway.openStream(method, request, new WebSocketSink(webSocket));
    if (call === null) return;
    webSocket.on('message', (data: RawData) => call.feed(data as Buffer));
    webSocket.on('close', () => call.abandon());
  }
}

class WebSocketSink implements LineSink {
  readonly #socket: WebSocket;
  /** A line under way: a large one comes in pieces, and is one message all the same. */
  #line: string[] = [];
  #unsentBytes = 0;
  #drainListener: (() => void) | null = null;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  begin(_status: Status): void {}

  refuse(status: Status, message: string): void {
    this.write(errorLine(status, message));
    this.end();
  }

  write(text: string): boolean {
    if (!text.endsWith('\n')) {
      this.#line.push(text);
      return true;
    }
    const line = this.#line.join('') + text.slice(0, -1);
    this.#line = [];
    this.#unsentBytes += line.length;
    this.#socket.send(line, () => {
      this.#unsentBytes -= line.length;
      if (this.#unsentBytes >= HIGH_WATER_BYTES) return;
      const listener = this.#drainListener;
      this.#drainListener = null;
      listener?.();
    });
    return this.#unsentBytes < HIGH_WATER_BYTES;
  }

  onDrain(listener: () => void): void {
    this.#drainListener = listener;
  }

  end(): void {
    this.#socket.close(1000);
  }

  abort(): void {
    this.#socket.terminate();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

/** The token as a browser can give it; null: none. */
function tokenOf(request: IncomingMessage): string | null {
  const [name, token] = (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((part) => part.trim());
  if (name === 'Bearer' && token) return token;
  for (const cookie of (request.headers.cookie ?? '').split(';')) {
    const [key, ...value] = cookie.trim().split('=');
    if (key === 'token' && value.join('=') !== '') return value.join('=');
  }
  return null;
}
