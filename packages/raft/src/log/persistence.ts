/**
 * What is on its way to the disk, in order.
 *
 * Each `Ready` with something to persist leaves a ticket. When the disk reports a sequence, the tickets up to it are
 * redeemed: entries become durable, and a candidate's vote for itself starts to count.
 *
 * Between hand-out and report a new leader may replace the entries (the "ABA" of asynchronous writes):
 *
 *     sequence 7 writes entries 4..6 of term 2      ticket 7: durable to 6
 *     a leader of term 3 replaces from 5 on         ticket 7: durable to 4, for that is all it still proves
 *     sequence 8 writes entries 5..5 of term 3      ticket 8: durable to 5
 *     the disk reports 7: persisted = 4             a naive "6" would count entries that are not there
 */
import { assert } from '../errors.ts';
import type { Snapshot } from '../types.ts';

export interface Ticket {
  readonly sequence: number;
  /** Highest index of the present log that is durable once this step is; 0 when it says nothing about entries. */
  durableTo: number;
  readonly snapshot: Snapshot | null;
  /** Term that this step makes durable; 0 when the step says nothing about terms. */
  readonly term: number;
  /** Term in which this step makes the node's vote for itself durable; 0 for none. */
  readonly ownVoteTerm: number;
}

export class Persistence {
  #tickets: Ticket[] = [];
  #sequence = 0;
  #reported = 0;

  /** Sequence of the newest `Ready`. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Numbers a new `Ready`; a step that has nothing to redeem leaves no ticket. */
  issue(step: Omit<Ticket, 'sequence'>): number {
    this.#sequence += 1;
    if (step.durableTo > 0 || step.snapshot !== null || step.term > 0) {
      this.#tickets.push({ sequence: this.#sequence, ...step });
    }
    return this.#sequence;
  }

  /** Entries after `index` were replaced: no ticket speaks for more than what stayed. */
  voidAfter(index: number): void {
    for (const ticket of this.#tickets) ticket.durableTo = Math.min(ticket.durableTo, index);
  }

  /** Takes the tickets that the report of `sequence` redeems. */
  redeem(sequence: number): readonly Ticket[] {
    assert(
      Number.isSafeInteger(sequence) && sequence >= 1 && sequence <= this.#sequence,
      'persisted: the sequence was handed out',
      sequence,
      this.#sequence,
    );
    if (sequence <= this.#reported) return [];
    this.#reported = sequence;
    let count = 0;
    while (count < this.#tickets.length && this.#tickets[count]!.sequence <= sequence) count += 1;
    return this.#tickets.splice(0, count);
  }
}
