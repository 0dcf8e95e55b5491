/**
 * Every bound of the transport in one place, each with its reason.
 *
 * What a peer can make the server hold or do is one of these numbers. Sizes are bytes, durations milliseconds.
 * Rates are token buckets: `burst` at once, refilled by `perSecond`. Read next: `http2/flood-guard.ts`, which
 * spends the buckets.
 */

/** A token bucket: `burst` events at once, and `perSecond` events for ever. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export interface Limits {
  /** Largest request message, compressed or not. The caller gets RESOURCE_EXHAUSTED before anything is allocated. */
  readonly maxRequestMessageBytes: number;
  /** Streams one connection may have open. A stream counts until its handler has ended, cancelled or not. */
  readonly maxConcurrentStreams: number;
  /** Size of one request's decoded header list as RFC 9113 §6.5.2 counts it (name + value + 32 for each field). */
  readonly maxHeaderListBytes: number;
  /** Encoded size of one header block over HEADERS and all its CONTINUATION frames. */
  readonly maxHeaderBlockBytes: number;
  /** CONTINUATION frames in one header block. */
  readonly maxContinuationFrames: number;
  /** Credit each stream starts with; a longer message is granted its own length once that is known to be allowed. */
  readonly streamWindowBytes: number;
  /** Credit of the whole connection. */
  readonly connectionWindowBytes: number;
  /** Body of one HTTP/2 request that is not gRPC; a longer one is answered 413. */
  readonly maxHttpBodyBytes: number;
  /** Bytes of incomplete or undelivered requests held by the whole server; past it, the stream that asks for more fails. */
  readonly maxHeldRequestBytes: number;
  /** Response bytes queued on one stream at which `write` starts to answer false. */
  readonly streamHighWaterBytes: number;
  /** Response bytes queued on one connection past which its next unary calls wait for their turn. */
  readonly connectionQueueBytes: number;
  /** Response bytes queued in the whole server past which stalled streams are reset, oldest stall first. */
  readonly serverQueueBytes: number;
  /** Bytes of frames that answer the peer (acknowledgements, resets) it may leave unread before the connection is closed. */
  readonly maxUnreadControlBytes: number;
  /** Unary calls that were cancelled and whose handlers still run, in the whole server, before new calls are refused. */
  readonly maxAbandonedCalls: number;

  /** Streams reset early, by the peer or because of the peer, on one connection. */
  readonly resets: Rate;
  /** The same over all connections: past it, a connection that resets is closed after its first few. */
  readonly serverResets: Rate;
  /** SETTINGS frames of one connection. */
  readonly settingsFrames: Rate;
  /** PING frames of one connection, whatever the keepalive policy permits. */
  readonly pingFrames: Rate;
  /** Frames that move nothing: PRIORITY, empty DATA or CONTINUATION, unknown types, frames for closed streams, small window updates. */
  readonly idleFrames: Rate;

  /** From the accepted connection to its complete preface (or its first HTTP/1.1 bytes). */
  readonly prefaceTimeoutMs: number;
  /** From the accepted connection to the end of the TLS handshake (`listen` only: else the TLS server's own setting holds). */
  readonly handshakeTimeoutMs: number;
  /** For a frame or header block of which a part has arrived. */
  readonly frameTimeoutMs: number;
  /** For a request message of which a part has arrived, and for the one message of a unary call. */
  readonly messageTimeoutMs: number;
  /** Without progress while the socket refuses our bytes. */
  readonly writeTimeoutMs: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

export const defaultLimits: Limits = {
  // etcd's default request limit (1.5 MiB) and the 512 KiB of overhead it allows the wire.
  maxRequestMessageBytes: 2 * MiB,
  // Finite on purpose; busy etcd clients hold some thousand watch streams on a connection.
  maxConcurrentStreams: 10_000,
  maxHeaderListBytes: 64 * KiB,
  // No honest block is longer encoded than decoded.
  maxHeaderBlockBytes: 64 * KiB,
  // 64 KiB fit in four full frames; senders that split earlier get some slack.
  maxContinuationFrames: 16,
  streamWindowBytes: 256 * KiB,
  connectionWindowBytes: 4 * MiB,
  maxHttpBodyBytes: 8 * MiB,
  maxHeldRequestBytes: 256 * MiB,
  streamHighWaterBytes: 256 * KiB,
  connectionQueueBytes: 32 * MiB,
  serverQueueBytes: 256 * MiB,
  maxUnreadControlBytes: 64 * KiB,
  maxAbandonedCalls: 10_000,
  // A client that closes a thousand watches at once is honest; one that does so every five seconds is not.
  resets: { burst: 1_000, perSecond: 200 },
  serverResets: { burst: 10_000, perSecond: 2_000 },
  settingsFrames: { burst: 100, perSecond: 10 },
  // Clients probe the bandwidth-delay product with a PING for each round trip of data: far below this.
  pingFrames: { burst: 1_000, perSecond: 200 },
  idleFrames: { burst: 10_000, perSecond: 1_000 },
  prefaceTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  frameTimeoutMs: 20_000,
  messageTimeoutMs: 60_000,
  writeTimeoutMs: 30_000,
};
