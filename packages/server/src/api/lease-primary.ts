/**
 * What must be true before a lease's time is told or renewed: this member leads, has proved it, and is up to date.
 *
 * A leader that was cut off counts on in good faith while another one counts anew; a renewal that it grants is worth
 * nothing. etcd asks for proof only of a leader that missed its own ticks (sem-093). Here every renewal in a cluster
 * of several rides on a round of read confirmation, which is shared by all reads and renewals of that moment, and
 * which also waits until everything committed is applied (sem-092). A lone member is its own proof.
 *
 * Next: `lease-leader.ts`, which asks the leader where this member is none.
 */
import { DomainError } from '../errors.ts';
import type { Member } from '../member.ts';

export type PrimaryMember = Pick<
  Member,
  'env' | 'lessor' | 'committedIndex' | 'appliedIndex' | 'members' | 'confirmRead'
>;

/** How long a lease call waits for what is committed to be applied (sem-092). */
const APPLY_WAIT_MS = 1_000;

/** @param done called once: with null in the turn in which this member is the proven primary */
export function provePrimary(member: PrimaryMember, done: (error: Error | null) => void): void {
  if (!member.lessor.primary) {
    done(new DomainError('NOT_PRIMARY_LESSOR'));
    return;
  }
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
