/**
 * Sends one snapshot: a stream on a connection of its own, so that its bulk stands before nobody's messages.
 *
 *     sender                               receiver
 *     message, chunk, chunk, ...  ──────▶
 *                                 ◀──────  taken N        (bytes of content it has taken)
 *     end                         ──────▶
 *                                 ◀──────  alive, ...     (it installs)
 *                                 ◀──────  success | failure
 *
 * Chunks are pulled only while less than `snapshotWindowBytes` are on their way, and no faster than the rate allows. Without
 * progress for `snapshotStallMs` it has failed: a byte taken is progress, and after the end any sign of life.
 */
import type { Env, Timer } from '../env.ts';
import type { SnapshotContent } from '../network.ts';
import { errorOf, PeerError } from './errors.ts';
import { encodeFrames, type Frame, FrameKind, frame, readNumber, readTexts } from './frames.ts';
import { type Identity, Path } from './handshake.ts';
import { helloMetadata } from './hello.ts';
import type { PeerLimits } from './options.ts';
import { OutgoingStream, type OutgoingStreamOptions } from './outgoing-stream.ts';
import type { PeerTraffic } from './traffic.ts';

export interface SnapshotSenderParts {
  readonly env: Env;
  readonly own: Identity;
  readonly to: bigint;
  readonly url: string;
  readonly limits: PeerLimits;
  /** Infinity: no limit. */
  readonly bytesPerSec: number;
  readonly traffic: PeerTraffic;
  readonly connection: Pick<OutgoingStreamOptions, 'dialTls' | 'names'>;
}

export class SnapshotSender {
  readonly #parts: SnapshotSenderParts;
  readonly #content: SnapshotContent;
  readonly #done: (error: Error | null) => void;
  readonly #counted: ReturnType<PeerTraffic['snapshotsSent']['begin']>;
  readonly #stream: OutgoingStream;
  #sentBytes = 0;
  #takenBytes = 0;
  #pulling = false;
  #endSent = false;
  #ended = false;
  /** Before that moment the rate allows no more. */
  #notBeforeMs = 0;
  #rateTimer: Timer | null = null;
  #progressMs: number;
  #stallTimer: Timer | null = null;

  /** @param done once; `content` is closed by then */
  constructor(
    parts: SnapshotSenderParts,
    message: Uint8Array,
    content: SnapshotContent,
    done: (error: Error | null) => void,
  ) {
    this.#parts = parts;
    this.#content = content;
    this.#done = done;
    const { env, own, to, url, limits, connection, traffic } = parts;
    this.#progressMs = env.monotonicMs();
    this.#counted = traffic.snapshotsSent.begin(this.#progressMs);
    this.#stream = new OutgoingStream(
      {
        ...connection,
        env,
        own,
        to,
        url,
        path: Path.snapshot,
        metadata: helloMetadata(own, to),
        maxMessageBytes: limits.maxMessageBytes,
        handshakeMs: limits.handshakeMs,
        inFlightBytes: limits.snapshotWindowBytes,
        traffic,
      },
      {
        onOpen: () => {
          this.#stream.write(encodeFrames([frame(FrameKind.message, message)]));
          this.#progressMs = env.monotonicMs();
          this.#pull();
        },
        onFrame: (received) => this.#receive(received),
        onRoom: () => this.#pull(),
        onEnd: (error) => this.#end(error),
      },
    );
    this.#watch();
  }

  cancel(error: PeerError): void {
    this.#stream.end(error);
  }

  #pull(): void {
    const { env, limits } = this.#parts;
    if (this.#pulling || this.#endSent || this.#ended || !this.#stream.isOpen || !this.#stream.hasRoom)
      return;
    if (this.#sentBytes - this.#takenBytes >= limits.snapshotWindowBytes) return;
    const waitMs = this.#notBeforeMs - env.monotonicMs();
    if (waitMs > 0) {
      this.#rateTimer ??= env.setTimer(waitMs, () => {
        this.#rateTimer = null;
        this.#pull();
      });
      return;
    }
    this.#pulling = true;
    this.#content.next((error, chunk) => {
      this.#pulling = false;
      if (this.#ended) return;
      if (error !== null) {
        this.#stream.end(new PeerError('PEER_FAILED', error.message, { cause: error }));
        return;
      }
      this.#write(chunk);
      // A content that answers at once would otherwise deepen the stack with each chunk.
      queueMicrotask(() => this.#pull());
    });
  }

  #write(chunk: Uint8Array | null): void {
    const { env, bytesPerSec } = this.#parts;
    if (chunk === null) {
      this.#endSent = true;
      this.#stream.write(encodeFrames([frame(FrameKind.end)]));
      return;
    }
    this.#sentBytes += chunk.length;
    this.#stream.write(encodeFrames([frame(FrameKind.chunk, chunk)]));
    if (bytesPerSec === Number.POSITIVE_INFINITY) return;
    this.#notBeforeMs = Math.max(this.#notBeforeMs, env.monotonicMs()) + (chunk.length / bytesPerSec) * 1_000;
    // Waiting for the rate is no standstill.
    this.#progressMs = Math.max(this.#progressMs, this.#notBeforeMs);
  }

  #receive(received: Frame): void {
    switch (received.kind) {
      case FrameKind.taken: {
        const taken = readNumber(received);
        if (!(taken >= this.#takenBytes && taken <= this.#sentBytes)) {
          throw new PeerError('PEER_PROTOCOL', 'the peer took what was not sent');
        }
        if (taken > this.#takenBytes) this.#progressMs = this.#parts.env.monotonicMs();
        this.#takenBytes = taken;
        this.#pull();
        return;
      }
      case FrameKind.alive:
        if (this.#endSent) this.#progressMs = this.#parts.env.monotonicMs();
        return;
      case FrameKind.success:
        this.#finish(null);
        return;
      case FrameKind.failure:
        this.#finish(errorOf(readTexts(received, 'code', 'message')));
        return;
      default:
        throw new PeerError('PEER_PROTOCOL', 'a frame that does not belong in a snapshot');
    }
  }

  #watch(): void {
    const { env, limits } = this.#parts;
    this.#stallTimer = env.setTimer(limits.snapshotStallMs / 4, () => {
      env.afterPoll(() => {
        if (this.#ended) return;
        if (env.monotonicMs() - this.#progressMs >= limits.snapshotStallMs) {
          this.#stream.end(new PeerError('PEER_TIMEOUT', 'the snapshot does not get on'));
          return;
        }
        this.#watch();
      });
    });
  }

  #finish(error: Error | null): void {
    this.#end(error);
    this.#stream.end(new PeerError('PEER_CLOSED', 'the snapshot is done'));
  }

  #end(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#rateTimer?.cancel();
    this.#stallTimer?.cancel();
    const { env, traffic } = this.#parts;
    if (error !== null) traffic.sentFailures++;
    this.#counted(error === null, env.monotonicMs());
    this.#content.close();
    this.#done(error);
  }
}
