/**
 * Reads this node passed on to its leader and that are not answered yet.
 *
 * On the wire a read is named by an id of our own: 32 random bits drawn at start, then a counter. An answer to a
 * read of an earlier life of this node, or to one given up, finds no match and is ignored; were the host's context
 * used instead, such an answer could serve a newer read at an index that is too old.
 */
import type { ResolvedConfig } from '../config.ts';

export class ForwardedReads {
  readonly #maxPending: number;
  readonly #overdueTicks: number;
  readonly #prefix: bigint;
  #counter = 0n;
  #tick = 0;
  #waiting = new Map<bigint, { context: bigint; since: number }>();
  #dropped: bigint[] = [];

  /** @param life 32 random bits that name this life of the node */
  constructor(config: Pick<ResolvedConfig, 'maxPendingReads' | 'electionTicks'>, life: bigint) {
    this.#maxPending = config.maxPendingReads;
    this.#overdueTicks = config.electionTicks;
    this.#prefix = life << 32n;
  }

  get count(): number {
    return this.#waiting.size;
  }

  get full(): boolean {
    return this.#waiting.size >= this.#maxPending;
  }

  /** Returns the wire id under which to ask. */
  add(context: bigint): bigint {
    this.#counter = (this.#counter + 1n) & 0xffff_ffffn;
    const wireId = this.#prefix | this.#counter;
    this.#waiting.set(wireId, { context, since: this.#tick });
    return wireId;
  }

  /** The host's context of an answered read; undefined when nobody waits for it. */
  take(wireId: bigint): bigint | undefined {
    const read = this.#waiting.get(wireId);
    this.#waiting.delete(wireId);
    return read?.context;
  }

  /** Gives up what waits longer than an election timeout: the question or its answer was lost. */
  tick(): void {
    this.#tick += 1;
    for (const [wireId, read] of this.#waiting) {
      if (read.since + this.#overdueTicks > this.#tick) break;
      this.#waiting.delete(wireId);
      this.#dropped.push(read.context);
    }
  }

  /** The leader these were sent to is no longer the leader. */
  dropAll(): void {
    for (const { context } of this.#waiting.values()) this.#dropped.push(context);
    this.#waiting.clear();
  }

  /** Adds a read lost elsewhere to those reported to the host. */
  noteDropped(contexts: readonly bigint[]): void {
    this.#dropped.push(...contexts);
  }

  get hasDropped(): boolean {
    return this.#dropped.length > 0;
  }

  takeDropped(): readonly bigint[] {
    const dropped = this.#dropped;
    this.#dropped = [];
    return dropped;
  }
}
