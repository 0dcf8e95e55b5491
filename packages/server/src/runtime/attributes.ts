/**
 * Tells the cluster this member's name and client URLs, and again until the list of members has them.
 *
 * A learner's proposals travel like a voter's.
 */
import type { MemberConfig } from '../member-config.ts';
import type { Members } from '../membership/members.ts';
import type { Operation } from '../operations.ts';

export interface AttributesParts {
  readonly members: Members;
  readonly memberId: bigint;
  readonly config: Pick<MemberConfig, 'name' | 'clientUrls'>;
  /** There is a leader to hear it, and this member takes part. */
  readonly mayPublish: () => boolean;
  readonly submit: (operation: Operation, deadlineMs: number, done: (error: Error | null) => void) => void;
}

export class Attributes {
  readonly #parts: AttributesParts;
  #publishing = false;

  constructor(parts: AttributesParts) {
    this.#parts = parts;
  }

  maybePublish(): void {
    const { members, memberId, config, mayPublish, submit } = this.#parts;
    if (this.#publishing || !mayPublish()) return;
    const own = members.get(memberId);
    const { name, clientUrls } = config;
    if (own === null || (own.name === name && own.clientUrls.join() === clientUrls.join())) return;
    this.#publishing = true;
    const operation = { kind: 'member-attributes', memberId, name, clientUrls } as const;
    submit(operation, Number.POSITIVE_INFINITY, (error) => {
      this.#publishing = false;
      // What failed is tried again with the next tick.
      if (error === null) this.maybePublish();
    });
  }
}
