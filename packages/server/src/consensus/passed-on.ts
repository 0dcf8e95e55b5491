/** Proposals of other members, from their arrival until raft gets them: they are part of the next append, like those of this member. */
import type { Message } from '@quorate/raft';

export class PassedOn {
  #messages: Message[] = [];
  #count = 0;
  #bytes = 0;

  /** Proposals. */
  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(message: Message): void {
    this.#messages.push(message);
    this.#count += message.entries.length;
    for (const { data } of message.entries) this.#bytes += data.length;
  }

  /** All of them, oldest first. */
  take(): readonly Message[] {
    const messages = this.#messages;
    if (messages.length === 0) return messages;
    this.#messages = [];
    this.#count = 0;
    this.#bytes = 0;
    return messages;
  }
}
