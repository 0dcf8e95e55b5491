/**
 * Linearizable reads: rounds of confirmation shared by every read that waits (thesis §6.4).
 *
 *     waiting --ask--> asked (one context) --confirmed(index)--> applying --applied >= index--> done
 *
 * One round is under way at a time; reads that come meanwhile share the next one. A round that stays unanswered is asked
 * again under a new context after 500 ms (sem-035): a context is never used twice, since an answer to the first asking
 * says nothing about what was written before the second.
 *
 * Rounds that stood open over a change of leader fail with LEADER_CHANGED; the client may repeat a read.
 */
import { DomainError } from '../errors.ts';

export type ReadDone = (error: Error | null) => void;

interface Read {
  readonly startedMs: number;
  readonly deadlineMs: number;
  readonly done: ReadDone;
}

/** @returns whether raft took the question; otherwise the reads go on waiting */
export type Ask = (context: bigint) => boolean;

export const READ_RETRY_MS = 500;

export class Reads {
  #waiting: Read[] = [];
  /** The round under way. */
  #asked: { context: bigint; askedMs: number; reads: Read[] } | null = null;
  /** Confirmed, and waiting for the applier; indexes rise. */
  #applying: { index: number; reads: Read[] }[] = [];
  #contexts = 0n;
  #failedTotal = 0;
  #slowRoundsTotal = 0;

  get size(): number {
    let count = this.#waiting.length + (this.#asked?.reads.length ?? 0);
    for (const round of this.#applying) count += round.reads.length;
    return count;
  }

  /** Reads that could not be confirmed: the leader changed, or time ran out. Those that a stop ended are not counted (as etcd). */
  get failedTotal(): number {
    return this.#failedTotal;
  }

  /** Rounds that stayed unanswered for `READ_RETRY_MS`. */
  get slowRoundsTotal(): number {
    return this.#slowRoundsTotal;
  }

  add(startedMs: number, deadlineMs: number, done: ReadDone): void {
    this.#waiting.push({ startedMs, deadlineMs, done });
  }

  /** Starts a round when reads wait and none is under way, or repeats one that is overdue. */
  ask(nowMs: number, ask: Ask): void {
    if (this.#asked !== null && nowMs - this.#asked.askedMs >= READ_RETRY_MS) {
      this.#waiting = [...this.#asked.reads, ...this.#waiting];
      this.#asked = null;
      this.#slowRoundsTotal++;
    }
    if (this.#asked !== null || this.#waiting.length === 0) return;
    const context = ++this.#contexts;
    if (!ask(context)) return;
    this.#asked = { context, askedMs: nowMs, reads: this.#waiting };
    this.#waiting = [];
  }

  /** Raft's answer. Answers to questions that were given up are ignored. */
  confirmed(context: bigint, index: number): void {
    if (this.#asked?.context !== context) return;
    this.#applying.push({ index, reads: this.#asked.reads });
    this.#asked = null;
  }

  /** Raft gave the question up. */
  dropped(context: bigint): void {
    if (this.#asked?.context !== context) return;
    this.#waiting = [...this.#asked.reads, ...this.#waiting];
    this.#asked = null;
  }

  leaderChanged(): void {
    if (this.#asked === null) return;
    const { reads } = this.#asked;
    this.#asked = null;
    this.#failedTotal += reads.length;
    for (const read of reads) read.done(new DomainError('LEADER_CHANGED'));
  }

  applied(index: number): void {
    while (this.#applying.length > 0 && this.#applying[0]!.index <= index) {
      const { reads } = this.#applying.shift()!;
      for (const read of reads) read.done(null);
    }
  }

  expire(nowMs: number, timeoutOf: (startedMs: number) => DomainError): void {
    const late: Read[] = [];
    const keep = (read: Read) => {
      if (read.deadlineMs > nowMs) return true;
      late.push(read);
      return false;
    };
    this.#waiting = this.#waiting.filter(keep);
    if (this.#asked !== null) this.#asked.reads = this.#asked.reads.filter(keep);
    for (const round of this.#applying) round.reads = round.reads.filter(keep);
    this.#failedTotal += late.length;
    for (const read of late) read.done(timeoutOf(read.startedMs));
  }

  failAll(error: Error): void {
    const all = [
      ...this.#applying.flatMap((round) => round.reads),
      ...(this.#asked?.reads ?? []),
      ...this.#waiting,
    ];
    this.#applying = [];
    this.#asked = null;
    this.#waiting = [];
    for (const read of all) read.done(error);
  }
}
