/**
 * Changes of the configuration that wait to be proposed or applied: one at a time (thesis §4.1), whoever proposed it.
 *
 * What the leader cannot take now is offered again. Applying a change twice is refused, so sending it twice does no harm.
 */
import { decodeConfChange, type RawNode } from '@quorate/raft';
import type { Env } from '../env.ts';
import type { Proposals } from './proposals.ts';

/** A change passed on to the leader that was not applied by then is passed on again: it may have been dropped there. */
const CHANGE_RETRY_MS = 1_000;

interface PendingChange {
  readonly sequence: number;
  /** When it was last handed to the leader; null while nobody has it. */
  sentMs: number | null;
}

export class ConfigChanges {
  readonly #node: Pick<RawNode, 'proposeConfChange'>;
  readonly #proposals: Pick<Proposals, 'dataOf' | 'submitted'>;
  readonly #env: Pick<Env, 'monotonicMs'>;
  /** Oldest first; the first is under way. */
  readonly #waiting: PendingChange[] = [];

  constructor(
    node: Pick<RawNode, 'proposeConfChange'>,
    proposals: Pick<Proposals, 'dataOf' | 'submitted'>,
    env: Pick<Env, 'monotonicMs'>,
  ) {
    this.#node = node;
    this.#proposals = proposals;
    this.#env = env;
  }

  /** @param sequence of the change, which is already among the proposals */
  add(sequence: number): void {
    this.#waiting.push({ sequence, sentMs: null });
  }

  /** Offers the oldest to raft. */
  submit(): void {
    for (let change = this.#waiting[0]; change !== undefined; change = this.#waiting[0]) {
      const data = this.#proposals.dataOf(change.sequence);
      if (data !== null) {
        const nowMs = this.#env.monotonicMs();
        if (change.sentMs !== null && nowMs - change.sentMs < CHANGE_RETRY_MS) return;
        if (!this.#node.proposeConfChange(decodeConfChange(data)).accepted) return;
        change.sentMs = nowMs;
        this.#proposals.submitted(change.sequence);
        return;
      }
      // Applied, or its caller has given up.
      this.#waiting.shift();
    }
  }
}
