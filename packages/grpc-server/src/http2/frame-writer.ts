/**
 * Builds frames into chunks that leave in one socket write.
 *
 * Everything a connection says during one turn of the event loop is appended here and taken away at its end. A turn
 * begins with a chunk of the size the last one needed; bulk grows to chunks of 64 KiB. No frame is split over chunks
 * except DATA's payload, and nothing is held after `settle`, so an idle connection costs nothing.
 */
import { type ChunkPool, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from './chunk-pool.ts';
import { DEFAULT_MAX_FRAME_BYTES, Flag, FRAME_HEADER_BYTES, FrameType } from './frame.ts';

/** From here on a write of its own is cheaper than a copy. */
const LARGE_PAYLOAD_BYTES = 8 * 1024;
/** gRPC's five bytes in front of a message: compressed flag and length. */
export const MESSAGE_PREFIX_BYTES = 5;

const none = Buffer.alloc(0);

export class FrameWriter {
  readonly #pool: ChunkPool;
  /** Chunks of the pool in use, the last being `#chunk`: this turn's, and those of the last `take` until `settle`. */
  #chunks: Buffer[] = [];
  #full: Buffer[] = [];
  #fullBytes = 0;
  /** As far as they are not ours. */
  #largeBytes = 0;
  #chunk: Buffer = none;
  /** Where in the chunk the piece begins that is not in `#full` yet, and where it ends. */
  #start = 0;
  #used = 0;
  /** What the last turn copied: the first chunk of the next one is of that size. */
  #lastTurnBytes = MIN_CHUNK_BYTES;
  /** Limit of the peer, SETTINGS_MAX_FRAME_SIZE. */
  maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  /** Bytes appended since the last `take`. */
  get length(): number {
    return this.#fullBytes + this.#used - this.#start;
  }

  /** What has been appended, in order; the writer starts anew after `settle`. */
  take(): Buffer[] {
    this.#lastTurnBytes = this.length - this.#largeBytes;
    this.#largeBytes = 0;
    const chunks = this.#full;
    this.#closePiece();
    this.#full = [];
    this.#fullBytes = 0;
    this.#chunk = none;
    this.#start = 0;
    this.#used = 0;
    return chunks;
  }

  /** What `take` gave has been written. @param left nobody holds it any more: its memory may be used again */
  settle(left: boolean): void {
    if (left) for (const chunk of this.#chunks) this.#pool.giveBack(chunk);
    this.#chunks = [];
  }

  /** HEADERS, and CONTINUATION as far as the block is longer than a frame (§6.10). */
  headers(streamId: number, block: Uint8Array, endStream: boolean): void {
    // A frame that is copied lies in one chunk, and the peer may allow longer ones than there are chunks.
    const max = Math.min(this.maxFrameBytes, DEFAULT_MAX_FRAME_BYTES);
    const endStreamFlag = endStream ? Flag.END_STREAM : 0;
    if (block.length <= max) {
      this.#frame(FrameType.HEADERS, Flag.END_HEADERS | endStreamFlag, streamId, block, 0, block.length);
      return;
    }
    this.#frame(FrameType.HEADERS, endStreamFlag, streamId, block, 0, max);
    for (let at = max; at < block.length; at += max) {
      const end = Math.min(at + max, block.length);
      const flags = end === block.length ? Flag.END_HEADERS : 0;
      this.#frame(FrameType.CONTINUATION, flags, streamId, block, at, end);
    }
  }

  /** Begins a DATA frame of `length` bytes, which `payload` and `messagePrefix` must then fill exactly. */
  dataHeader(streamId: number, length: number, endStream: boolean): void {
    const at = this.#reserve(FRAME_HEADER_BYTES);
    writeFrameHeader(this.#chunk, at, length, FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId);
  }

  /** gRPC's length-prefixed message begins: one byte, and the length. */
  messagePrefix(compressed: number, length: number): void {
    const at = this.#reserve(MESSAGE_PREFIX_BYTES);
    const chunk = this.#chunk;
    chunk[at] = compressed;
    writeUint32(chunk, at + 1, length);
  }

  /**
   * Payload bytes of the DATA frame that was begun. Small ones are copied, over as many chunks as it takes; large ones
   * leave as they are, between the chunks: they must not change any more.
   */
  payload(bytes: Uint8Array, start: number, end: number): void {
    if (end - start >= LARGE_PAYLOAD_BYTES) {
      this.#closePiece();
      this.#full.push(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start));
      this.#fullBytes += end - start;
      this.#largeBytes += end - start;
      return;
    }
    let from = start;
    while (from < end) {
      if (this.#used === this.#chunk.length) this.#nextChunk(end - from);
      const length = Math.min(end - from, this.#chunk.length - this.#used);
      copyBytes(bytes, from, from + length, this.#chunk, this.#used);
      this.#used += length;
      from += length;
    }
  }

  rstStream(streamId: number, code: number): void {
    const at = this.#begin(4, FrameType.RST_STREAM, 0, streamId);
    writeUint32(this.#chunk, at, code);
  }

  /** @param pairs identifier and value, in turn */
  settings(pairs: readonly number[]): void {
    let at = this.#begin((pairs.length / 2) * 6, FrameType.SETTINGS, 0, 0);
    for (let index = 0; index < pairs.length; index += 2) {
      this.#chunk[at] = pairs[index]! >>> 8;
      this.#chunk[at + 1] = pairs[index]!;
      writeUint32(this.#chunk, at + 2, pairs[index + 1]!);
      at += 6;
    }
  }

  settingsAck(): void {
    this.#begin(0, FrameType.SETTINGS, Flag.ACK, 0);
  }

  ping(opaque: Uint8Array, ack: boolean): void {
    this.#frame(FrameType.PING, ack ? Flag.ACK : 0, 0, opaque, 0, 8);
  }

  goaway(lastStreamId: number, code: number, debug: string): void {
    const text = Buffer.from(debug, 'latin1');
    const at = this.#begin(8 + text.length, FrameType.GOAWAY, 0, 0);
    writeUint32(this.#chunk, at, lastStreamId);
    writeUint32(this.#chunk, at + 4, code);
    text.copy(this.#chunk, at + 8);
  }

  windowUpdate(streamId: number, increment: number): void {
    const at = this.#begin(4, FrameType.WINDOW_UPDATE, 0, streamId);
    writeUint32(this.#chunk, at, increment);
  }

  #frame(type: number, flags: number, streamId: number, bytes: Uint8Array, start: number, end: number): void {
    // First the place: it may be in a new chunk.
    const at = this.#begin(end - start, type, flags, streamId);
    copyBytes(bytes, start, end, this.#chunk, at);
  }

  /** Writes a frame header and reserves its payload. @returns where in the chunk the payload goes */
  #begin(length: number, type: number, flags: number, streamId: number): number {
    const at = this.#reserve(FRAME_HEADER_BYTES + length);
    writeFrameHeader(this.#chunk, at, length, type, flags, streamId);
    return at + FRAME_HEADER_BYTES;
  }

  /** Makes room for `length` bytes in one piece. @returns their offset in the chunk */
  #reserve(length: number): number {
    if (this.#chunk.length - this.#used < length) this.#nextChunk(length);
    const at = this.#used;
    this.#used = at + length;
    return at;
  }

  #nextChunk(atLeastBytes: number): void {
    this.#closePiece();
    const copiedBytes = this.#fullBytes - this.#largeBytes;
    const expected = copiedBytes === 0 ? this.#lastTurnBytes : copiedBytes;
    this.#chunk = this.#pool.take(
      Math.max(atLeastBytes > MAX_CHUNK_BYTES ? 0 : atLeastBytes, Math.min(expected, MAX_CHUNK_BYTES)),
    );
    this.#chunks.push(this.#chunk);
    this.#start = 0;
    this.#used = 0;
  }

  /** What was written to the chunk so far leaves as one piece; the rest of the chunk remains in use. */
  #closePiece(): void {
    if (this.#used === this.#start) return;
    this.#full.push(this.#chunk.subarray(this.#start, this.#used));
    this.#fullBytes += this.#used - this.#start;
    this.#start = this.#used;
  }
}

/** Small pieces by hand: a call to the runtime costs more than the loop. */
function copyBytes(from: Uint8Array, start: number, end: number, to: Buffer, offset: number): void {
  const length = end - start;
  if (length <= 32) {
    for (let index = 0; index < length; index++) to[offset + index] = from[start + index]!;
  } else if (start === 0 && end === from.length) {
    to.set(from, offset);
  } else {
    to.set(from.subarray(start, end), offset);
  }
}

function writeFrameHeader(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  writeUint32(out, at + 5, streamId);
}

function writeUint32(out: Buffer, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
