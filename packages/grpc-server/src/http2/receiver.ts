/**
 * Judges what the peer says: one method for each frame type, the rule quoted above each check.
 *
 * `StreamError` and `ConnectionError` thrown below `onFrame` are turned into RST_STREAM and GOAWAY; nothing else is
 * caught, so a mistake of a handler stays visible. Read next: `connection.ts` for what the state means.
 */
import { HpackDecoder } from '../hpack/decoder.ts';
import { type HeaderField, HpackError } from '../hpack/header-field.ts';
import type { Connection } from './connection.ts';
import { ConnectionError, StreamError } from './errors.ts';
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES } from './flow-control.ts';
import { ErrorCode, Flag, FrameType } from './frame.ts';
import type { FrameSink } from './frame-reader.ts';
import { HeadCache } from './head-cache.ts';
import { HeaderBlock } from './header-block.ts';
import { checkTrailers, type RequestHead, readRequestHead } from './request-head.ts';
import { applySettings, initialPeerSettings } from './settings.ts';
import { Stream } from './stream.ts';
import { canReceive } from './stream-state.ts';

/** Streams that we ended and that the peer may still be sending on, remembered so that its frames are no error. */
const MAX_TOLERATED = 1_000;
/** Window updates below this are counted as idle frames; work that was sent gives them back. */
const SMALL_INCREMENT = 1_024;
const none = Buffer.alloc(0);

export class Receiver implements FrameSink {
  /** Highest stream identifier that has been opened. */
  lastStreamId = 0;
  /** The final GOAWAY has been sent: new streams are ignored. */
  refusesNew = false;
  readonly #connection: Connection;
  readonly #decoder: HpackDecoder;
  readonly #cache = new HeadCache();
  readonly #block: HeaderBlock;
  readonly #peer = initialPeerSettings();
  readonly #tolerated = new Set<number>();
  #settingsSeen = false;
  #settingsAcked = false;
  /** What the peer may still send on the connection. */
  #window: number;

  constructor(connection: Connection) {
    this.#connection = connection;
    const { limits } = connection;
    this.#decoder = new HpackDecoder({ maxTableBytes: 4096, maxListBytes: limits.maxHeaderListBytes });
    this.#block = new HeaderBlock(limits.maxHeaderBlockBytes, limits.maxContinuationFrames);
    this.#window = Math.max(limits.connectionWindowBytes, 65_535);
  }

  get closed(): boolean {
    return this.#connection.deaf;
  }

  /** Whether a header block has begun and not ended. */
  get awaitsBlock(): boolean {
    return this.#block.streamId !== 0;
  }

  /** Frames that still come on this stream are no error: we ended it first. */
  tolerate(streamId: number): void {
    if (this.#tolerated.size >= MAX_TOLERATED) {
      for (const oldest of this.#tolerated) {
        this.#tolerated.delete(oldest);
        break;
      }
    }
    this.#tolerated.add(streamId);
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    try {
      this.#dispatch(type, flags, streamId, bytes, start, end);
    } catch (error) {
      if (error instanceof StreamError) this.#connection.failStream(error);
      // RFC 7541 §2.2, RFC 9113 §4.3: "A receiver MUST terminate the connection with a connection error of type
      // COMPRESSION_ERROR if it does not decompress a field block."
      else if (error instanceof HpackError) {
        throw new ConnectionError(ErrorCode.COMPRESSION_ERROR, error.message);
      } else throw error;
    }
  }

