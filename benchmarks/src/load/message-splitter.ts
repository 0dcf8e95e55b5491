/**
 * gRPC messages of a stream whose DATA arrives in pieces: each is handed on whole, without a copy when it lies in one
 * piece.
 */
import { GRPC_PREFIX_BYTES } from './frames.ts';

const EMPTY = Buffer.alloc(0);

export class MessageSplitter {
  readonly #onMessage: (bytes: Buffer, start: number, end: number) => void;
  #held: Buffer = EMPTY;
  /** Pieces of a long message, put together once it is complete. */
  #pieces: Buffer[] = [];
  #piecesBytes = 0;
  #wantedBytes = 0;

  /** @param onMessage gets `[start, end)` of `bytes`, valid during the call */
  constructor(onMessage: (bytes: Buffer, start: number, end: number) => void) {
    this.#onMessage = onMessage;
  }

  push(chunk: Buffer, from: number, to: number): void {
    let bytes = chunk;
    let at = from;
    let end = to;
    if (this.#held.length > 0) {
      // A long message grows by references until it is complete: no copying over and over.
      this.#pieces.push(Buffer.from(chunk.subarray(from, to)));
      this.#piecesBytes += to - from;
      if (this.#held.length + this.#piecesBytes < this.#wantedBytes) return;
      bytes = Buffer.concat([this.#held, ...this.#pieces]);
      at = 0;
      end = bytes.length;
      this.#held = EMPTY;
      this.#pieces = [];
      this.#piecesBytes = 0;
    }
    while (at + GRPC_PREFIX_BYTES <= end) {
      const next = at + GRPC_PREFIX_BYTES + bytes.readUInt32BE(at + 1);
      if (next > end) {
        this.#wantedBytes = next - at;
        this.#held = Buffer.from(bytes.subarray(at, end));
        return;
      }
      this.#onMessage(bytes, at + GRPC_PREFIX_BYTES, next);
      at = next;
    }
    if (at < end) {
      this.#wantedBytes = GRPC_PREFIX_BYTES;
      this.#held = Buffer.from(bytes.subarray(at, end));
    }
  }
}
