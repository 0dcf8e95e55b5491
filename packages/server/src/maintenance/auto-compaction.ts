/**
 * Automatic compaction: the history that nobody asked to keep goes by itself.
 *
 *   periodic   The revision is noted ten times in each period (at most six minutes apart). When a whole period has passed, and
 *              then once every period (at most an hour apart), everything before the revision of one period ago is compacted
 *              (sem-078).
 *   revision   Every five minutes all but the newest N revisions are compacted (sem-079).
 *
 *     period 1h   |0:00  0:06  ... 0:54  1:00  1:06 ...  1:54  2:00
 *     noted       |r0    r1        r9    r10   r11       r19   r20
 *     compacted   |                      r0                    r9    (an hour before the newest note, 1:54)
 *
 * Every member takes notes; only the leader compacts (sem-080), so that a new leader can go on at once. A compaction that
 * fails is tried again at the next note. Nothing is done when there is nothing new to compact.
 */
import type { CompactionPolicy } from '../config/compaction.ts';
import type { Timer } from '../env.ts';
import { DomainError } from '../errors.ts';
import type { Member } from '../member.ts';

export type CompactionMember = Pick<Member, 'env' | 'store' | 'leader' | 'memberId' | 'ended' | 'propose'>;

export interface AutoCompaction {
  stop(): void;
}

const HOUR_MS = 3_600_000;
const NOTES_PER_INTERVAL = 10;
const REVISION_INTERVAL_MS = 5 * 60_000;

export function startAutoCompaction(
  member: CompactionMember,
  policy: CompactionPolicy | null,
): AutoCompaction {
  if (policy === null) return { stop() {} };
  const plan =
    policy.mode === 'periodic' ? new Periodic(member, policy.periodMs) : new ByRevision(member, policy);
  let timer: Timer | null = null;
  const wait = (): void => {
    timer = member.env.setTimer(plan.intervalMs, () => {
      if (member.ended) return;
      plan.tick();
      wait();
    });
  };
  wait();
  return { stop: () => timer?.cancel() };
}

interface Plan {
  readonly intervalMs: number;
  tick(): void;
}

class Periodic implements Plan {
  readonly intervalMs: number;
  readonly #member: CompactionMember;
  readonly #periodMs: number;
  readonly #kept: number;
  /** Oldest first; the oldest is the one of a period ago once there are enough. */
  readonly #notes: number[] = [];
  #compacted = 0;
  /** Since when the next compaction has been waited for. */
  #sinceMs: number;
  #waitMs: number;
  #busy = false;

  constructor(member: CompactionMember, periodMs: number) {
    this.#member = member;
    this.#periodMs = periodMs;
    this.intervalMs = Math.min(periodMs, HOUR_MS) / NOTES_PER_INTERVAL;
    this.#kept = Math.floor(periodMs / this.intervalMs) + 1;
    this.#sinceMs = member.env.monotonicMs();
    this.#waitMs = periodMs;
    this.#note();
  }

  tick(): void {
    const { env } = this.#member;
    // Timers may be early by a fraction of a millisecond; a whole interval would be lost to it.
    const due = env.monotonicMs() - this.#sinceMs >= this.#waitMs - 1;
    const [revision] = this.#notes as [number, ...number[]];
    if (leads(this.#member) && due && !this.#busy && revision !== this.#compacted) {
      this.#waitMs = Math.min(this.#periodMs, HOUR_MS);
      this.#busy = true;
      compact(this.#member, revision, (done) => {
        this.#busy = false;
        if (!done) return;
        this.#compacted = revision;
        this.#sinceMs = env.monotonicMs();
      });
    }
    this.#note();
  }

  #note(): void {
    this.#notes.push(this.#member.store.revision);
    if (this.#notes.length > this.#kept) this.#notes.shift();
  }
}

class ByRevision implements Plan {
  readonly intervalMs = REVISION_INTERVAL_MS;
  readonly #member: CompactionMember;
  readonly #retained: number;
  #compacted = 0;
  #busy = false;

  constructor(member: CompactionMember, { retainedRevisions }: { readonly retainedRevisions: number }) {
    this.#member = member;
    this.#retained = retainedRevisions;
  }

  tick(): void {
    const revision = this.#member.store.revision - this.#retained;
    if (!leads(this.#member) || this.#busy || revision <= 0 || revision === this.#compacted) return;
    this.#busy = true;
    compact(this.#member, revision, (done) => {
      this.#busy = false;
      if (done) this.#compacted = revision;
    });
  }
}

function leads({ leader, memberId }: CompactionMember): boolean {
  return leader === memberId;
}

/** @param done with true when everything before `revision` is compacted, by whomever */
function compact(member: CompactionMember, revision: number, done: (compacted: boolean) => void): void {
  const { log } = member.env;
  const operation = { kind: 'compact', revision, physical: false } as const;
  member.propose(operation, 0, Number.POSITIVE_INFINITY, (error) => {
    const already = error !== null && 'code' in error && error.code === 'COMPACTED';
    if (error === null) log.log('info', 'compacted automatically', { revision });
    else if (!already && !(error instanceof DomainError && error.code === 'SERVER_STOPPED')) {
      log.log('warn', 'automatic compaction failed; it is tried again', { revision, error });
    }
    done(error === null || already);
  });
}
