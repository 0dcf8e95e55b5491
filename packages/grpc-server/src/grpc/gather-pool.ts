/**
 * Memory for gathering large unary requests, and frames that arrive in pieces, used again from turn to turn.
 *
 *     take ──▶ gathered, handled ──giveBack──▶ returning ──end of the turn──▶ free ──▶ take
 *                                                                             └──(a second unused)──▶ gone
 *
 * A fresh buffer for each would cost little by itself, but it is memory outside of V8's heap: V8 collects the whole heap when
 * enough of it has come and gone. A handler may use its request until the turn ends, so nothing is reused before. What is too small
 * or too large for the pool, or more than it keeps, is allocated and left to the collector.
 */

import { DEFAULT_MAX_FRAME_BYTES, FRAME_HEADER_BYTES } from '../http2/frame.ts';

/** A frame; then powers of two with room for a key and framing. */
const SIZES = [FRAME_HEADER_BYTES + DEFAULT_MAX_FRAME_BYTES, ...[40, 72, 136, 264].map((kib) => kib * 1024)];
/** What is smaller is allocated. */
const MIN_BYTES = 16 * 1024;
/** Together; also bounds what one turn's requests may bring back. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;

export class GatherPool {
  readonly #afterTurn: (callback: () => void) => void;
  readonly #free: Buffer[][] = SIZES.map(() => []);
  /** Fewest free ones of each size since the last `trim`: nobody needed those. */
  #unused: number[] = SIZES.map(() => 0);
  #returning: Buffer[] = [];
  #keptBytes = 0;

  /** @param afterTurn runs a callback when the handlers of this turn have run */
  constructor(afterTurn: (callback: () => void) => void) {
    this.#afterTurn = afterTurn;
  }

  /** At least `bytes` bytes, with anything in them. */
  take(bytes: number): Buffer {
    const size = bytes < MIN_BYTES ? -1 : SIZES.findIndex((one) => one >= bytes);
    if (size < 0) return Buffer.allocUnsafeSlow(bytes);
    const buffer = this.#free[size]!.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(SIZES[size]!);
    this.#keptBytes -= buffer.length;
    this.#unused[size] = Math.min(this.#unused[size]!, this.#free[size]!.length);
    return buffer;
  }

  /** Nobody needs the buffer after this turn. */
  giveBack(buffer: Buffer): void {
    if (!SIZES.includes(buffer.length) || this.#keptBytes + buffer.length > MAX_KEPT_BYTES) return;
    this.#keptBytes += buffer.length;
    if (this.#returning.length === 0) this.#afterTurn(() => this.#collect());
    this.#returning.push(buffer);
  }

  /** Lets go of what was not needed since this was last called. */
  trim(): void {
    for (const [size, free] of this.#free.entries()) {
      for (const buffer of free.splice(0, this.#unused[size]!)) this.#keptBytes -= buffer.length;
    }
    this.#unused = this.#free.map((free) => free.length);
  }

  /** Bytes that wait to be used again. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  #collect(): void {
    for (const buffer of this.#returning) this.#free[SIZES.indexOf(buffer.length)]!.push(buffer);
    this.#returning = [];
  }
}
