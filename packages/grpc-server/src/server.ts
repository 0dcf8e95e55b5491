/**
 * The server: accepts connections, tells the protocols apart, and looks after what all connections share.
 *
 * Read next: `http2/connection.ts` for one connection, `grpc/call.ts` for one call.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { DeadlineWheel } from './grpc/deadline.ts';
import { GatherPool } from './grpc/gather-pool.ts';
import { isGrpcContentType, readGrpcRequest } from './grpc/request.ts';
import { StreamCallImpl } from './grpc/stream-call.ts';
import { recurringFields, trailersOnly } from './grpc/trailers.ts';
import { UnaryCallImpl } from './grpc/unary-call.ts';
import { Status } from './handler.ts';
import { encodeLiteral } from './hpack/encoder.ts';
import { Http2Exchange } from './http/http2-exchange.ts';
import { ChunkPool } from './http2/chunk-pool.ts';
import { Connection, type ConnectionHost } from './http2/connection.ts';
import { TokenBucket } from './http2/flood-guard.ts';
import type { RequestHead } from './http2/request-head.ts';
import type { Stream, StreamConsumer } from './http2/stream.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { readDirectly } from './node/direct-read.ts';
import { nodeEnv } from './node/env.ts';
import { identifyPeer, isTls } from './node/peer.ts';
import { sniffProtocol } from './node/sniff.ts';
import { SocketWire } from './node/socket-wire.ts';
import { SpentChunks } from './node/spent-chunks.ts';
import {
  type ConnectionEnd,
  defaultKeepalive,
  type GrpcServer,
  type GrpcServerOptions,
  type Keepalive,
  type Listening,
  type ListenOptions,
  type ServerStats,
  type TransportEnv,
} from './options.ts';
import { type Counters, newCounters } from './stats.ts';

/** How often every connection's phases are looked at. */
const TICK_MS = 1_000;
/** A stalled stream is spared for that long even when the server is short of memory. */
const SPARED_STALL_MS = 5_000;

export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  return new TransportServer(options);
}

class TransportServer implements GrpcServer, ConnectionHost {
  readonly limits: Limits;
  readonly keepalive: Keepalive;
  readonly counters: Counters = newCounters();
  readonly resets: TokenBucket;
  readonly recurringFields = recurringFields;
  readonly chunks = new ChunkPool();
  readonly deadlines: DeadlineWheel;
  readonly gatherPool: GatherPool;
  readonly observer: GrpcServerOptions['observer'];
  readonly #options: GrpcServerOptions;
  readonly #env: TransportEnv;
  readonly #spentChunks: SpentChunks;
  readonly #connections = new Set<Connection>();
  /** Sockets whose protocol is not known yet. */
  readonly #undecided = new Set<Socket>();
  readonly #listeners = new Set<Server>();
  #dirty: Connection[] = [];
  #ticking: { cancel(): void } | undefined;
  #closing = false;
  #onAllClosed: (() => void) | undefined;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#env = options.env ?? nodeEnv;
    this.limits = { ...defaultLimits, ...options.limits };
    this.keepalive = { ...defaultKeepalive, ...options.keepalive };
    this.observer = options.observer;
    this.resets = new TokenBucket(this.limits.serverResets, this.#env.monotonicMs());
    this.deadlines = new DeadlineWheel(this.#env);
    this.gatherPool = new GatherPool((callback) => this.#env.afterPoll(callback));
    this.#spentChunks = new SpentChunks((callback) => this.#env.afterPoll(callback));
  }

  // ── Connections ────────────────────────────────────────────────────────────────────────────────────────────────

  handleConnection(socket: Socket | TLSSocket): void {
    if (this.#closing) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    // A socket error is always followed by 'close', which is where it is dealt with.
    socket.on('error', () => {});
    if (isTls(socket) && socket.alpnProtocol === 'h2') {
      this.#serveHttp2(socket);
      return;
    }
    this.#undecided.add(socket);
    const timer = this.#env.setTimer(this.limits.prefaceTimeoutMs, () => {
      this.counters.timeoutsTotal++;
      socket.destroy();
    });
    sniffProtocol(socket, (protocol, bytes) => {
      timer.cancel();
      this.#undecided.delete(socket);
      if (protocol === 'h2') this.#serveHttp2(socket, bytes);
      else if (protocol === 'http1') this.#handOver(socket, bytes);
    });
  }

  #handOver(socket: Socket, bytes: Buffer): void {
    const { http } = this.#options;
    if (http === undefined) {
      socket.destroy();
      return;
    }
    this.counters.http1ConnectionsTotal++;
    socket.unshift(bytes);
    http.connection(socket);
  }

