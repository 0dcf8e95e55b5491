/**
 * Counts the cheap things a peer can do without end, and says when it is enough.
 *
 * Every frame here is legal by itself; a peer that sends too many of them gets GOAWAY with ENHANCE_YOUR_CALM
 * (RFC 9113 §10.5: "An endpoint MAY treat activity that is suspicious as a connection error"). One line for each:
 *
 * - `resets`     streams that end early, whether the peer resets them (rapid reset, CVE-2023-44487) or makes us do it
 *                (MadeYouReset, CVE-2025-8671)
 * - `settings`   each costs an acknowledgement and a walk over the streams (CVE-2019-9515)
 * - `pings`      each costs an acknowledgement (CVE-2019-9512)
 * - `idle`       frames that move nothing: PRIORITY (CVE-2019-9513), empty DATA (CVE-2019-9518), unknown types, frames
 *                for closed streams, tiny window updates. Real work gives a part of the budget back.
 */
import type { Limits, Rate } from '../limits.ts';

/**
 * `burst` at once, `perSecond` for ever. Refilled only when empty, which keeps the usual case to a decrement; after a
 * quiet time up to twice the burst can therefore pass.
 */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledMs = nowMs;
  }

  /** @returns false when there is none left */
  take(nowMs: number): boolean {
    if (this.#tokens < 1) {
      const earned = ((nowMs - this.#filledMs) * this.#rate.perSecond) / 1000;
      this.#tokens = Math.min(this.#rate.burst, this.#tokens + earned);
      this.#filledMs = nowMs;
      if (this.#tokens < 1) return false;
    }
    this.#tokens--;
    return true;
  }

  /** Gives one back, at most up to the burst. */
  give(): void {
    if (this.#tokens < this.#rate.burst) this.#tokens++;
  }
}

export class FloodGuard {
  readonly resets: TokenBucket;
  readonly settings: TokenBucket;
  readonly pings: TokenBucket;
  readonly idle: TokenBucket;
  /** Streams that ended early on this connection. */
  resetCount = 0;

  constructor(limits: Limits, nowMs: number) {
    this.resets = new TokenBucket(limits.resets, nowMs);
    this.settings = new TokenBucket(limits.settingsFrames, nowMs);
    this.pings = new TokenBucket(limits.pingFrames, nowMs);
    this.idle = new TokenBucket(limits.idleFrames, nowMs);
  }
}
