/**
 * A long-lived stream of messages to one peer, made again whenever it ends.
 *
 *     waiting ──timer──▶ dialling ──welcome──▶ open
 *        ▲                  │                    │
 *        └──────────────────┴────── end ─────────┘
 *
 * Messages of one turn leave as one gRPC message. While the link is dialling they wait, within the queue's bounds; while it
 * waits for the next attempt they are dropped at once, since what they say will be old. Every drop is reported.
 *
 * A sign of life is asked for at each `pingIntervalMs`; without one for `silenceMs` the connection is destroyed: the
 * kernel would notice a black hole much later. Attempts are spread at random between half and all of a delay that
 * doubles up to `maxReconnectMs`, and take the peer's URLs in turn.
 */
import type { Env, Timer } from '../env.ts';
import type { MessageKind } from '../network.ts';
import { PeerError, REFUSALS } from './errors.ts';
import { encodeFrames, type Frame, FrameKind, numberFrame, readNumber } from './frames.ts';
import { type Channel, type Identity, Path } from './handshake.ts';
import { helloMetadata } from './hello.ts';
import type { PeerLimits } from './options.ts';
import { OutgoingStream, type OutgoingStreamOptions } from './outgoing-stream.ts';
import { SendQueue } from './send-queue.ts';
import type { PeerTraffic } from './traffic.ts';

export interface LinkParts {
  readonly env: Env;
  readonly own: Identity;
  readonly to: bigint;
  readonly channel: Channel;
  readonly limits: PeerLimits;
  readonly traffic: PeerTraffic;
  readonly connection: Pick<OutgoingStreamOptions, 'dialTls' | 'names'>;
}

export interface LinkHost {
  /** Messages were dropped, or may have been. */
  onDrop(): void;
  onOpen(url: string): void;
  /** An attempt failed, or an open stream ended. */
  onDown(error: PeerError, url: string, wasOpen: boolean): void;
}

/** A slow link that has much to carry may take longer to answer a ping that stands behind it. */
const LOG_PATIENCE = 5;

export class Link {
  readonly #parts: LinkParts;
  readonly #host: LinkHost;
  readonly #queue: SendQueue;
  #urls: readonly string[] = [];
  #urlIndex = 0;
  #stream: OutgoingStream | null = null;
  #retry: Timer | null = null;
  #pinger: Timer | null = null;
  /** Attempts since the last connection that lasted. */
  #attempts = 0;
  #openSinceMs: number | null = null;
  #heardMs = 0;
  /** When the newest ping that was answered had left, which is what a ping says. */
  #answeredMs = 0;
  #flushScheduled = false;
  #lastRefused = false;
  #closed = false;

  constructor(parts: LinkParts, host: LinkHost) {
    this.#parts = parts;
    this.#host = host;
    const { controlQueueBytes, logQueueBytes } = parts.limits;
    this.#queue = new SendQueue(parts.channel === 'control' ? controlQueueBytes : logQueueBytes);
  }

  get openSinceMs(): number | null {
    return this.#openSinceMs;
  }

  /** The stream while it is open; calls go along with it. */
  get stream(): OutgoingStream | null {
    return this.#openSinceMs === null ? null : this.#stream;
  }

  /** The URL in use or tried next. */
  get url(): string {
    return this.#urls[this.#urlIndex] ?? '';
  }

