/**
 * Length-prefixed messages (PROTOCOL-HTTP2.md, "Requests"): a flag, four bytes of length, the message.
 *
 *     00 00000005 68656c6c6f     not compressed, 5 bytes, "hello"
 *
 * A message that lies within one frame is handed on in place. Anything else is gathered in a buffer that grows with
 * what has come (to a fixed multiple of it), never with what a length claims; a claim above the limit is refused when its five bytes are here.
 *
 * Use: `feed` bytes, call `next` until it has no more (or the handler pauses), then `keep` what is left, since the fed
 * bytes are gone after the turn.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { Status } from '../handler.ts';
import { MESSAGE_PREFIX_BYTES } from '../http2/frame-writer.ts';
import type { Counters } from '../stats.ts';
import { GrpcError } from './errors.ts';
import type { GatherPool } from './gather-pool.ts';

const none = Buffer.alloc(0);
/** A frame has 16 kB by default: after the first one there is room for a message of 128 kB, and it is copied once. */
const GROWTH = 8;

export class MessageReader {
  /** Whether the last message came compressed. */
  compressed = false;
  /** Whether the last message lies in a buffer of ours, which nobody writes again. */
  owned = false;
  readonly #maxMessageBytes: number;
  readonly #maxHeldBytes: number;
  readonly #counters: Counters;
  readonly #pool: GatherPool | null;
  #bytes: Buffer = none;
  #at = 0;
  #end = 0;
  /** The bytes are a buffer of ours; its size is counted in `heldRequestBytes`. */
  #isOwned = false;

  /** @param pool where to take memory from, for a reader whose owner gives it back (`memory`) */
  constructor(
    maxMessageBytes: number,
    maxHeldBytes: number,
    counters: Counters,
    pool: GatherPool | null = null,
  ) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#maxHeldBytes = maxHeldBytes;
    this.#counters = counters;
    this.#pool = pool;
  }

  /** Bytes that have not been taken as messages. */
  get held(): number {
    return this.#end - this.#at;
  }

  /** The buffer of ours in which the messages lie; null when there is none. */
  get memory(): Buffer | null {
    return this.#isOwned ? this.#bytes : null;
  }

  /** How many bytes the message in progress lacks; 0 when none has begun, negative when more than one message is here. */
  get needed(): number {
    if (this.held === 0) return 0;
    if (this.held < MESSAGE_PREFIX_BYTES) return MESSAGE_PREFIX_BYTES - this.held;
    return MESSAGE_PREFIX_BYTES + this.#length() - this.held;
  }

  feed(bytes: Buffer, start: number, end: number): void {
    if (this.held > 0) {
      this.#append(bytes, start, end);
      return;
    }
    this.release();
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /**
   * The next whole message, or undefined. It is valid during this turn; for longer if `owned`.
   * @throws GrpcError when the prefix is wrong or the message too long
   */
  next(): Buffer | undefined {
    if (!this.check()) return undefined;
    const length = this.#length();
    if (this.held < MESSAGE_PREFIX_BYTES + length) return undefined;
    const start = this.#at + MESSAGE_PREFIX_BYTES;
    this.compressed = this.#bytes[this.#at] === 1;
    this.#at = start + length;
    this.owned = this.#isOwned;
    const message = this.#bytes.subarray(start, this.#at);
    if (this.held === 0) this.release();
    return message;
  }

  /** Checks the prefix of the message in progress. @returns false while it is incomplete. @throws GrpcError */
  check(): boolean {
    if (this.held < MESSAGE_PREFIX_BYTES) return false;
    const flag = this.#bytes[this.#at]!;
    if (flag > 1) throw new GrpcError(Status.INTERNAL, `grpc: received unexpected payload format ${flag}`);
    const length = this.#length();
    if (length <= this.#maxMessageBytes) return true;
    throw new GrpcError(
      Status.RESOURCE_EXHAUSTED,
      `grpc: received message larger than max (${length} vs. ${this.#maxMessageBytes})`,
    );
  }

  /** Copies what is left of the fed bytes. */
  keep(): void {
    if (this.#isOwned) return;
    if (this.held === 0) this.release();
    else this.#append(none, 0, 0);
  }

  /** Lets go of everything. */
  release(): void {
    if (this.#isOwned) this.#counters.heldRequestBytes -= this.#bytes.length;
    this.#isOwned = false;
    this.#bytes = none;
    this.#at = 0;
    this.#end = 0;
  }

  #length(): number {
    return this.#bytes.readUInt32BE(this.#at + 1);
  }

  /** Puts bytes behind the held ones, into a buffer of ours. Never moves bytes within one: messages may point into it. */
  #append(bytes: Buffer, start: number, end: number): void {
    const held = this.held;
    const total = held + end - start;
    if (!this.#isOwned || this.#end + end - start > this.#bytes.length) {
      const claimed = held >= MESSAGE_PREFIX_BYTES ? MESSAGE_PREFIX_BYTES + this.#length() : total;
      const wanted = Math.max(total, Math.min(claimed, GROWTH * total));
      const freed = this.#isOwned ? this.#bytes.length : 0;
      if (this.#counters.heldRequestBytes + wanted - freed > this.#maxHeldBytes) {
        throw new GrpcError(Status.RESOURCE_EXHAUSTED, 'grpc: too many incomplete messages are held');
      }
      const grown = this.#pool?.take(wanted) ?? Buffer.allocUnsafeSlow(wanted);
      this.#bytes.copy(grown, 0, this.#at, this.#end);
      this.#counters.heldRequestBytes += grown.length - freed;
      if (this.#isOwned) this.#pool?.giveBack(this.#bytes);
      this.#bytes = grown;
      this.#isOwned = true;
      this.#at = 0;
      this.#end = held;
    }
    bytes.copy(this.#bytes, this.#end, start, end);
    this.#end += end - start;
  }
}

/** Messages outside of these are not worth compressing, or would hold up the event loop; gRPC lets each choose by its flag. */
const MIN_COMPRESSED_BYTES = 1024;
const MAX_COMPRESSED_BYTES = 1024 * 1024;

/** @returns the compressed message, or undefined when it is better sent as it is */
export function compress(message: Uint8Array): Buffer | undefined {
  if (message.length < MIN_COMPRESSED_BYTES || message.length > MAX_COMPRESSED_BYTES) return undefined;
  const compressed = gzipSync(message, { level: 1 });
  return compressed.length < message.length ? compressed : undefined;
}

/** @throws GrpcError when the output would exceed `maxBytes` (it is then never produced), or the input is not gzip */
export function decompress(message: Uint8Array, maxBytes: number): Buffer {
  try {
    return gunzipSync(message, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new GrpcError(
        Status.RESOURCE_EXHAUSTED,
        `grpc: received message after decompression larger than max ${maxBytes}`,
      );
    }
    throw new GrpcError(Status.INTERNAL, 'grpc: failed to decompress the received message');
  }
}
