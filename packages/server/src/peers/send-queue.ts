/**
 * Messages that wait for one connection: in order, and never more than so many bytes.
 *
 * What does not fit is dropped, which Raft copes with. When votes do not fit, heartbeats make room, oldest first: a newer one
 * says all that an older one did.
 */
import type { MessageKind } from '../network.ts';
import { FRAME_HEADER_BYTES, type Frame, FrameKind } from './frames.ts';

interface Waiting {
  readonly kind: MessageKind;
  readonly message: Uint8Array;
}

export class SendQueue {
  readonly #maxBytes: number;
  #waiting: Waiting[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** @returns how many messages were dropped, this one or older ones */
  push(kind: MessageKind, message: Uint8Array): number {
    let dropped = 0;
    if (kind !== 'append') {
      for (let at = 0; at < this.#waiting.length && this.#bytes + cost(message) > this.#maxBytes; ) {
        const older = this.#waiting[at]!;
        if (older.kind !== 'heartbeat') {
          at++;
          continue;
        }
        this.#waiting.splice(at, 1);
        this.#bytes -= cost(older.message);
        dropped++;
      }
    }
    if (this.#bytes + cost(message) > this.#maxBytes) return dropped + 1;
    this.#waiting.push({ kind, message });
    this.#bytes += cost(message);
    return dropped;
  }

  /** The oldest messages, as many as fit into `maxBytes` but at least one. */
  take(maxBytes: number): Frame[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#waiting.length) {
      const next = cost(this.#waiting[count]!.message);
      if (count > 0 && bytes + next > maxBytes) break;
      bytes += next;
      count++;
    }
    const taken = count === this.#waiting.length ? this.#waiting : this.#waiting.slice(0, count);
    this.#waiting = count === this.#waiting.length ? [] : this.#waiting.slice(count);
    this.#bytes -= bytes;
    return taken.map(({ message }) => ({ kind: FrameKind.message, bytes: message }));
  }

  /** @returns how many messages there were */
  clear(): number {
    const count = this.#waiting.length;
    this.#waiting = [];
    this.#bytes = 0;
    return count;
  }
}

function cost(message: Uint8Array): number {
  return FRAME_HEADER_BYTES + message.length;
}
