/**
 * One HTTP/2 connection: its streams, what it says, and how it ends.
 *
 *     socket ─▶ FrameReader ─▶ Receiver ─▶ Stream ─▶ StreamConsumer (gRPC call, HTTP exchange)
 *     socket ◀─ FrameWriter ◀─ SendQueue ◀─ Stream ◀─┘
 *
 * What the peer says is judged in `receiver.ts`; this file holds the state it works on. Bytes come in by `receive`,
 * time by `tick`; everything said in one turn leaves in one `flush`.
 *
 * A connection is `open`, then perhaps `draining` (GOAWAY sent, calls go on), then `ending` (its last bytes are on
 * their way, what arrives is dropped), then `closed`. Invariant: `runningStreams` counts the streams that are not both
 * closed and released.
 */

import type { GatherPool } from '../grpc/gather-pool.ts';
import type { FieldPair } from '../hpack/encoder.ts';
import { HpackEncoder } from '../hpack/encoder.ts';
import { RecurringBlocks } from '../hpack/recurring-blocks.ts';
import type { Limits } from '../limits.ts';
import type { PeerInfo } from '../node/peer.ts';
import type { ConnectionEnd, Keepalive } from '../options.ts';
import type { Counters } from '../stats.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { ConnectionError, type StreamError } from './errors.ts';
import { FloodGuard, type TokenBucket } from './flood-guard.ts';
import { DEFAULT_WINDOW_BYTES } from './flow-control.ts';
import { CLIENT_PREFACE, DEFAULT_MAX_FRAME_BYTES, ErrorCode } from './frame.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { KeepaliveState } from './keepalive.ts';
import { Receiver } from './receiver.ts';
import type { RequestHead } from './request-head.ts';
import { SendQueue } from './send-queue.ts';
import { Setting } from './settings.ts';
import type { CloseReason, FieldBlock, Stream, StreamConsumer } from './stream.ts';
import { afterReceivedEnd, afterSentEnd, canReceive, StreamState } from './stream-state.ts';
import type { Wire } from './wire.ts';

/** What connections of one server share. */
export interface ConnectionHost {
  readonly limits: Limits;
  readonly keepalive: Keepalive;
  readonly counters: Counters;
  readonly gatherPool: GatherPool;
  /** Early ends of streams over all connections. */
  readonly resets: TokenBucket;
  /** Blocks that `FieldBlock` numbers name. */
  readonly recurringFields: readonly (readonly FieldPair[])[];
  readonly chunks: ChunkPool;
  monotonicMs(): number;
  /** Calls `connection.flush` at the end of this turn. */
  scheduleFlush(connection: Connection): void;
  /** @returns who receives what follows, or undefined when the stream has been answered and ended */
  openStream(stream: Stream, head: RequestHead): StreamConsumer | undefined;
  /** Answers a request whose header list exceeds the limit, and ends the stream. */
  refuseLargeHead(stream: Stream, listBytes: number): void;
  connectionClosed(connection: Connection, end: Omit<ConnectionEnd, 'peer'> | undefined): void;
}

type Phase = 'open' | 'draining' | 'ending' | 'closed';

/** After our last frame the socket is kept for that long, so that the peer can read why. */
const LINGER_MS = 1_000;
/** What a peer may send meanwhile before it is cut off. */
const LINGER_BYTES = 1024 * 1024;
/** How long the client may need to see the first of two GOAWAYs when it does not answer the PING between them. */
const DRAIN_ROUND_TRIP_MS = 1_000;
/** A connection that resets is spared from the server-wide bound until it has done so this often. */
const SPARED_RESETS = 20;
/** Payload of our keepalive PING, and of the one that follows a first GOAWAY. */
const KEEPALIVE_PING = Buffer.from('quorate?', 'latin1');
const DRAIN_PING = Buffer.from('going...', 'latin1');

export class Connection {
  readonly host: ConnectionHost;
  readonly limits: Limits;
  readonly peer: PeerInfo;
  readonly writer: FrameWriter;
  readonly sender: SendQueue;
  readonly encoder = new HpackEncoder();
  readonly guard: FloodGuard;
  readonly keepalive: KeepaliveState;
  readonly streams = new Map<number, Stream>();
  /** Time at the start of the work in progress. */
  nowMs: number;
  /** Streams that still count: open ones, and closed ones whose handlers have not ended. */
  runningStreams = 0;
  /** Unary calls that wait until less is queued for this peer. */
  #backlog: (() => void)[] = [];

