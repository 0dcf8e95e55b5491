/**
 * A directed link: what all bytes from one process to another pass through, whoever opened the connection.
 *
 * Bytes of a connection are never dropped (the stream would be garbage): a cut link *holds* them, as TCP does when packets
 * are lost, and lets them go in order when it heals. `reset` breaks the connections instead. New connections over a cut
 * link are accepted and stay silent, as behind a firewall that drops.
 */
import type { Socket } from 'node:net';

export interface LinkQuality {
  /** Nothing passes until it is false again. */
  readonly held: boolean;
  /** Added to each chunk; order is kept. */
  readonly delayMs: number;
  /** Each chunk is late by up to so much more. */
  readonly jitterMs: number;
  readonly bytesPerSec: number;
}

export const CLEAR: LinkQuality = {
  held: false,
  delayMs: 0,
  jitterMs: 0,
  bytesPerSec: Number.POSITIVE_INFINITY,
};

/** Of one connection and direction: reading stops beyond it, so that the sender feels the link. */
const MAX_QUEUED_BYTES = 1 << 20;

export class Link {
  readonly from: string;
  readonly to: string;
  readonly #pumps = new Set<Pump>();
  #quality = CLEAR;
  /** Bytes that passed, and bytes that had to wait because the link was cut: shows that a fault was felt. */
  passedBytes = 0;
  heldBytes = 0;

  constructor(from: string, to: string) {
    this.from = from;
    this.to = to;
  }

  get quality(): LinkQuality {
    return this.#quality;
  }

  /** Changes what is named; the rest becomes clear. */
  set(quality: Partial<LinkQuality>): void {
    this.#quality = { ...CLEAR, ...quality };
    for (const pump of this.#pumps) pump.drain();
  }

  /** Breaks every connection that sends over this link. */
  reset(): void {
    for (const pump of [...this.#pumps]) pump.reset();
  }

  /** Carries what `source` gives to `sink`, until one of them is closed. */
  carry(source: Socket, sink: Socket): void {
    const pump = new Pump(this, source, sink, () => this.#pumps.delete(pump));
    this.#pumps.add(pump);
  }
}

class Pump {
  readonly #link: Link;
  readonly #source: Socket;
  readonly #sink: Socket;
  #queue: { chunk: Buffer | null; dueMs: number }[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #freeAtMs = 0;
  /** Over a cut link even the end of a connection is no news; the sink hears of it when the link heals. */
  #sourceGone = false;

  constructor(link: Link, source: Socket, sink: Socket, closed: () => void) {
    this.#link = link;
    this.#source = source;
    this.#sink = sink;
    source.on('data', (chunk) => this.#take(chunk));
    source.on('end', () => this.#take(null));
    sink.on('drain', () => this.drain());
    source.once('close', () => {
      this.#sourceGone = true;
      this.drain();
    });
    sink.once('close', () => {
      if (this.#timer !== null) clearTimeout(this.#timer);
      closed();
    });
  }

  reset(): void {
    this.#source.resetAndDestroy();
    this.#sink.resetAndDestroy();
  }

  #take(chunk: Buffer | null): void {
    const { delayMs, jitterMs, bytesPerSec, held } = this.#link.quality;
    const now = performance.now();
    const length = chunk?.length ?? 0;
    if (held) this.#link.heldBytes += length;
    this.#freeAtMs = Math.max(this.#freeAtMs, now) + (length / bytesPerSec) * 1000;
    const dueMs = this.#freeAtMs + delayMs + Math.random() * jitterMs;
    this.#queue.push({ chunk, dueMs });
    this.#queuedBytes += length;
    if (this.#queuedBytes > MAX_QUEUED_BYTES) this.#source.pause();
    this.drain();
  }

  /** Passes on what is due. */
  drain(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (this.#queue.length > 0) {
      if (this.#link.quality.held || this.#sink.destroyed) return;
      if (this.#sink.writableNeedDrain && !this.#sourceGone) return;
      const [{ chunk, dueMs }] = this.#queue as [{ chunk: Buffer | null; dueMs: number }];
      const now = performance.now();
      if (dueMs > now) {
        this.#timer = setTimeout(() => this.drain(), dueMs - now);
        return;
      }
      this.#queue.shift();
      if (chunk === null) {
        this.#sink.end();
        continue;
      }
      this.#queuedBytes -= chunk.length;
      this.#link.passedBytes += chunk.length;
      this.#sink.write(chunk);
    }
    if (this.#sourceGone && !this.#link.quality.held) this.#sink.destroySoon();
    else if (this.#source.isPaused()) this.#source.resume();
  }
}
