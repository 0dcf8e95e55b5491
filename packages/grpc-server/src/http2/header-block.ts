/**
 * A header block that spans HEADERS and CONTINUATION frames, while it is incomplete (RFC 9113 §4.3).
 *
 * Bounded twice, in bytes and in frames (CVE-2024-27316, CVE-2019-9518): an endless block ends the connection. What it
 * holds grows with what has come.
 */
const none = Buffer.alloc(0);

export class HeaderBlock {
  /** The stream whose block is incomplete; 0 when there is none. */
  streamId = 0;
  endStream = false;
  isSelfDependent = false;
  readonly #maxBytes: number;
  readonly #maxFrames: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number, maxFrames: number) {
    this.#maxBytes = maxBytes;
    this.#maxFrames = maxFrames;
  }

  begin(
    streamId: number,
    endStream: boolean,
    isSelfDependent: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    this.streamId = streamId;
    this.endStream = endStream;
    this.isSelfDependent = isSelfDependent;
    this.#parts = [Buffer.from(bytes.subarray(start, end))];
    this.#bytes = end - start;
  }

  /** @returns false when the block has become too long */
  append(bytes: Buffer, start: number, end: number): boolean {
    this.#bytes += end - start;
    // The first part is HEADERS' own.
    if (this.#bytes > this.#maxBytes || this.#parts.length > this.#maxFrames) return false;
    this.#parts.push(start === end ? none : Buffer.from(bytes.subarray(start, end)));
    return true;
  }

  /** The whole block; this object is free for the next one. */
  take(): Buffer {
    const whole = Buffer.concat(this.#parts, this.#bytes);
    this.streamId = 0;
    this.#parts = [];
    this.#bytes = 0;
    return whole;
  }
}