  #serveHttp2(socket: Socket, bytes?: Buffer): void {
    const connection = new Connection(
      this,
      new SocketWire(socket),
      identifyPeer(socket),
      0.9 + Math.random() * 0.2,
    );
    this.#connections.add(connection);
    this.counters.connections++;
    this.counters.connectionsTotal++;
    readDirectly(socket, (chunk) => {
      connection.receive(chunk);
      this.#spentChunks.add(chunk);
    });
    socket.on('drain', () => connection.drained());
    socket.on('end', () => connection.socketClosed());
    socket.on('close', () => connection.socketClosed());
    this.#ticking ??= this.#env.setTimer(TICK_MS, () => this.#tick());
    if (bytes !== undefined) connection.receive(bytes);
  }

  connectionClosed(connection: Connection, end: Omit<ConnectionEnd, 'peer'> | undefined): void {
    this.#connections.delete(connection);
    this.counters.connections--;
    if (end !== undefined) this.#options.onConnectionEnd?.({ peer: connection.peer.address, ...end });
    if (this.#connections.size === 0) this.#onAllClosed?.();
  }

  monotonicMs(): number {
    return this.#env.monotonicMs();
  }

  scheduleFlush(connection: Connection): void {
    if (this.#dirty.length === 0) this.#env.afterPoll(() => this.#flushAll());
    this.#dirty.push(connection);
  }

  #flushAll(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
  }

  #tick(): void {
    this.#ticking = undefined;
    const nowMs = this.#env.monotonicMs();
    for (const connection of this.#connections) connection.tick(nowMs);
    this.gatherPool.trim();
    if (this.counters.queuedResponseBytes > this.limits.serverQueueBytes) this.#relieve(nowMs);
    if (this.#connections.size > 0) this.#ticking = this.#env.setTimer(TICK_MS, () => this.#tick());
  }

  /** Too many answers wait: streams whose callers have not taken anything for longest are given up. */
  #relieve(nowMs: number): void {
    const stalled: Stream[] = [];
    for (const connection of this.#connections) connection.collectStalled(nowMs - SPARED_STALL_MS, stalled);
    stalled.sort((a, b) => a.stalledSinceMs - b.stalledSinceMs);
    for (const stream of stalled) {
      if (this.counters.queuedResponseBytes <= this.limits.serverQueueBytes) break;
      stream.giveUp();
    }
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────

  openStream(stream: Stream, head: RequestHead): StreamConsumer | undefined {
    if (isGrpcContentType(head.contentType)) return this.#openCall(stream, head);
    const { http } = this.#options;
    const isRoutable = head.path.startsWith('/') || (head.path === '*' && head.method === 'OPTIONS');
    if (http !== undefined && isRoutable) return new Http2Exchange(stream, head, http);
    stream.release();
    // PROTOCOL-HTTP2.md: "If Content-Type does not begin with "application/grpc", gRPC servers SHOULD respond with HTTP
    // status of 415".
    const status = http === undefined ? '415' : head.method === 'CONNECT' ? '501' : '400';
    stream.sendHead(encodeLiteral([[':status', status]]), true);
    return undefined;
  }

  #openCall(stream: Stream, head: RequestHead): StreamConsumer | undefined {
    head.memo ??= readGrpcRequest(head, this.#options.handlers);
    const request = head.memo as ReturnType<typeof readGrpcRequest>;
    if (request instanceof Uint8Array) {
      stream.release();
      stream.sendHead(request, true);
      return undefined;
    }
    const { handler } = request;
    return handler.kind === 'unary'
      ? new UnaryCallImpl(handler, stream, request, this)
      : new StreamCallImpl(handler, stream, request, this);
  }

  refuseLargeHead(stream: Stream, listBytes: number): void {
    stream.release();
    const message = `received metadata larger than max (${listBytes} vs. ${this.limits.maxHeaderListBytes})`;
    stream.sendHead(trailersOnly(Status.RESOURCE_EXHAUSTED, message, 431), true);
  }

  // ── Life of the server ─────────────────────────────────────────────────────────────────────────────────────────

  async listen(options: ListenOptions): Promise<Listening> {
    const { tls } = options;
    const listener: Server =
      tls === undefined
        ? createServer()
        : // Not imported above: loading TLS costs a tenth of a start, and few listeners have it.
          process.getBuiltinModule('node:tls').createServer({
            handshakeTimeout: this.limits.handshakeTimeoutMs,
            ALPNProtocols: this.#options.http === undefined ? ['h2'] : ['h2', 'http/1.1'],
            ...tls,
          });
    listener.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) =>
      this.handleConnection(socket),
    );
    // A failed handshake destroys its socket; nobody else needs to know.
    listener.on('tlsClientError', () => {});
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      const { path, port = 0, host } = options;
      const where = path !== undefined ? { path } : host === undefined ? { port } : { port, host };
      listener.listen(where, () => {
        listener.off('error', reject);
        resolve();
      });
    });
    // Whatever accepting fails of, the listener goes on by itself.
    listener.on('error', () => {});
    this.#listeners.add(listener);
    const address = listener.address();
    return {
      host: typeof address === 'object' && address !== null ? address.address : (options.path ?? ''),
      port: typeof address === 'object' && address !== null ? address.port : 0,
      close: () => this.#closeListener(listener),
    };
  }

  /** Node's own `close` waits for the connections; accepting stops at once. */
  async #closeListener(listener: Server): Promise<void> {
    this.#listeners.delete(listener);
    listener.close();
  }

  async close(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#closing = true;
    for (const listener of this.#listeners) await this.#closeListener(listener);
    for (const socket of this.#undecided) socket.destroy();
    this.#undecided.clear();
    for (const connection of this.#connections) connection.drain();
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        const deadline = this.#env.setTimer(options.graceMs ?? 5_000, () => {
          for (const connection of [...this.#connections]) connection.destroy();
        });
        this.#onAllClosed = () => {
          deadline.cancel();
          resolve();
        };
      });
    }
    this.#ticking?.cancel();
    this.deadlines.close();
  }

  stats(): ServerStats {
    return { ...this.counters };
  }
}
