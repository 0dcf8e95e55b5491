/**
 * Cuts what a socket delivers into frames, without putting payloads together: DATA is handed on in the pieces in which
 * it arrived, other payloads (small, rare) whole. Padding and CONTINUATION do not occur: neither server sends them.
 */
import { FRAME_HEAD_BYTES, FrameType } from './frames.ts';

export interface FrameListener {
  /** A piece of DATA, `[start, end)` of `bytes`, which is only valid during the call; `last` ends the frame. */
  onData(streamId: number, flags: number, bytes: Buffer, start: number, end: number, last: boolean): void;
  onFrame(type: number, flags: number, streamId: number, payload: Buffer): void;
}

const EMPTY = Buffer.alloc(0);

export class FrameReader {
  readonly #listener: FrameListener;
  /** Bytes of an incomplete frame head or small frame. */
  #held: Buffer = EMPTY;
  /** Rest of a DATA payload that is under way. */
  #dataLeft = 0;
  #dataFlags = 0;
  #dataStream = 0;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#held.length > 0) {
      bytes = Buffer.concat([this.#held, chunk]);
      this.#held = EMPTY;
    }
    let at = this.#dataLeft > 0 ? this.#data(bytes, 0) : 0;
    while (at + FRAME_HEAD_BYTES <= bytes.length) {
      const length =
        ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
      const type = bytes[at + 3] as number;
      const flags = bytes[at + 4] as number;
      const streamId = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      const payload = at + FRAME_HEAD_BYTES;
      if (type === FrameType.DATA) {
        this.#dataLeft = length;
        this.#dataFlags = flags;
        this.#dataStream = streamId;
        at = this.#data(bytes, payload);
      } else if (payload + length <= bytes.length) {
        this.#listener.onFrame(type, flags, streamId, bytes.subarray(payload, payload + length));
        at = payload + length;
      } else {
        break;
      }
    }
    if (at < bytes.length) this.#held = Buffer.from(bytes.subarray(at));
  }

  #data(bytes: Buffer, start: number): number {
    const end = Math.min(bytes.length, start + this.#dataLeft);
    this.#dataLeft -= end - start;
    this.#listener.onData(this.#dataStream, this.#dataFlags, bytes, start, end, this.#dataLeft === 0);
    return end;
  }
}
