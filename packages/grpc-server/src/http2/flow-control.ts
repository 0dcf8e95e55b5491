/**
 * Flow control (RFC 9113 §5.2 and §6.9): two windows, and the rule by which we give credit.
 *
 * A send window is what the peer still lets us send. It may be negative: with 40,000 bytes under way, a peer that
 * lowers SETTINGS_INITIAL_WINDOW_SIZE from 65,535 to 16,384 leaves 25,535 - 49,151 = -23,616, and we wait until it
 * has given that much back (§6.9.2). It never exceeds 2^31-1.
 */

/** §6.9.2: the initial window of streams and of the connection. */
export const DEFAULT_WINDOW_BYTES = 65_535;
/** §6.9.1: "A sender MUST NOT allow a flow-control window to exceed 2^31-1 octets." */
export const MAX_WINDOW_BYTES = 2 ** 31 - 1;

/** What may be sent. `increase` answers false when the peer has gone too far, which costs it the stream or the connection. */
export class SendWindow {
  #available: number;

  constructor(initialBytes: number) {
    this.#available = initialBytes;
  }

  /** May be zero or negative: then nothing may be sent. */
  get available(): number {
    return this.#available;
  }

  /** @param bytes at most `available` */
  consume(bytes: number): void {
    this.#available -= bytes;
  }

  /** A WINDOW_UPDATE, or a change (also downwards) of the initial window. */
  increase(bytes: number): boolean {
    if (this.#available + bytes > MAX_WINDOW_BYTES) return false;
    this.#available += bytes;
    return true;
  }
}

/**
 * How much credit to give on a stream, now.
 *
 * The stream may have `windowBytes` outstanding, counting what was received and not consumed: a paused handler
 * stops the credit, and with it the caller. One message may be longer than that; once its length is known and
 * allowed, the sender gets credit for exactly the rest of it, or it could never be completed:
 *
 *     window 256, message of 1,000: after the first 100 the peer has 156 left and needs 900, so it gets 744.
 *
 * Small amounts are saved up until half a window is due, except when the peer could otherwise not go on.
 *
 * @param outstanding what the peer may still send
 * @param held received and not yet consumed
 * @param needed what the message in progress still lacks, 0 when there is none or the handler pauses
 */
export function creditToGive(windowBytes: number, outstanding: number, held: number, needed: number): number {
  const grant = Math.max(windowBytes - held, needed) - outstanding;
  if (grant <= 0) return 0;
  return grant * 2 >= windowBytes || outstanding < needed ? grant : 0;
}
