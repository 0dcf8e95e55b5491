/**
 * Why a write was not answered in time, as far as this member can tell (sem-017): a leader was lost meanwhile, or those whom the
 * request needed were out of reach. Clients show these texts to people, who look for the fault where they point.
 */
import type { ErrorCode } from '@quorate/proto';
import { NONE } from '@quorate/raft';
import type { Network } from '../network.ts';

export interface TimeoutView {
  readonly network: Pick<Network, 'connectedSince'>;
  readonly self: bigint;
  /** 0n when unknown. */
  readonly leader: bigint;
  readonly members: readonly { readonly id: bigint }[];
  /** When the newest leader was heard of; -Infinity when there was none. */
  readonly leaderElectedMs: number;
  readonly electionTimeoutMs: number;
}

/** @param startedMs when the request began, on the clock of `connectedSince` */
export function timeoutReason(view: TimeoutView, startedMs: number): ErrorCode {
  const { leaderElectedMs, electionTimeoutMs } = view;
  const afterLoss = startedMs > leaderElectedMs - 2 * electionTimeoutMs && startedMs < leaderElectedMs;
  if (afterLoss) return 'TIMEOUT_DUE_TO_LEADER_FAIL';
  return connectionLost(view, startedMs) ? 'TIMEOUT_DUE_TO_CONNECTION_LOST' : 'REQUEST_TIMED_OUT';
}

/** Without a leader nobody was needed. */
function connectionLost({ network, self, leader, members }: TimeoutView, sinceMs: number): boolean {
  const connected = (id: bigint): boolean => {
    const madeMs = network.connectedSince(id);
    return id === self || (madeMs !== null && madeMs <= sinceMs);
  };
  if (leader !== self) return leader !== NONE && !connected(leader);
  return members.filter(({ id }) => connected(id)).length < Math.floor(members.length / 2) + 1;
}