  /** Stays connected when the URL in use is among the new ones. */
  setUrls(urls: readonly string[]): void {
    const current = this.url;
    this.#urls = urls;
    this.#urlIndex = Math.max(0, urls.indexOf(current));
    if (urls.includes(current) && (this.#stream !== null || this.#retry !== null)) return;
    this.#attempts = 0;
    this.#stream?.end(new PeerError('PEER_CLOSED', 'the URLs of the peer changed'));
    this.#urlIndex = 0;
    this.#dialNow();
  }

  /** The peer has been heard elsewhere: no need to wait any longer, unless it refuses us. */
  poke(): void {
    if (this.#retry !== null && !this.#lastRefused) this.#dialNow();
  }

  /** The way to the peer has died, as another connection found: so has this one if it was silent for as long. */
  suspect(): void {
    const { env, limits } = this.#parts;
    if (this.#openSinceMs === null || env.monotonicMs() - this.#heardMs < limits.silenceMs) return;
    this.#stream?.end(new PeerError('PEER_TIMEOUT', 'no sign of life'));
  }

  send(message: Uint8Array, kind: MessageKind): void {
    if (this.#stream === null) {
      this.#dropped(1);
      return;
    }
    this.#dropped(this.#queue.push(kind, message));
    if (this.#flushScheduled || !this.#stream.isOpen) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#retry = null;
    this.#stream?.end(new PeerError('PEER_CLOSED', 'this side has closed'));
  }

  #flush(): void {
    const stream = this.#stream;
    while (stream?.isOpen && stream.hasRoom && !this.#queue.isEmpty) {
      stream.write(encodeFrames(this.#queue.take(this.#parts.limits.batchBytes)));
    }
  }

  #dialNow(): void {
    this.#retry?.cancel();
    this.#retry = null;
    if (this.#closed || this.#urls.length === 0) return;
    const { env, own, to, channel, limits, connection, traffic } = this.#parts;
    this.#stream = new OutgoingStream(
      {
        ...connection,
        env,
        own,
        to,
        url: this.url,
        path: Path.messages,
        metadata: helloMetadata(own, to, channel),
        maxMessageBytes: limits.maxMessageBytes,
        handshakeMs: limits.handshakeMs,
        inFlightBytes: limits.inFlightBytes,
        traffic,
      },
      {
        onOpen: () => this.#opened(),
        onFrame: (frame) => this.#heard(frame),
        onRoom: () => this.#flush(),
        onEnd: (error) => this.#ended(error),
      },
    );
  }

  #opened(): void {
    const { env } = this.#parts;
    this.#openSinceMs = env.monotonicMs();
    this.#heardMs = this.#openSinceMs;
    this.#answeredMs = this.#openSinceMs;
    this.#lastRefused = false;
    this.#armPing();
    this.#host.onOpen(this.url);
    this.#flush();
  }

  #heard(frame: Frame): void {
    if (frame.kind !== FrameKind.pong) throw new PeerError('PEER_PROTOCOL', 'a frame that is no pong');
    const { env, channel, traffic } = this.#parts;
    this.#heardMs = env.monotonicMs();
    const pingedMs = readNumber(frame);
    // A peer may say anything.
    if (channel !== 'control' || !(pingedMs > this.#answeredMs && pingedMs <= this.#heardMs)) return;
    this.#answeredMs = pingedMs;
    traffic.roundTrips.observe((this.#heardMs - pingedMs) / 1_000);
  }

  #ended(error: PeerError): void {
    const { env, limits, channel, traffic } = this.#parts;
    const url = this.url;
    const wasOpen = this.#openSinceMs !== null;
    // One that was lost at once, again and again, is no better than one that was never made.
    if (wasOpen && env.monotonicMs() - this.#openSinceMs! >= limits.maxReconnectMs) this.#attempts = 0;
    this.#stream = null;
    this.#openSinceMs = null;
    this.#pinger?.cancel();
    this.#lastRefused = (REFUSALS as readonly string[]).includes(error.code);
    const dropped = this.#queue.clear();
    if (this.#closed) return;
    if (wasOpen && channel === 'control') traffic.disconnects++;
    this.#urlIndex = (this.#urlIndex + 1) % Math.max(1, this.#urls.length);
    const delayMs = Math.min(limits.maxReconnectMs, limits.reconnectMs * 2 ** Math.min(this.#attempts, 10));
    this.#attempts++;
    const spreadMs = delayMs / 2 + (env.randomInt(1_000) / 1_000) * (delayMs / 2);
    this.#retry = env.setTimer(spreadMs, () => this.#dialNow());
    this.#dropped(dropped);
    // What was on its way may not have arrived.
    if (wasOpen) this.#host.onDrop();
    this.#host.onDown(error, url, wasOpen);
  }

  #dropped(count: number): void {
    if (count === 0) return;
    this.#parts.traffic.sentFailures += count;
    this.#host.onDrop();
  }

  #armPing(): void {
    const { env, limits, channel } = this.#parts;
    const stream = this.#stream!;
    const armedMs = env.monotonicMs();
    this.#pinger = env.setTimer(limits.pingIntervalMs, () => {
      // After a pause of this process the answer may be there already, unread.
      env.afterPoll(() => {
        if (this.#stream !== stream || !stream.isOpen) return;
        const nowMs = env.monotonicMs();
        // Nor is a pause, in which nobody was asked, a silence of the peer.
        const lateMs = Math.max(0, nowMs - armedMs - 2 * limits.pingIntervalMs);
        this.#heardMs = Math.min(nowMs, this.#heardMs + lateMs);
        if (nowMs - this.#heardMs >= limits.silenceMs * (channel === 'log' ? LOG_PATIENCE : 1)) {
          stream.end(new PeerError('PEER_TIMEOUT', 'no sign of life'));
          return;
        }
        if (stream.hasRoom) stream.write(encodeFrames([numberFrame(FrameKind.ping, nowMs)]));
        this.#armPing();
      });
    });
  }
}