  #dispatch(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    // §6.10: "A receiver MUST treat the receipt of any other type of frame or a frame on a different stream as a
    // connection error (Section 5.4.1) of type PROTOCOL_ERROR" while a field block is incomplete.
    if (
      this.#block.streamId !== 0 &&
      (type !== FrameType.CONTINUATION || streamId !== this.#block.streamId)
    ) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'a frame interrupts a header block');
    }
    // §3.4: the client's preface "MUST be followed by a SETTINGS frame".
    if (!this.#settingsSeen && type !== FrameType.SETTINGS) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'the first frame is not SETTINGS');
    }
    switch (type) {
      case FrameType.DATA:
        this.#onData(flags, streamId, bytes, start, end);
        break;
      case FrameType.HEADERS:
        this.#onHeaders(flags, streamId, bytes, start, end);
        break;
      case FrameType.PRIORITY:
        this.#onPriority(streamId, bytes, start, end);
        break;
      case FrameType.RST_STREAM:
        this.#onRstStream(streamId, start, end);
        break;
      case FrameType.SETTINGS:
        this.#onSettings(flags, streamId, bytes, start, end);
        break;
      case FrameType.PUSH_PROMISE:
        // §8.4: "A client cannot push. Thus, servers MUST treat the receipt of a PUSH_PROMISE frame as a connection
        // error (Section 5.4.1) of type PROTOCOL_ERROR."
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'a client pushes');
      case FrameType.PING:
        this.#onPing(flags, streamId, bytes, start, end);
        break;
      case FrameType.GOAWAY:
        this.#onGoaway(streamId, start, end);
        break;
      case FrameType.WINDOW_UPDATE:
        this.#onWindowUpdate(streamId, bytes, start, end);
        break;
      case FrameType.CONTINUATION:
        this.#onContinuation(flags, streamId, bytes, start, end);
        break;
      default:
        // §5.5: "Implementations MUST ignore unknown or unsupported values in all extensible protocol elements."
        this.#chargeIdle();
    }
  }

  // ── DATA, §6.1 ─────────────────────────────────────────────────────────────────────────────────────────────────

  #onData(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    // "If a DATA frame is received whose Stream Identifier field is 0x00, the recipient MUST respond with a connection
    // error (Section 5.4.1) of type PROTOCOL_ERROR."
    if (streamId === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'DATA is on stream 0');
    const frameBytes = end - start;
    let dataStart = start;
    let dataEnd = end;
    if ((flags & Flag.PADDED) !== 0) {
      // §4.2: "A frame size error in a frame that could alter the state of the entire connection MUST be treated as a
      // connection error".
      if (frameBytes === 0)
        throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'DATA lacks its padding length');
      dataStart = start + 1;
      dataEnd = end - bytes[start]!;
      // "If the length of the padding is the length of the frame payload or greater, the recipient MUST treat this as a
      // connection error (Section 5.4.1) of type PROTOCOL_ERROR."
      if (dataEnd < dataStart)
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'DATA is padded beyond its end');
    }
    this.#countConnectionBytes(frameBytes);
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if (dataStart === dataEnd && !endStream) this.#chargeIdle();
    const stream = this.#connection.streams.get(streamId);
    if (stream === undefined) {
      this.#onClosedStream(streamId, 'DATA');
      return;
    }
    // §5.1, half-closed (remote): "If an endpoint receives additional frames, other than WINDOW_UPDATE, PRIORITY, or
    // RST_STREAM, for a stream that is in this state, it MUST respond with a stream error (Section 5.4.2) of type
    // STREAM_CLOSED."
    if (!canReceive(stream.state)) {
      throw new StreamError(streamId, ErrorCode.STREAM_CLOSED, 'DATA follows END_STREAM');
    }
    // §6.9.1: "A receiver MAY respond with a stream error (Section 5.4.2) or connection error (Section 5.4.1) of type
    // FLOW_CONTROL_ERROR if it is unable to accept a frame."
    stream.receiveWindow -= frameBytes;
    if (frameBytes > 0 && stream.receiveWindow < this.#lowestWindow) {
      throw new StreamError(streamId, ErrorCode.FLOW_CONTROL_ERROR, 'DATA exceeds the window of the stream');
    }
    this.#countBody(stream, dataEnd - dataStart, endStream);
    if (endStream) this.#connection.receivedEnd(stream);
    stream.consumer.onData(bytes, dataStart, dataEnd, endStream);
  }

  /**
   * §6.9.2: until the client has seen our SETTINGS it may send as much as the RFC's window holds. A smaller one of ours is below
   * zero then, and the client waits until we have given that much back.
   */
  get #lowestWindow(): number {
    if (this.#settingsAcked) return 0;
    return Math.min(0, this.#connection.limits.streamWindowBytes - DEFAULT_WINDOW_BYTES);
  }

  /** §8.1.1: malformed is a request "where the value of the Content-Length header field does not equal the sum of the DATA frame payload lengths". */
  #countBody(stream: Stream, bytes: number, endStream: boolean): void {
    if (stream.bodyLeft < 0) return;
    stream.bodyLeft -= bytes;
    if (stream.bodyLeft < 0 || (endStream && stream.bodyLeft > 0)) {
      throw new StreamError(stream.id, ErrorCode.PROTOCOL_ERROR, 'the body differs from content-length');
    }
  }

  /** The connection's credit is given back as bytes come: what is held of them is bounded by stream, message and server. */
  #countConnectionBytes(bytes: number): void {
    const windowBytes = Math.max(this.#connection.limits.connectionWindowBytes, 65_535);
    this.#window -= bytes;
    if (this.#window < 0) {
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'DATA exceeds the window of the connection');
    }
    if (this.#window * 2 <= windowBytes) {
      this.#connection.sendWindowUpdate(0, windowBytes - this.#window);
      this.#window = windowBytes;
    }
  }

  /** A frame for a stream that is not open. */
  #onClosedStream(streamId: number, what: 'DATA' | 'HEADERS'): void {
    // §5.1, idle: "Receiving any frame other than HEADERS or PRIORITY on a stream in this state MUST be treated as a
    // connection error (Section 5.4.1) of type PROTOCOL_ERROR."
    if (streamId > this.lastStreamId) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'a frame is on an idle stream');
    }
    // §5.1, closed: "An endpoint that sends a RST_STREAM frame on a stream that is in the "open" or "half-closed
    // (local)" state could receive any type of frame. The peer might have sent or enqueued for sending these frames
    // before processing the RST_STREAM frame. An endpoint MUST minimally process and then discard any frames".
    if (!this.#tolerated.has(streamId)) {
      const reason = what === 'DATA' ? 'DATA is on a closed stream' : 'HEADERS is on a closed stream';
      throw new ConnectionError(ErrorCode.STREAM_CLOSED, reason);
    }
    this.#chargeIdle();
  }

  // ── HEADERS and CONTINUATION, §6.2 and §6.10 ───────────────────────────────────────────────────────────────────

  #onHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    // "If a HEADERS frame is received whose Stream Identifier field is 0x00, the recipient MUST respond with a
    // connection error (Section 5.4.1) of type PROTOCOL_ERROR."
    if (streamId === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'HEADERS is on stream 0');
    // §5.1.1: "Streams initiated by a client MUST use odd-numbered stream identifiers"; "An endpoint that receives an
    // unexpected stream identifier MUST respond with a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
    if ((streamId & 1) === 0)
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'a client opens an even stream');
    let blockStart = start;
    let blockEnd = end;
    if ((flags & Flag.PADDED) !== 0) {
      if (start === end)
        throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'HEADERS lacks its padding length');
      blockStart++;
      blockEnd -= bytes[start]!;
    }
    const hasPriority = (flags & Flag.PRIORITY) !== 0;
    const priorityAt = blockStart;
    if (hasPriority) {
      if (end - blockStart < 5)
        throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'HEADERS lacks its priority');
      blockStart += 5;
    }
    // "If the length of the padding is the length of the frame payload or greater, the recipient MUST treat this as a
    // connection error (Section 5.4.1) of type PROTOCOL_ERROR."
    if (blockEnd < blockStart)
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'HEADERS is padded beyond its end');
    const isSelfDependent = hasPriority && (bytes.readUInt32BE(priorityAt) & 0x7fffffff) === streamId;
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.END_HEADERS) !== 0) {
      this.#onBlock(streamId, endStream, isSelfDependent, bytes, blockStart, blockEnd);
    } else {
      this.#block.begin(streamId, endStream, isSelfDependent, bytes, blockStart, blockEnd);
    }
  }

  #onContinuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    // "A CONTINUATION frame MUST be preceded by a HEADERS, PUSH_PROMISE or CONTINUATION frame without the END_HEADERS
    // flag set. A recipient that observes violation of this rule MUST respond with a connection error".
    const block = this.#block;
    if (block.streamId === 0)
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'CONTINUATION continues nothing');
    if (!block.append(bytes, start, end)) {
      this.#connection.calm('a header block is too long');
      return;
    }
    if ((flags & Flag.END_HEADERS) === 0) return;
    const { endStream, isSelfDependent } = block;
    const whole = block.take();
    this.#onBlock(streamId, endStream, isSelfDependent, whole, 0, whole.length);
  }

  /** A complete header block. It is decoded whatever becomes of its stream: the table must follow the peer's. */
  #onBlock(
    streamId: number,
    endStream: boolean,
    isSelfDependent: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    if (streamId <= this.lastStreamId) {
      this.#onTrailers(streamId, endStream, bytes, start, end);
      return;
    }
    this.lastStreamId = streamId;
    const connection = this.#connection;
    const head = this.#readHead(bytes, start, end);
    if (this.refusesNew) {
      // §6.8: after GOAWAY "the sender can discard frames for streams initiated by the receiver with identifiers higher
      // than the identified last stream."
      this.tolerate(streamId);
      return;
    }
    // RFC 7540 §5.3.1 (RFC 9113 deprecates priorities and keeps the frame): "A stream cannot depend on itself. An
    // endpoint MUST treat this as a stream error (Section 5.4.2) of type PROTOCOL_ERROR."
    if (isSelfDependent)
      throw new StreamError(streamId, ErrorCode.PROTOCOL_ERROR, 'a stream depends on itself');
    // §8.1.1: "Malformed requests or responses that are detected MUST be treated as a stream error (Section 5.4.2) of
    // type PROTOCOL_ERROR."
    if (typeof head === 'string') throw new StreamError(streamId, ErrorCode.PROTOCOL_ERROR, head);
    if (!this.#hasRoom()) {
      // §5.1.2: "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream limit to be
      // exceeded MUST treat this as a stream error (Section 5.4.2) of type PROTOCOL_ERROR or REFUSED_STREAM." A client
      // that has not seen the limit yet is not at fault.
      if (this.#settingsAcked) connection.chargeReset();
      if (!connection.deaf) connection.refuseStream(streamId, ErrorCode.REFUSED_STREAM);
      return;
    }
    const { limits } = connection;
    const stream = new Stream(connection, streamId, this.#peer.initialWindowBytes, limits.streamWindowBytes);
    connection.addStream(stream);
    connection.guard.idle.give();
    if (endStream) connection.receivedEnd(stream);
    if (head === undefined) {
      connection.host.refuseLargeHead(stream, this.#decoder.listBytes);
      return;
    }
    stream.bodyLeft = head.contentLength;
    const consumer = connection.host.openStream(stream, head);
    if (consumer === undefined) return;
    stream.consumer = consumer;
    if (!endStream || stream.closed) return;
    if (stream.bodyLeft > 0) this.#countBody(stream, 0, true);
    stream.consumer.onData(none, 0, 0, true);
  }

  #hasRoom(): boolean {
    const { runningStreams, limits, host } = this.#connection;
    return (
      runningStreams < limits.maxConcurrentStreams && host.counters.abandonedCalls < limits.maxAbandonedCalls
    );
  }

  /** @returns the head, why it is malformed, or undefined when the list is larger than we accept */
  #readHead(bytes: Buffer, start: number, end: number): RequestHead | string | undefined {
    const { table } = this.#decoder;
    const known = this.#cache.find(table.version, bytes, start, end);
    if (known !== undefined) return known;
    const version = table.version;
    const fields = this.#decoder.decode(bytes, start, end);
    if (this.#decoder.listBytes > this.#connection.limits.maxHeaderListBytes) return undefined;
    const head = readRequestHead(fields);
    if (typeof head !== 'string' && table.version === version)
      this.#cache.add(version, bytes, start, end, head);
    return head;
  }

  #onTrailers(streamId: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const fields: HeaderField[] = this.#decoder.decode(bytes, start, end);
    const stream = this.#connection.streams.get(streamId);
    if (stream === undefined) {
      this.#onClosedStream(streamId, 'HEADERS');
      return;
    }
    if (!canReceive(stream.state)) {
      throw new StreamError(streamId, ErrorCode.STREAM_CLOSED, 'HEADERS follows END_STREAM');
    }
    // §8.1: "a HEADERS frame without the END_STREAM flag set after receiving the HEADERS frame that opens a request"
    // makes it malformed.
    if (!endStream)
      throw new StreamError(streamId, ErrorCode.PROTOCOL_ERROR, 'trailers do not end the stream');
    const malformed = checkTrailers(fields);
    if (malformed !== undefined) throw new StreamError(streamId, ErrorCode.PROTOCOL_ERROR, malformed);
    this.#countBody(stream, 0, true);
    this.#connection.receivedEnd(stream);
    stream.consumer.onData(none, 0, 0, true);
  }

  // ── PRIORITY and RST_STREAM, §6.3 and §6.4 ─────────────────────────────────────────────────────────────────────

  #onPriority(streamId: number, bytes: Buffer, start: number, end: number): void {
    // "If a PRIORITY frame is received with a stream identifier of 0x00, the recipient MUST respond with a connection
    // error (Section 5.4.1) of type PROTOCOL_ERROR."
    if (streamId === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'PRIORITY is on stream 0');
    this.#chargeIdle();
    const isSized = end - start === 5;
    if (isSized && (bytes.readUInt32BE(start) & 0x7fffffff) !== streamId) return;
    // "A PRIORITY frame with a length other than 5 octets MUST be treated as a stream error (Section 5.4.2) of type
    // FRAME_SIZE_ERROR." §6.4: RST_STREAM "MUST NOT be sent for a stream in the "idle" state", and a closed one has
    // nothing to lose: there the connection pays.
    const code = isSized ? ErrorCode.PROTOCOL_ERROR : ErrorCode.FRAME_SIZE_ERROR;
    const reason = isSized ? 'a stream depends on itself' : 'PRIORITY is not 5 bytes long';
    if (this.#connection.streams.has(streamId)) throw new StreamError(streamId, code, reason);
    throw new ConnectionError(code, reason);
  }

  #onRstStream(streamId: number, start: number, end: number): void {
    // "A RST_STREAM frame with a length other than 4 octets MUST be treated as a connection error (Section 5.4.1) of
    // type FRAME_SIZE_ERROR."
    if (end - start !== 4)
      throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'RST_STREAM is not 4 bytes long');
    if (streamId === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'RST_STREAM is on stream 0');
    // "RST_STREAM frames MUST NOT be sent for a stream in the "idle" state. If a RST_STREAM frame identifying an idle
    // stream is received, the recipient MUST treat this as a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
    if (streamId > this.lastStreamId)
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'RST_STREAM is on an idle stream');
    const stream = this.#connection.streams.get(streamId);
    if (stream === undefined) {
      this.#chargeIdle();
      return;
    }
    this.#connection.host.counters.resetsReceivedTotal++;
    this.#connection.abandon(stream, 'reset');
    this.#connection.chargeReset();
  }

  // ── SETTINGS, PING, GOAWAY, WINDOW_UPDATE, §6.5 to §6.9 ────────────────────────────────────────────────────────

  #onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    // "If an endpoint receives a SETTINGS frame whose Stream Identifier field is anything other than 0x00, the endpoint
    // MUST respond with a connection error (Section 5.4.1) of type PROTOCOL_ERROR."
    if (streamId !== 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'SETTINGS is on a stream');
    if (!connection.guard.settings.take(connection.nowMs)) {
      connection.calm('too many SETTINGS');
      return;
    }
    if ((flags & Flag.ACK) !== 0) {
      // "Receipt of a SETTINGS frame with the ACK flag set and a length field value other than 0 MUST be treated as a
      // connection error (Section 5.4.1) of type FRAME_SIZE_ERROR."
      if (start !== end)
        throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'a SETTINGS acknowledgement has a payload');
      if (!this.#settingsSeen)
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'the first frame is not SETTINGS');
      this.#settingsAcked = true;
      return;
    }
    const windowBefore = this.#peer.initialWindowBytes;
    applySettings(this.#peer, bytes, start, end);
    this.#settingsSeen = true;
    connection.encoder.setPeerTableSize(this.#peer.headerTableBytes);
    connection.writer.maxFrameBytes = this.#peer.maxFrameBytes;
    const change = this.#peer.initialWindowBytes - windowBefore;
    if (change !== 0) {
      for (const stream of connection.streams.values()) {
        // §6.9.2: "An endpoint MUST treat a change to SETTINGS_INITIAL_WINDOW_SIZE that causes any flow-control window to
        // exceed the maximum size as a connection error (Section 5.4.1) of type FLOW_CONTROL_ERROR."
        if (!stream.sendWindow.increase(change)) {
          throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE overflows a window');
        }
        connection.sender.windowOpened(stream);
      }
    }
    connection.sendSettingsAck();
  }

  #onPing(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    // "If a PING frame is received with a Stream Identifier field value other than 0x00, the recipient MUST respond with
    // a connection error (Section 5.4.1) of type PROTOCOL_ERROR." "Receipt of a PING frame with a length field value
    // other than 8 MUST be treated as a connection error (Section 5.4.1) of type FRAME_SIZE_ERROR."
    if (streamId !== 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'PING is on a stream');
    if (end - start !== 8) throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'PING is not 8 bytes long');
    if (!connection.guard.pings.take(connection.nowMs)) {
      connection.calm('too_many_pings');
      return;
    }
    const opaque = bytes.subarray(start, end);
    if ((flags & Flag.ACK) !== 0) {
      connection.pingAcked(opaque);
      return;
    }
    connection.host.counters.pingsReceivedTotal++;
    if (!connection.keepalive.clientPing(connection.nowMs, connection.streams.size > 0)) {
      connection.calm('too_many_pings');
      return;
    }
    connection.sendPingAck(opaque);
  }

  #onGoaway(streamId: number, start: number, end: number): void {
    // "An endpoint MUST treat a GOAWAY frame with a stream identifier other than 0x00 as a connection error (Section
    // 5.4.1) of type PROTOCOL_ERROR."
    if (streamId !== 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'GOAWAY is on a stream');
    if (end - start < 8)
      throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'GOAWAY is shorter than 8 bytes');
    // The peer opens no more streams; those that run go on, and then it closes the connection.
    this.#chargeIdle();
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    const connection = this.#connection;
    // §6.9: "A WINDOW_UPDATE frame with a length other than 4 octets MUST be treated as a connection error (Section
    // 5.4.1) of type FRAME_SIZE_ERROR."
    if (end - start !== 4)
      throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'WINDOW_UPDATE is not 4 bytes long');
    const increment = bytes.readUInt32BE(start) & MAX_WINDOW_BYTES;
    if (streamId === 0) {
      // "Errors on the connection flow-control window MUST be treated as a connection error (Section 5.4.1)."
      if (increment === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE adds nothing');
      if (!connection.sender.window.increase(increment)) {
        throw new ConnectionError(
          ErrorCode.FLOW_CONTROL_ERROR,
          'WINDOW_UPDATE overflows the window of the connection',
        );
      }
      if (increment < SMALL_INCREMENT) this.#chargeIdle();
      if (connection.sender.hasWork) connection.wantFlush();
      return;
    }
    if (streamId > this.lastStreamId) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE is on an idle stream');
    }
    const stream = connection.streams.get(streamId);
    if (stream === undefined || increment < SMALL_INCREMENT) this.#chargeIdle();
    // §5.1, closed: window updates may come late.
    if (stream === undefined) return;
    // "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window increment of 0 as a stream
    // error (Section 5.4.2) of type PROTOCOL_ERROR".
    if (increment === 0)
      throw new StreamError(streamId, ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE adds nothing');
    // §6.9.1: "If a sender receives a WINDOW_UPDATE that causes a flow-control window to exceed this maximum, it MUST
    // terminate either the stream or the connection".
    if (!stream.sendWindow.increase(increment)) {
      throw new StreamError(
        streamId,
        ErrorCode.FLOW_CONTROL_ERROR,
        'WINDOW_UPDATE overflows the window of a stream',
      );
    }
    connection.sender.windowOpened(stream);
    if (connection.sender.hasWork) connection.wantFlush();
  }

  #chargeIdle(): void {
    const connection = this.#connection;
    if (!connection.guard.idle.take(connection.nowMs)) connection.calm('too many frames that do nothing');
  }
}