  readonly #wire: Wire;
  readonly #reader: FrameReader;
  readonly #receiver: Receiver;
  readonly #recurring: RecurringBlocks;
  #phase: Phase = 'open';
  #flushScheduled = false;
  /** Answers to the peer's frames, in bytes, that the socket has not taken. */
  #unreadControlBytes = 0;
  #lingerBytes = LINGER_BYTES;
  #end: Omit<ConnectionEnd, 'peer'> | undefined;

  // Phases that must not last; 0 while they do not.
  readonly #openedMs: number;
  readonly #maxAgeMs: number;
  #incompleteSinceMs: number;
  #blockedSinceMs = 0;
  #drainingSinceMs = 0;
  #ageExceededMs = 0;
  #endingSinceMs = 0;
  #idleSinceMs: number;

  /** @param ageFactor in [0.9, 1.1): spreads the end of connections that began together */
  constructor(host: ConnectionHost, wire: Wire, peer: PeerInfo, ageFactor: number) {
    this.host = host;
    this.writer = new FrameWriter(host.chunks);
    this.peer = peer;
    this.limits = host.limits;
    this.#wire = wire;
    this.nowMs = host.monotonicMs();
    this.#openedMs = this.nowMs;
    this.#idleSinceMs = this.nowMs;
    this.#incompleteSinceMs = this.nowMs;
    this.#maxAgeMs = host.keepalive.maxAgeMs * ageFactor;
    this.guard = new FloodGuard(host.limits, this.nowMs);
    this.keepalive = new KeepaliveState(host.keepalive, this.nowMs);
    this.sender = new SendQueue(
      {
        currentMs: () => this.nowMs,
        wantFlush: () => this.wantFlush(),
        sentEnd: (stream) => this.#sentEnd(stream),
        writeTrailers: (stream, block) => this.#writeBlock(stream, block, true),
      },
      this.writer,
      host.counters,
      host.limits.streamHighWaterBytes,
    );
    this.#recurring = new RecurringBlocks(this.encoder, host.recurringFields);
    this.#receiver = new Receiver(this);
    this.#reader = new FrameReader(this.#receiver, DEFAULT_MAX_FRAME_BYTES, host.gatherPool);
    this.#sayHello();
  }

  /** §3.4: "The server connection preface consists of a potentially empty SETTINGS frame [...] that MUST be the first frame". */
  #sayHello(): void {
    const { maxConcurrentStreams, streamWindowBytes, maxHeaderListBytes, connectionWindowBytes } =
      this.limits;
    this.writer.settings([
      Setting.MAX_CONCURRENT_STREAMS,
      Math.min(maxConcurrentStreams, 0xffffffff),
      Setting.INITIAL_WINDOW_SIZE,
      streamWindowBytes,
      Setting.MAX_HEADER_LIST_SIZE,
      maxHeaderListBytes,
    ]);
    if (connectionWindowBytes > DEFAULT_WINDOW_BYTES) {
      this.writer.windowUpdate(0, connectionWindowBytes - DEFAULT_WINDOW_BYTES);
    }
    this.wantFlush();
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether what arrives is dropped. */
  get deaf(): boolean {
    return this.#phase === 'ending' || this.#phase === 'closed';
  }

  // ── Input ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes from the socket. */
  receive(chunk: Buffer): void {
    this.nowMs = this.host.monotonicMs();
    this.host.counters.receivedBytesTotal += chunk.length;
    if (this.deaf) {
      this.#lingerBytes -= chunk.length;
      if (this.#lingerBytes < 0) this.#close();
      return;
    }
    this.keepalive.received(this.nowMs);
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.fail(error);
      return;
    }
    const incomplete = this.#reader.awaitsPreface || this.#reader.awaitsFrame || this.#receiver.awaitsBlock;
    if (!incomplete) this.#incompleteSinceMs = 0;
    else this.#incompleteSinceMs ||= this.nowMs;
  }

