/**
 * Who sends next: the sending side of all streams of one connection.
 *
 * A message that fits in the windows and in the turn's output becomes a frame at once. Anything else queues on its
 * stream, and the streams that could send take turns of one frame each, so a large answer does not hold up the small
 * ones beside it. Nothing is framed while the socket refuses our bytes or while `TURN_BYTES` of output wait: what
 * waits then is messages, counted, not frames.
 *
 * Invariants: a stream is in the ring exactly when `isReady`; a ready stream has something to send and, if that is
 * payload, an open window; `queuedBytes` of the server is the sum over streams.
 */
import type { Counters } from '../stats.ts';
import { SendWindow } from './flow-control.ts';
import { FRAME_HEADER_BYTES } from './frame.ts';
import { type FrameWriter, MESSAGE_PREFIX_BYTES } from './frame-writer.ts';
import type { FieldBlock, Stream } from './stream.ts';

/** Output of one turn and one connection: enough to keep a socket busy, little enough to hold for each. */
const TURN_BYTES = 256 * 1024;
/** Messages below this are copied when they queue, so that many small ones become one chunk and one frame. */
const SMALL_BYTES = 2048;

export interface SendQueueHost {
  currentMs(): number;
  /** Something waits in the writer or in the ring. */
  wantFlush(): void;
  /** The stream's last frame has been written. */
  sentEnd(stream: Stream): void;
  /** Writes the trailer section's frames; the connection owns the compression state. */
  writeTrailers(stream: Stream, block: FieldBlock): void;
}

export class SendQueue {
  readonly window = new SendWindow(65_535);
  queuedBytes = 0;
  /** The socket refuses bytes. */
  blocked = false;
  /** DATA frames of some size have been sent since this was last cleared: the peer's window updates have a reason. */
  sentPayload = false;
  readonly #host: SendQueueHost;
  readonly #writer: FrameWriter;
  readonly #counters: Counters;
  readonly #highWaterBytes: number;
  #first: Stream | undefined;
  #last: Stream | undefined;

  constructor(host: SendQueueHost, writer: FrameWriter, counters: Counters, highWaterBytes: number) {
    this.#host = host;
    this.#writer = writer;
    this.#counters = counters;
    this.#highWaterBytes = highWaterBytes;
  }

