/**
 * The public surface: what a server is made from, and what it offers.
 *
 * Read next: `handler.ts` for what a service looks like, `limits.ts` for the bounds, `http/exchange.ts` for what
 * happens to requests that are not gRPC.
 */
import type { Socket } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import type { CallContext, HandlerTable, Status } from './handler.ts';
import type { HttpHandOver } from './http/exchange.ts';
import type { Limits } from './limits.ts';

export interface GrpcServerOptions {
  /** Looked up once per distinct header block: must not change while the server runs. */
  readonly handlers: HandlerTable;
  /** Takes HTTP/1.x connections and HTTP/2 requests that are not gRPC. Without it they are refused. */
  readonly http?: HttpHandOver;
  readonly limits?: Partial<Limits>;
  readonly keepalive?: Partial<Keepalive>;
  /** Clock and timers; `nodeEnv` unless given. */
  readonly env?: TransportEnv;
  /** Told about every call of a known method; for metrics. */
  readonly observer?: CallObserver;
  /** Told about connections that end for a reason worth logging. Called outside of any handler. */
  readonly onConnectionEnd?: (end: ConnectionEnd) => void;
}

/** Keepalive and age, with the meaning grpc-go and etcd's `--grpc-keepalive-*` flags give them. */
export interface Keepalive {
  /** Shortest gap between a client's PINGs; three closer ones close the connection with `too_many_pings`. 0 permits all. */
  readonly minTimeMs: number;
  /** Whether a client without open streams may send PINGs at that pace (else: one in two hours). */
  readonly permitWithoutStream: boolean;
  /** Silence after which the server sends a PING of its own. Infinity or 0: never. */
  readonly intervalMs: number;
  /** How long a PING may stay unanswered before the connection counts as dead. Infinity or 0: for ever. */
  readonly timeoutMs: number;
  /** Age at which a connection is asked to go (GOAWAY); spread by up to 10 %. Infinity: never. */
  readonly maxAgeMs: number;
  /** How long calls may go on after that. */
  readonly maxAgeGraceMs: number;
  /** Time without a stream after which a connection is asked to go. Infinity: never. */
  readonly maxIdleMs: number;
}

export const defaultKeepalive: Keepalive = {
  minTimeMs: 5_000,
  permitWithoutStream: false,
  intervalMs: 2 * 60 * 60_000,
  timeoutMs: 20_000,
  maxAgeMs: Number.POSITIVE_INFINITY,
  maxAgeGraceMs: Number.POSITIVE_INFINITY,
  maxIdleMs: Number.POSITIVE_INFINITY,
};

/** The clock and timers the transport uses; nothing in this package reads one by itself. */
export interface TransportEnv {
  /** Monotonic milliseconds, with fractions. */
  monotonicMs(): number;
  /** Runs `callback` once, not before `delayMs` from now. Must not keep the process alive by itself. */
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
  /** Runs `callback` after the events that are waiting now have been handled: what they answer leaves in one write. */
  afterPoll(callback: () => void): void;
}

/** Sees every call of a known method. Unknown paths are not reported, so that labels stay bounded. */
export interface CallObserver {
  /** @param call calls with the same header block share one `metadata` object */
  callStarted?(path: string, kind: 'unary' | 'stream', call: CallContext): void;
  messageReceived?(path: string, bytes: number): void;
  messageSent?(path: string, bytes: number): void;
  /** @param status what the caller was told, or CANCELLED when it had gone */
  callEnded?(path: string, status: Status, elapsedMs: number): void;
}

export interface ConnectionEnd {
  readonly peer: string;
  /** `error`: the peer broke the protocol. `calm`: it asked for too much. `timeout`: a phase took too long. `socket`: the network failed. */
  readonly kind: 'error' | 'calm' | 'timeout' | 'socket';
  /** A constant sentence. */
  readonly reason: string;
}

export interface ListenOptions {
  readonly host?: string;
  /** 0 picks a free one. */
  readonly port?: number;
  /** Path of a Unix socket, instead of host and port. */
  readonly path?: string;
  /** Given: TLS with ALPN (`h2`, `http/1.1`). */
  readonly tls?: TlsOptions;
}

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Stops accepting; open connections go on. */
  close(): Promise<void>;
}

export interface GrpcServer {
  /** Serves one accepted connection: a plain socket, or a TLS socket whose handshake is done. Never throws. */
  handleConnection(socket: Socket | TLSSocket): void;
  /** Opens a listener whose connections this server serves. */
  listen(options: ListenOptions): Promise<Listening>;
  /**
   * Stops listeners, asks every connection to go (GOAWAY) and lets calls that run end. After `graceMs` (default
   * 5,000) the rest is cut off. HTTP/1.x connections that were handed over belong to their taker.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
  stats(): ServerStats;
}

/** Counters since the start (`...Total`) and gauges. */
export interface ServerStats {
  readonly connections: number;
  readonly connectionsTotal: number;
  /** HTTP/1.x connections handed over. */
  readonly http1ConnectionsTotal: number;
  readonly streams: number;
  readonly streamsTotal: number;
  /** Cancelled unary calls whose handlers have not answered yet. */
  readonly abandonedCalls: number;
  readonly receivedBytesTotal: number;
  readonly sentBytesTotal: number;
  /** Socket writes; `sentBytesTotal / writesTotal` shows how well answers are gathered. */
  readonly writesTotal: number;
  /** Request bytes held because their message is incomplete or its handler paused. */
  readonly heldRequestBytes: number;
  /** Response bytes waiting for windows or sockets. */
  readonly queuedResponseBytes: number;
  readonly resetsReceivedTotal: number;
  readonly resetsSentTotal: number;
  readonly pingsReceivedTotal: number;
  /** Connections ended because the peer broke the protocol, asked for too much, or was too slow. */
  readonly protocolErrorsTotal: number;
  readonly calmTotal: number;
  readonly timeoutsTotal: number;
}