  /** The socket takes bytes again. */
  drained(): void {
    if (this.#phase === 'closed') return;
    this.nowMs = this.host.monotonicMs();
    this.sender.blocked = false;
    this.#blockedSinceMs = 0;
    this.flush();
  }

  /** The socket has ended, from the other side or by an error. */
  socketClosed(): void {
    if (this.#phase === 'open' && this.streams.size > 0)
      this.#end ??= { kind: 'socket', reason: 'the connection was lost' };
    this.#close();
  }

  /** Looks at every phase that must not last, about once a second. */
  tick(nowMs: number): void {
    this.nowMs = nowMs;
    if (this.#phase === 'ending') {
      if (nowMs - this.#endingSinceMs >= LINGER_MS) this.#close();
      return;
    }
    if (this.#blockedSinceMs > 0 && nowMs - this.#blockedSinceMs >= this.limits.writeTimeoutMs) {
      this.#cutOff('the peer does not read');
      return;
    }
    if (this.#incompleteSinceMs > 0) {
      const isPreface = this.#reader.awaitsPreface;
      const limitMs = isPreface ? this.limits.prefaceTimeoutMs : this.limits.frameTimeoutMs;
      if (nowMs - this.#incompleteSinceMs >= limitMs) {
        this.#cutOff(isPreface ? 'the preface does not come' : 'a frame stays incomplete');
        return;
      }
    }
    const action = this.keepalive.tick(nowMs);
    if (action === 'dead') {
      this.#cutOff('keepalive: the peer does not answer');
      return;
    }
    if (action === 'ping') this.#sendPing(KEEPALIVE_PING);
    for (const stream of this.streams.values()) {
      if (nowMs - stream.consumer.waitingSinceMs >= this.limits.messageTimeoutMs) stream.consumer.onTooSlow();
    }
    this.#tickAge(nowMs);
    this.runBacklog();
  }

  #tickAge(nowMs: number): void {
    const { maxIdleMs, maxAgeGraceMs } = this.host.keepalive;
    if (this.#phase === 'open') {
      const isIdle = this.runningStreams === 0 && nowMs - this.#idleSinceMs >= maxIdleMs;
      const isOld = nowMs - this.#openedMs >= this.#maxAgeMs;
      if (isOld) this.#ageExceededMs = nowMs;
      if (isIdle || isOld) this.drain();
    } else if (this.#phase === 'draining') {
      if (nowMs - this.#drainingSinceMs >= DRAIN_ROUND_TRIP_MS) this.finishDrain();
      if (this.#ageExceededMs > 0 && nowMs - this.#ageExceededMs >= maxAgeGraceMs) this.destroy();
    }
  }

  // ── Streams ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A request has been accepted on a new stream. */
  addStream(stream: Stream): void {
    this.streams.set(stream.id, stream);
    this.runningStreams++;
    this.host.counters.streams++;
    this.host.counters.streamsTotal++;
  }

  /** The peer's side of the stream has ended (§5.1). */
  receivedEnd(stream: Stream): void {
    stream.state = afterReceivedEnd(stream.state);
    if (stream.closed) this.#streamClosed(stream);
  }

  /** Our side of the stream has ended. */
  #sentEnd(stream: Stream): void {
    // §8.1: "A server MAY request that the client abort transmission of a request without error by sending a
    // RST_STREAM with an error code of NO_ERROR after sending a complete response".
    if (canReceive(stream.state)) {
      this.#receiver.tolerate(stream.id);
      this.writer.rstStream(stream.id, ErrorCode.NO_ERROR);
      stream.state = StreamState.CLOSED;
    } else {
      stream.state = afterSentEnd(stream.state);
    }
    this.keepalive.sentData();
    this.#streamClosed(stream);
  }

  #streamClosed(stream: Stream): void {
    this.streams.delete(stream.id);
    if (stream.released) this.#streamDone();
    if (this.#phase === 'draining') this.#maybeEndDrain();
  }

  /** The handler of a stream has ended. */
  streamReleased(stream: Stream): void {
    if (stream.closed) this.#streamDone();
  }

  #streamDone(): void {
    this.runningStreams--;
    this.host.counters.streams--;
    if (this.runningStreams === 0) this.#idleSinceMs = this.nowMs;
  }

  /** Ends a stream early, from our side. */
  resetStream(stream: Stream, code: ErrorCode): void {
    this.#receiver.tolerate(stream.id);
    this.writer.rstStream(stream.id, code);
    this.host.counters.resetsSentTotal++;
    this.#control(13);
    this.abandon(stream, 'refused');
  }

  /** Ends a stream without a frame: its peer has reset it, or we have. */
  abandon(stream: Stream, reason: CloseReason): void {
    stream.state = StreamState.CLOSED;
    this.sender.drop(stream);
    this.#streamClosed(stream);
    stream.consumer.onClosed(reason);
  }

  /** A rule was broken on one stream only. */
  failStream(error: StreamError): void {
    this.chargeReset();
    if (this.deaf) return;
    const stream = this.streams.get(error.streamId);
    if (stream !== undefined) this.resetStream(stream, error.code);
    else this.refuseStream(error.streamId, error.code);
  }

  /** Resets a stream that has no object. */
  refuseStream(streamId: number, code: ErrorCode): void {
    this.#receiver.tolerate(streamId);
    this.writer.rstStream(streamId, code);
    this.host.counters.resetsSentTotal++;
    this.#control(13);
  }

  /** A stream has ended early through the peer's doing: too often is too much, here or over the whole server. */
  chargeReset(): void {
    this.guard.resetCount++;
    const serverHasRoom = this.host.resets.take(this.nowMs);
    if (!this.guard.resets.take(this.nowMs) || (!serverHasRoom && this.guard.resetCount > SPARED_RESETS)) {
      this.calm('too many streams are reset');
    }
  }

  /** Adds the streams that have been stalled by their peer since before `beforeMs`. */
  collectStalled(beforeMs: number, into: Stream[]): void {
    for (const stream of this.streams.values()) {
      if (stream.queuedBytes > 0 && stream.stalledSinceMs > 0 && stream.stalledSinceMs < beforeMs)
        into.push(stream);
    }
  }

  // ── Admission of unary calls ───────────────────────────────────────────────────────────────────────────────────

  /** Whether another unary call may start; a peer that does not take its answers gets no new ones computed. */
  get admits(): boolean {
    if (this.sender.queuedBytes === 0) return true;
    return (
      this.sender.queuedBytes < this.limits.connectionQueueBytes &&
      this.host.counters.queuedResponseBytes < this.limits.serverQueueBytes
    );
  }

  /** Keeps a complete unary call until `admits`. Bounded by the number of streams. */
  defer(start: () => void): void {
    this.#backlog.push(start);
  }

  runBacklog(): void {
    while (this.#backlog.length > 0 && this.admits) this.#backlog.shift()!();
  }

  // ── Output ─────────────────────────────────────────────────────────────────────────────────────────────────────

  wantFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.host.scheduleFlush(this);
  }

  /** Hands everything said in this turn to the socket, in one write. */
  flush(): void {
    this.#flushScheduled = false;
    if (this.#phase === 'closed') return;
    this.sender.fill();
    if (this.#backlog.length > 0) this.runBacklog();
    if (this.sender.sentPayload) {
      this.sender.sentPayload = false;
      this.keepalive.sentData();
      this.guard.idle.give();
    }
    if (this.writer.length > 0) {
      const { counters } = this.host;
      counters.sentBytesTotal += this.writer.length;
      counters.writesTotal++;
      if (this.#wire.write(this.writer.take())) {
        this.#unreadControlBytes = 0;
      } else {
        this.sender.blocked = true;
        this.#blockedSinceMs ||= this.nowMs;
      }
      this.writer.settle(this.#wire.isEmpty);
    }
    if (this.#phase === 'ending') this.#wire.end();
    else if (this.sender.hasWork) this.wantFlush();
  }

  /** Sends a response's first field section. */
  sendHead(stream: Stream, block: FieldBlock, endStream: boolean): void {
    this.#writeBlock(stream, block, endStream);
    if (endStream) this.#sentEnd(stream);
    this.wantFlush();
  }

  #writeBlock(stream: Stream, block: FieldBlock, endStream: boolean): void {
    let bytes = typeof block === 'number' ? this.#recurring.encode(block) : block;
    // RFC 7541 §4.2: a change of the table's size is announced at the beginning of the next block.
    if (this.encoder.updatePending) bytes = Buffer.concat([this.encoder.takeUpdate(), bytes]);
    this.writer.headers(stream.id, bytes, endStream);
  }

  sendWindowUpdate(streamId: number, increment: number): void {
    this.writer.windowUpdate(streamId, increment);
    this.#control(13);
  }

  sendSettingsAck(): void {
    this.writer.settingsAck();
    this.#control(9);
  }

  sendPingAck(opaque: Uint8Array): void {
    this.writer.ping(opaque, true);
    this.#control(17);
  }

  #sendPing(opaque: Uint8Array): void {
    this.writer.ping(opaque, false);
    this.#control(17);
  }

  /** The peer has answered a PING of ours. */
  pingAcked(opaque: Uint8Array): void {
    if (this.#phase === 'draining' && DRAIN_PING.equals(opaque)) this.finishDrain();
  }

  /** A frame that the peer caused: it must read them, or be cut off (CVE-2019-9512, -9514, -9515). */
  #control(frameBytes: number): void {
    this.#unreadControlBytes += frameBytes;
    this.wantFlush();
    // While the socket takes what we give it, the count starts anew with every flush.
    if (this.sender.blocked && this.#unreadControlBytes > this.limits.maxUnreadControlBytes) {
      this.#cutOff('the peer does not read our answers');
    }
  }

  // ── The end ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The peer broke the protocol: GOAWAY says how, and the connection ends (§5.4.1). */
  fail(error: ConnectionError): void {
    if (this.deaf) return;
    this.host.counters.protocolErrorsTotal++;
    this.#end = { kind: 'error', reason: error.message };
    this.#sayGoodbye(error.code, error.message);
  }

  /** The peer asked for too much. The reason is sent: gRPC clients act on `too_many_pings`. */
  calm(reason: string): void {
    if (this.deaf) return;
    this.host.counters.calmTotal++;
    this.#end = { kind: 'calm', reason };
    this.#sayGoodbye(ErrorCode.ENHANCE_YOUR_CALM, reason);
  }

  /**
   * Asks the peer to go. §6.8: "A server that is attempting to gracefully shut down a connection SHOULD send an initial
   * GOAWAY frame with the last stream identifier set to 2^31-1 and a NO_ERROR code"; after a round trip a second one
   * names the last stream that is served.
   */
  drain(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'draining';
    this.#drainingSinceMs = this.nowMs;
    this.writer.goaway(2 ** 31 - 1, ErrorCode.NO_ERROR, '');
    this.#sendPing(DRAIN_PING);
  }

  /** The second GOAWAY: streams above the highest one seen will not be served. */
  finishDrain(): void {
    if (this.#phase !== 'draining' || this.#receiver.refusesNew) return;
    this.#receiver.refusesNew = true;
    this.writer.goaway(this.#receiver.lastStreamId, ErrorCode.NO_ERROR, '');
    this.wantFlush();
    this.#maybeEndDrain();
  }

  #maybeEndDrain(): void {
    if (this.#receiver.refusesNew && this.streams.size === 0 && this.#phase === 'draining')
      this.#beginEnding();
  }

  /** Ends the connection at once, without a reason for the log. */
  destroy(): void {
    this.#close();
  }

  #sayGoodbye(code: ErrorCode, reason: string): void {
    this.writer.goaway(this.#receiver.lastStreamId, code, reason);
    this.#endStreams();
    this.#beginEnding();
    // At once: what the peer has sent besides must not keep the reason from leaving.
    this.flush();
  }

  #beginEnding(): void {
    this.#phase = 'ending';
    this.#endingSinceMs = this.nowMs;
    this.wantFlush();
  }

  #cutOff(reason: string): void {
    if (this.#phase === 'closed') return;
    this.host.counters.timeoutsTotal++;
    this.#end = { kind: 'timeout', reason };
    this.#close();
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#wire.destroy();
    this.#endStreams();
    this.host.connectionClosed(this, this.#end);
  }

  #endStreams(): void {
    this.#backlog = [];
    for (const stream of [...this.streams.values()]) this.abandon(stream, 'connection');
  }
}

/** Whether a connection that begins with these bytes may be HTTP/2: all of them agree with the preface's first line. */
export function looksLikeHttp2(bytes: Uint8Array): boolean {
  const length = Math.min(bytes.length, 16);
  return CLIENT_PREFACE.compare(bytes, 0, length, 0, length) === 0;
}
