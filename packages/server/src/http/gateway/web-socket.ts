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
/** Reads that one unfinished frame may take: each takes more room than its bytes. */
const MAX_READS = 8_192;
/** A frame of a client that says little: two bytes, and four that mask its text. */
const SMALL_HEAD_BYTES = 6;
/** What may be held of a caller that has been told the end, and has to answer that before it is gone. */
const MAX_LATE_BYTES = 64 * 1024;

export class WebSocketStreams {
  readonly #gateway: Gateway;
  readonly #server: WebSocketServer;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: gateway.maxBodyBytes,
      maxBufferedChunks: MAX_READS,
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
    this.#server.handleUpgrade(request, socket, head, (webSocket) =>
      this.#serve(method, request, webSocket, socket),
    );
  }

  /** Cuts off whoever is still connected. */
  close(): void {
    for (const webSocket of this.#server.clients) webSocket.terminate();
    this.#server.close();
  }

  #serve(
    method: MethodDescriptor<unknown, unknown>,
    request: IncomingMessage,
    webSocket: WebSocket,
    socket: Duplex,
  ): void {
    // Always followed by 'close'.
    webSocket.on('error', () => {});
    const sink = new WebSocketSink(webSocket, socket);
    const call = this.#gateway.openStream(method, request, sink);
    if (call === null) return;
    const came = (bytes: number): void => call.expect(sink.came(bytes));
    // Before the library reads it.
    socket.prependListener('data', (part: Buffer) => came(part.length));
    const cameAlone = (data: Buffer): void => came(-data.length - SMALL_HEAD_BYTES);
    webSocket.on('ping', cameAlone);
    webSocket.on('pong', cameAlone);
    webSocket.on('message', (data: RawData) => {
      sink.cameWhole();
      call.feed(data as Buffer);
    });
    webSocket.on('close', () => call.abandon());
  }
}

class WebSocketSink implements LineSink {
  readonly #socket: WebSocket;
  readonly #connection: Duplex;
  /** What the library holds of a message that has not ended; it tells nobody. */
  #unfinishedBytes = 0;
  #isEnded = false;
  /** A line under way: a large one comes in pieces, and is one message all the same. */
  #line: string[] = [];
  #unsentBytes = 0;
  #drainListener: (() => void) | null = null;

  constructor(socket: WebSocket, connection: Duplex) {
    this.#socket = socket;
    this.#connection = connection;
  }

  /** @param bytes fewer than zero for what was no part of a message. @returns what is held by now */
  came(bytes: number): number {
    this.#unfinishedBytes = Math.max(0, this.#unfinishedBytes + bytes);
    this.#cutIfLarge();
    return this.#unfinishedBytes;
  }

  /** A message has ended. */
  cameWhole(): void {
    this.#unfinishedBytes = 0;
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
    this.#isEnded = true;
    this.#socket.close(1000);
    this.#cutIfLarge();
  }

  /** Whoever has been told the end has half a minute to answer, and may not fill the memory meanwhile. */
  #cutIfLarge(): void {
    if (!this.#isEnded || this.#unfinishedBytes <= MAX_LATE_BYTES) return;
    this.#connection.end(() => this.#socket.terminate());
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
