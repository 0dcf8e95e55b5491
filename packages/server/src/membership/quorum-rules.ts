/**
 * Whether a change of members would leave the cluster unable to decide: etcd's strict reconfiguration check.
 *
 * Two questions. Of the members *started* (those that have published a name): would enough of them remain for a
 * quorum? And of those this member has been *connected* to for a while: the same. A change that fails is refused before it is
 * proposed; once proposed, a change that loses the quorum could not even be taken back.
 *
 *     three members, one never started     adding a fourth needs 3 of 4 started: refused
 *     three members, one down              removing the dead one: allowed, it is no part of the quorum in use
 *                                          removing a living one leaves 1 of 2: refused
 */
import type { ErrorCode } from '@quorate/proto';
import type { MemberInfo } from '../member.ts';

/** For this long a connection must have stood to count (sem-164). */
export const HEALTH_INTERVAL_MS = 5_000;

/** What the rules look at. */
export interface QuorumView {
  readonly members: readonly MemberInfo[];
  /** This member: always in contact with itself. */
  readonly self: bigint;
  /** Whether the connection to `id` has stood for the health interval. */
  readonly connectedLong: (id: bigint) => boolean;
  readonly connected: (id: bigint) => boolean;
}

export interface Refusal {
  readonly code: ErrorCode;
  /** For people: which quorum would be lost. */
  readonly reason: string;
}

const quorumOf = (votersCount: number): number => Math.floor(votersCount / 2) + 1;
const isStarted = (member: MemberInfo): boolean => member.name !== '';
const votersOf = (view: QuorumView): readonly MemberInfo[] =>
  view.members.filter(({ isLearner }) => !isLearner);

/** sem-163, sem-164. */
export function refuseAdd(view: QuorumView, isLearner: boolean): Refusal | null {
  const voters = votersOf(view);
  if (!isLearner) {
    const refusal = refuseEnlarged(voters, 0);
    if (refusal !== null) return refusal;
  }
  if (voters.length <= 1) return null;
  const wanted = quorumOf(voters.length + 1);
  const connected = countConnected(view, voters);
  if (connected >= wanted) return null;
  return {
    code: 'UNHEALTHY_CLUSTER',
    reason: `${connected} of ${voters.length} voters are in contact; with one more, ${wanted} are needed to decide`,
  };
}

/** sem-167: a learner that is promoted counts as started. */
export function refusePromote(view: QuorumView): Refusal | null {
  return refuseEnlarged(votersOf(view), 1);
}

/** sem-165. */
export function refuseRemove(view: QuorumView, id: bigint): Refusal | null {
  const voters = votersOf(view);
  // Learners and unknown members decide nothing.
  if (!voters.some((member) => member.id === id)) return null;
  const rest = voters.filter((member) => member.id !== id);
  const started = rest.filter(isStarted).length;
  const wanted = quorumOf(rest.length);
  if (rest.length === 0 || started < wanted) {
    return {
      code: 'MEMBER_NOT_ENOUGH_STARTED',
      reason:
        rest.length === 0
          ? 'the only voter cannot be removed'
          : `${started} of the ${rest.length} voters that remain have started; ${wanted} are needed to decide`,
    };
  }
  // One that is down is no part of the quorum in use.
  if (id !== view.self && !view.connected(id)) return null;
  // It is taken for one of those in contact, even when its connection is young: etcd's rule.
  const connected = countConnected(view, voters);
  if (connected - 1 >= wanted) return null;
  return {
    code: 'UNHEALTHY_CLUSTER',
    reason:
      `${connected} of ${voters.length} voters have been in contact for ${HEALTH_INTERVAL_MS / 1000} s; ` +
      `${wanted + 1} must be, so that a quorum of ${wanted} is left`,
  };
}

/** @param startedCount of the new voter: 1 when it runs already */
function refuseEnlarged(voters: readonly MemberInfo[], startedCount: number): Refusal | null {
  const before = voters.filter(isStarted).length;
  // A second member for a cluster of one: it cannot be started before it is added.
  if (before === 1 && voters.length === 1) return null;
  const started = before + startedCount;
  const wanted = quorumOf(voters.length + 1);
  if (started >= wanted) return null;
  return {
    code: 'MEMBER_NOT_ENOUGH_STARTED',
    reason: `${started} of ${voters.length + 1} voters would have started; ${wanted} are needed to decide`,
  };
}

function countConnected(view: QuorumView, voters: readonly MemberInfo[]): number {
  return voters.filter(({ id }) => id === view.self || view.connectedLong(id)).length;
}
