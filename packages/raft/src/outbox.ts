/**
 * Messages waiting for the next `Ready`, in the two groups of its contract.
 *
 * A promise (a vote, an acknowledgement) leaves only after what it promises is durable. So does the request for a
 * vote: a candidate that asked, crashed and forgot the term could ask again in the same term with a shorter log, and
 * the answers to the first request would elect the second.
 */
import type { Message } from './message.ts';

export class Outbox {
  #now: Message[] = [];
  #afterPersist: Message[] = [];

  get empty(): boolean {
    return this.#now.length === 0 && this.#afterPersist.length === 0;
  }

  /** May leave at once. */
  send(message: Message): void {
    this.#now.push(message);
  }

  /** Leaves once everything decided so far is durable. */
  sendAfterPersist(message: Message): void {
    this.#afterPersist.push(message);
  }

  take(): { messages: readonly Message[]; messagesAfterPersist: readonly Message[] } {
    const taken = { messages: this.#now, messagesAfterPersist: this.#afterPersist };
    this.#now = [];
    this.#afterPersist = [];
    return taken;
  }
}
