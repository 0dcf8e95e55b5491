/**
 * What the host knows about the transport and the core does not.
 */
import type { Raft } from '../raft.ts';
import type { NodeId } from '../types.ts';

/** Messages to `id` are being lost: what was sent optimistically has to be asked for first. */
export function reportUnreachable(raft: Raft, id: NodeId): void {
  const progress = raft.leading ? raft.tracker.progress.get(id) : undefined;
  if (progress?.state === 'replicate') progress.becomeProbe();
}

/**
 * The transfer of a snapshot ended. Either way the leader probes again, but only after the follower was heard:
 * delivered is not yet installed, and a failure is seldom over at once.
 */
export function reportSnapshot(raft: Raft, id: NodeId, outcome: 'delivered' | 'failed'): void {
  const progress = raft.leading ? raft.tracker.progress.get(id) : undefined;
  if (progress?.state !== 'snapshot') return;
  if (outcome === 'failed') progress.pendingSnapshot = 0;
  progress.becomeProbe();
  progress.probeSent = true;
}
