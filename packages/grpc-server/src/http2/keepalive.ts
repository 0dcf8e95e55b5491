/**
 * Keepalive in both directions, with grpc-go's rules (which etcd's `--grpc-keepalive-*` flags set).
 *
 * Pings of the client: each one closer to the last than it may be is a strike, and the third strike ends the
 * connection with `too_many_pings`. Answering data wipes the strikes, since clients measure the path with pings while
 * data flows. Pings of the server: after `intervalMs` of silence one is sent, and when `timeoutMs` later nothing at all
 * has come the peer counts as gone.
 */
import type { Keepalive } from '../options.ts';

/** grpc-go's pace for clients that have no stream open and no permission. */
const IDLE_MIN_TIME_MS = 2 * 60 * 60_000;
const MAX_STRIKES = 2;

export type KeepaliveAction = 'none' | 'ping' | 'dead';

export class KeepaliveState {
  readonly #policy: Keepalive;
  #lastClientPingMs = Number.NEGATIVE_INFINITY;
  #strikes = 0;
  #lastReceivedMs: number;
  /** When our unanswered ping was sent; 0 when there is none. */
  #pingSentMs = 0;

  constructor(policy: Keepalive, nowMs: number) {
    this.#policy = policy;
    this.#lastReceivedMs = nowMs;
  }

  /** Response frames have been sent. */
  sentData(): void {
    this.#strikes = 0;
    this.#lastClientPingMs = Number.NEGATIVE_INFINITY;
  }

  /** Anything has come. */
  received(nowMs: number): void {
    this.#lastReceivedMs = nowMs;
    this.#pingSentMs = 0;
  }

  /** A PING of the client. @returns false when that was one too many */
  clientPing(nowMs: number, hasStreams: boolean): boolean {
    const minTimeMs =
      hasStreams || this.#policy.permitWithoutStream || this.#policy.minTimeMs === 0
        ? this.#policy.minTimeMs
        : IDLE_MIN_TIME_MS;
    if (nowMs - this.#lastClientPingMs < minTimeMs) this.#strikes++;
    this.#lastClientPingMs = nowMs;
    return this.#strikes <= MAX_STRIKES;
  }

  /** What the passing of time asks for. The caller sends the ping. */
  tick(nowMs: number): KeepaliveAction {
    const { intervalMs, timeoutMs } = this.#policy;
    if (this.#pingSentMs > 0) {
      return timeoutMs > 0 && nowMs - this.#pingSentMs >= timeoutMs ? 'dead' : 'none';
    }
    if (intervalMs <= 0 || nowMs - this.#lastReceivedMs < intervalMs) return 'none';
    this.#pingSentMs = nowMs;
    return 'ping';
  }
}