  /** Whether `bytes` more may be framed on this stream right now. */
  #fits(stream: Stream, bytes: number): boolean {
    return (
      stream.queuedBytes === 0 &&
      bytes <= stream.sendWindow.available &&
      bytes <= this.window.available &&
      !this.blocked &&
      this.#writer.length + bytes <= TURN_BYTES
    );
  }

  /** @returns false when the caller should pause until the stream's queue is empty */
  message(stream: Stream, compressed: number, message: Uint8Array): boolean {
    const length = MESSAGE_PREFIX_BYTES + message.length;
    if (length <= this.#writer.maxFrameBytes && this.#fits(stream, length)) {
      this.#writer.dataHeader(stream.id, length, false);
      this.#writer.messagePrefix(compressed, message.length);
      this.#writer.payload(message, 0, message.length);
      this.#consumed(stream, length);
      this.#host.wantFlush();
      return true;
    }
    if (message.length < SMALL_BYTES) {
      const framed = Buffer.allocUnsafe(length);
      writePrefix(framed, compressed, message.length);
      framed.set(message, MESSAGE_PREFIX_BYTES);
      return this.#enqueue(stream, framed);
    }
    const prefix = Buffer.allocUnsafe(MESSAGE_PREFIX_BYTES);
    writePrefix(prefix, compressed, message.length);
    this.#enqueue(stream, prefix);
    return this.#enqueue(stream, message);
  }

  /** As `message`, for a message of `length` bytes in pieces: nobody joins them. */
  parts(stream: Stream, parts: readonly Uint8Array[], length: number): boolean {
    const prefix = Buffer.allocUnsafe(MESSAGE_PREFIX_BYTES);
    writePrefix(prefix, 0, length);
    let takesMore = this.#enqueue(stream, prefix);
    for (const part of parts) if (part.length > 0) takesMore = this.#enqueue(stream, part);
    return takesMore;
  }

  /** As `message`, for a body without message framing. */
  bytes(stream: Stream, bytes: Uint8Array): boolean {
    return bytes.length === 0 ? true : this.#enqueue(stream, bytes);
  }

  end(stream: Stream, end: 'data' | FieldBlock): void {
    stream.sendEnd = end;
    if (stream.queuedBytes === 0) this.#writeEnd(stream);
    this.#host.wantFlush();
  }

  /** The stream's window has opened, or the connection's has. */
  windowOpened(stream: Stream): void {
    if (stream.queuedBytes > 0 && stream.sendWindow.available > 0) this.#makeReady(stream);
  }

  /** Forgets what the stream had queued; its id must not be written any more. */
  drop(stream: Stream): void {
    this.#uncount(stream.queuedBytes);
    stream.queuedBytes = 0;
    stream.queue = [];
    stream.queueOffset = 0;
    stream.sendEnd = 'none';
    stream.stalledSinceMs = 0;
  }

  /** Frames as much as windows, socket and turn allow. Drain listeners run here, and may write more. */
  fill(): void {
    while (!this.blocked && this.window.available > 0 && this.#writer.length < TURN_BYTES) {
      const stream = this.#takeReady();
      if (stream === undefined) break;
      // Dropped meanwhile.
      if (stream.queuedBytes === 0) continue;
      this.#sendFrame(stream);
      if (stream.queuedBytes > 0) {
        if (stream.sendWindow.available > 0) this.#makeReady(stream);
        else stream.stalledSinceMs ||= this.#host.currentMs();
      } else if (stream.sendEnd !== 'none') {
        // Its end went with the last frame, or follows it.
        if (!stream.closed) this.#writeEnd(stream);
      } else if (stream.wantsDrain) {
        stream.wantsDrain = false;
        stream.consumer.onDrained();
      }
    }
  }

  /** Whether `fill` could frame something, were it called now. */
  get hasWork(): boolean {
    return this.#first !== undefined && !this.blocked && this.window.available > 0;
  }

  #enqueue(stream: Stream, bytes: Uint8Array): boolean {
    stream.queue.push(bytes);
    stream.queuedBytes += bytes.length;
    this.queuedBytes += bytes.length;
    this.#counters.queuedResponseBytes += bytes.length;
    if (stream.sendWindow.available > 0) this.#makeReady(stream);
    else stream.stalledSinceMs ||= this.#host.currentMs();
    this.#host.wantFlush();
    if (stream.queuedBytes < this.#highWaterBytes) return true;
    stream.wantsDrain = true;
    return false;
  }

  /** One frame of the stream's queue, gathered from as many chunks as it takes. */
  #sendFrame(stream: Stream): void {
    const length = Math.min(
      stream.queuedBytes,
      this.#writer.maxFrameBytes,
      stream.sendWindow.available,
      this.window.available,
    );
    const isLast = length === stream.queuedBytes && stream.sendEnd === 'data';
    this.#writer.dataHeader(stream.id, length, isLast);
    const queue = stream.queue;
    let left = length;
    let chunkIndex = 0;
    while (left > 0) {
      const chunk = queue[chunkIndex]!;
      const take = Math.min(left, chunk.length - stream.queueOffset);
      this.#writer.payload(chunk, stream.queueOffset, stream.queueOffset + take);
      stream.queueOffset += take;
      left -= take;
      if (stream.queueOffset === chunk.length) {
        chunkIndex++;
        stream.queueOffset = 0;
      }
    }
    if (chunkIndex === queue.length) queue.length = 0;
    else if (chunkIndex > 0) queue.splice(0, chunkIndex);
    stream.queuedBytes -= length;
    stream.stalledSinceMs = 0;
    this.#uncount(length);
    this.#consumed(stream, length);
    if (isLast) this.#host.sentEnd(stream);
  }

  #writeEnd(stream: Stream): void {
    const end = stream.sendEnd;
    if (end === 'data') {
      this.#writer.dataHeader(stream.id, 0, true);
      this.#host.sentEnd(stream);
    } else if (end !== 'none') {
      this.#host.writeTrailers(stream, end);
      this.#host.sentEnd(stream);
    }
  }

  #consumed(stream: Stream, bytes: number): void {
    stream.sendWindow.consume(bytes);
    this.window.consume(bytes);
    if (bytes > 1024 - FRAME_HEADER_BYTES) this.sentPayload = true;
  }

  #uncount(bytes: number): void {
    this.queuedBytes -= bytes;
    this.#counters.queuedResponseBytes -= bytes;
  }

  #makeReady(stream: Stream): void {
    if (stream.isReady) return;
    stream.isReady = true;
    if (this.#last === undefined) this.#first = stream;
    else this.#last.nextReady = stream;
    this.#last = stream;
  }

  #takeReady(): Stream | undefined {
    const stream = this.#first;
    if (stream === undefined) return undefined;
    this.#first = stream.nextReady;
    if (this.#first === undefined) this.#last = undefined;
    stream.nextReady = undefined;
    stream.isReady = false;
    return stream;
  }
}

function writePrefix(out: Buffer, compressed: number, length: number): void {
  out[0] = compressed;
  out.writeUInt32BE(length, 1);
}
