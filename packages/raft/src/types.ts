/**
 * The vocabulary of the log: entries, votes, configurations, snapshots.
 *
 * Everything here is plain data. Terms and indexes are safe integers (2^53 entries outlive any
 * cluster); node ids are 64-bit and therefore `bigint`. Read next: `message.ts`, `ready.ts`.
 */

/**
 * Identity of a node, unsigned 64 bits. `NONE` (0n) means "no node" and is never a valid id.
 * Thesis §2.1 calls it a server. An id is never used twice.
 */
export type NodeId = bigint;
/** No node: a vote not given, a leader not known (thesis figure 3.1: `votedFor` is null). */
export const NONE: NodeId = 0n;

/**
 * What an entry carries. `normal` entries with empty data are the no-op a new leader appends (thesis §6.4).
 * `confChange` entries also come from the core itself, with an empty `context`: the first entry of a log states the
 * configuration the cluster was bootstrapped with, and a leader leaves joint configurations (thesis §4.3).
 */
export const EntryType = { normal: 0, confChange: 1 } as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

/**
 * One slot of the replicated log. Immutable: `data` must not be changed by anyone after `propose`.
 * Thesis §3.5.
 */
export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly type: EntryType;
  readonly data: Uint8Array;
}

/** What a node must never forget (thesis §3.8, figure 3.1 "persistent state"). `commit` is a hint that saves work at restart. */
export interface HardState {
  readonly term: number;
  readonly vote: NodeId;
  readonly commit: number;
}

/** Membership as the log defines it. Both outgoing and incoming sets are filled while a joint change is under way (thesis §4.3). */
export interface ConfState {
  readonly voters: readonly NodeId[];
  readonly votersOutgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Voters of the outgoing configuration that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
  /** The leader leaves the joint configuration by itself once it is committed. */
  readonly autoLeave: boolean;
}

/** What a snapshot says about its place in the log (thesis §5). */
export interface SnapshotMeta {
  /** Last log index the snapshot replaces. */
  readonly index: number;
  readonly term: number;
  readonly conf: ConfState;
}

/**
 * A state-machine image with its place in the log. `data` is opaque to raft; hosts usually put a reference there.
 * Thesis §5.
 */
export interface Snapshot {
  readonly meta: SnapshotMeta;
  readonly data: Uint8Array;
}

/** Thesis §3.3, with the pre-candidate of §9.6. */
export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader';
