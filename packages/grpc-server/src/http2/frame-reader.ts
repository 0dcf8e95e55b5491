/**
 * Cuts the byte stream into frames (RFC 9113 §3.4 and §4.1).
 *
 * Whatever the network's chunks are, `onFrame` sees whole frames; a frame that lies within one chunk is passed in
 * place, without a copy. What is held between chunks is at most one incomplete frame, in a buffer that grows with what
 * has really arrived and never with what a length field claims.
 */
import type { GatherPool } from '../grpc/gather-pool.ts';
import { ConnectionError } from './errors.ts';
import { CLIENT_PREFACE, ErrorCode, FRAME_HEADER_BYTES } from './frame.ts';

export interface FrameSink {
  /** Payload is `[start, end)` of `bytes`, valid during the call only. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  /** Once true, the reader drops what follows. */
  readonly closed: boolean;
}

const none = Buffer.alloc(0);

/** A frame that arrives in pieces is held in memory of its whole possible length once more than this is here. */
const LARGE_HELD_BYTES = 2 * 1024;

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #maxFrameBytes: number;
  readonly #pool: GatherPool | null;
  #prefaceLeft = CLIENT_PREFACE.length;
  #held: Buffer = none;
  #heldLength = 0;

  /** @param pool memory for frames that arrive in pieces, which large requests cause in most chunks */
  constructor(sink: FrameSink, maxFrameBytes: number, pool: GatherPool | null = null) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
    this.#pool = pool;
  }

  /** Whether the preface's fixed part is still incomplete. */
  get awaitsPreface(): boolean {
    return this.#prefaceLeft > 0;
  }

  /** Whether a part of a frame has arrived. */
  get awaitsFrame(): boolean {
    return this.#heldLength > 0;
  }

  /** @throws ConnectionError on a wrong preface or a frame that is too long; whatever the sink throws */
  push(chunk: Buffer): void {
    let at = this.#prefaceLeft > 0 ? this.#readPreface(chunk) : 0;
    if (this.#heldLength > 0) at = this.#completeHeld(chunk, at);
    while (chunk.length - at >= FRAME_HEADER_BYTES && !this.#sink.closed) {
      const end = at + FRAME_HEADER_BYTES + this.#payloadLength(chunk, at);
      if (end > chunk.length) break;
      this.#emit(chunk, at, end);
      at = end;
    }
    if (this.#sink.closed) this.#release();
    else if (at < chunk.length) this.#hold(chunk, at, chunk.length);
  }

  #readPreface(chunk: Buffer): number {
    const offset = CLIENT_PREFACE.length - this.#prefaceLeft;
    const length = Math.min(this.#prefaceLeft, chunk.length);
    // §3.4: "Clients and servers MUST treat an invalid connection preface as a connection error (Section 5.4.1) of
    // type PROTOCOL_ERROR."
    if (CLIENT_PREFACE.compare(chunk, 0, length, offset, offset + length) !== 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'the connection preface is wrong');
    }
    this.#prefaceLeft -= length;
    return length;
  }

  /** Adds to the held frame what it lacks, and emits it when that was all. @returns where the next frame starts */
  #completeHeld(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#heldLength < FRAME_HEADER_BYTES) {
      const take = Math.min(FRAME_HEADER_BYTES - this.#heldLength, chunk.length - at);
      this.#hold(chunk, at, at + take);
      at += take;
      if (this.#heldLength < FRAME_HEADER_BYTES) return at;
    }
    const frameLength = FRAME_HEADER_BYTES + this.#payloadLength(this.#held, 0);
    const take = Math.min(frameLength - this.#heldLength, chunk.length - at);
    this.#hold(chunk, at, at + take);
    at += take;
    if (this.#heldLength < frameLength) return at;
    this.#heldLength = 0;
    this.#emit(this.#held, 0, frameLength);
    // Not while it may grow and stay: an idle connection holds nothing.
    this.#release();
    return at;
  }

  #payloadLength(bytes: Buffer, at: number): number {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    // §4.2: "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size defined in
    // SETTINGS_MAX_FRAME_SIZE". As a connection error: the payload is not worth reading.
    if (length > this.#maxFrameBytes) {
      throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'a frame is longer than SETTINGS_MAX_FRAME_SIZE');
    }
    return length;
  }

  #emit(bytes: Buffer, at: number, end: number): void {
    // §4.1: the reserved bit "MUST be ignored when receiving".
    const streamId =
      ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!;
    this.#sink.onFrame(bytes[at + 3]!, bytes[at + 4]!, streamId, bytes, at + FRAME_HEADER_BYTES, end);
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const length = this.#heldLength + end - start;
    if (length > this.#held.length) {
      const grown = this.#memory(length);
      this.#held.copy(grown, 0, 0, this.#heldLength);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldLength, start, end);
    this.#heldLength = length;
  }

  /** Memory for `length` bytes of a frame, and for a fixed multiple of them at most. */
  #memory(length: number): Buffer {
    const maxBytes = FRAME_HEADER_BYTES + this.#maxFrameBytes;
    if (length > LARGE_HELD_BYTES && this.#pool !== null) return this.#pool.take(maxBytes);
    return Buffer.allocUnsafeSlow(Math.min(Math.max(64, 2 * length), maxBytes));
  }

  #release(): void {
    if (this.#held.length > LARGE_HELD_BYTES) this.#pool?.giveBack(this.#held);
    this.#held = none;
    this.#heldLength = 0;
  }
}
