/**
 * A fault as data: a name, what it does, and how it knows that it struck. The list is `faults.ts`.
 *
 * A fault brings trouble, waits, and takes it back, all by itself; afterwards the run waits until the cluster serves. It
 * answers whether the trouble was *seen* to happen: a process in state T, bytes that had to wait, system calls that
 * strace delayed. A fault that did not strike proves nothing, and the run says so.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryRecorder } from '../checkers/recorder.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ClusterMember } from '../cluster/member.ts';
import type { Random } from '../sim/random.ts';

export interface FaultContext {
  readonly cluster: Cluster;
  readonly random: Random;
  readonly recorder: HistoryRecorder;
  /** Revisions up to here have been seen by every watcher that keeps the story: compaction may go so far. */
  storySeen(): number;
  /** A member came or went: watchers follow. */
  memberAdded(member: ClusterMember): void;
  memberRemoved(member: ClusterMember): void;
}

export interface FaultResult {
  /** Whether the trouble was seen to happen. */
  readonly fired: boolean;
  readonly detail: string;
}

export interface Fault {
  readonly name: string;
  /** Why it cannot be done to this cluster or on this machine; null: it can. */
  unable?(cluster: Cluster): string | null;
  strike(context: FaultContext): Promise<FaultResult>;
}

/** SIGKILL; whoever is dead within 100 ms was hit. */
export async function kill(context: FaultContext, ...members: readonly ClusterMember[]): Promise<boolean> {
  const pids = members.map((member) => member.pid);
  await Promise.all(members.map((member) => member.end('SIGKILL')));
  context.recorder.fault('kill', members.map((member) => member.name).join(' '));
  return pids.every((pid) => pid > 0) && members.every((member) => !member.isRunning);
}

export function isStopped(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  } catch {
    return false;
  }
}

/** Bytes that had to wait so far, over all links. */
export function heldBytes(cluster: Cluster): number {
  return cluster.mesh.links().reduce((sum, link) => sum + link.heldBytes, 0);
}

export async function leaderOrAny({ cluster, random }: FaultContext): Promise<ClusterMember> {
  return (await cluster.leader()) ?? random.pick(cluster.running());
}

export async function aFollower(
  { cluster, random }: FaultContext,
  suits: (member: ClusterMember) => boolean = () => true,
): Promise<ClusterMember> {
  const leader = await cluster.leader();
  return random.pick(cluster.running().filter((member) => member !== leader && suits(member)));
}

export function dwell(random: Random, fewestMs: number, mostMs: number): Promise<void> {
  return sleep(random.between(fewestMs, mostMs));
}
