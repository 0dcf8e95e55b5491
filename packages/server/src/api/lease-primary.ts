/**
 * What must be true before a lease's time is told or renewed: this member leads, has proved it, and is up to date.
 *
 * A leader that was cut off counts on in good faith while another one counts anew; a renewal that it grants is worth
 * nothing. etcd asks for proof only of a leader that missed its own ticks (sem-093). Here every renewal in a cluster
 * of several rides on a round of read confirmation, which is shared by all reads and renewals of that moment, and
 * which also waits until everything committed is applied (sem-092). A lone member is its own proof.
 */
import { DomainError } from '../errors.ts';
import type { Member } from '../member.ts';

export type LeaseMember = Pick<
  Member,
  'env' | 'limits' | 'lessor' | 'leader' | 'committedIndex' | 'appliedIndex' | 'members' | 'confirmRead'
>;

/** How long a lease call waits for what is committed to be applied (sem-092). */
const APPLY_WAIT_MS = 1_000;
/** Between two looks for a leader (sem-091). */
const RETRY_MS = 50;

/**
 * @param deadlineMs the caller's own; the request timeout applies as well
 * @param abandoned asked before each new try: true ends it without an answer
 * @param done called once unless abandoned: with null in the turn in which this member is the proven primary
 */
export function whenPrimary(
  member: LeaseMember,
  deadlineMs: number,
  abandoned: () => boolean,
  done: (error: Error | null) => void,
): void {
  const { env, limits } = member;
  const lastMs = Math.min(deadlineMs, env.monotonicMs() + limits.requestTimeoutMs);
  const attempt = (): void => {
    if (abandoned()) return;
    if (member.lessor.primary) {
      prove(member, done);
    } else if (env.monotonicMs() + RETRY_MS > lastMs) {
      done(new DomainError(member.leader === 0n ? 'NO_LEADER' : 'REQUEST_TIMED_OUT'));
    } else {
      env.setTimer(RETRY_MS, attempt);
    }
  };
  attempt();
}

function prove(member: LeaseMember, done: (error: Error | null) => void): void {
  const upToDate = member.appliedIndex >= member.committedIndex;
  if (upToDate && member.members().length === 1) {
    done(null);
    return;
  }
  member.confirmRead(member.env.monotonicMs() + APPLY_WAIT_MS, (error) => {
    if (error === null && member.lessor.primary) done(null);
    else if (error instanceof DomainError && error.code === 'SERVER_STOPPED') done(error);
    else if (member.lessor.primary && member.appliedIndex < member.committedIndex) {
      done(new DomainError('TIMEOUT_WAIT_APPLIED_INDEX'));
    } else done(new DomainError('NOT_PRIMARY_LESSOR'));
  });
}
