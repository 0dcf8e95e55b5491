/** What a member's network is made from, and every bound of it in one place, each with its reason. */
import type { ConnectionOptions as TlsConnectionOptions, TlsOptions } from 'node:tls';
import type { EndpointUrl } from '../config/urls.ts';
import type { Env } from '../env.ts';
import type { MemberInfo } from '../member.ts';

/** The cluster as one of its members knows it: applied state, not confirmed with the others. */
export interface ClusterView {
  readonly clusterId: bigint;
  /** The member that was asked; 0 when it has no identity yet. */
  readonly memberId: bigint;
  readonly serverVersion: string;
  /** Null until the members agreed on one. */
  readonly clusterVersion: string | null;
  readonly members: readonly MemberInfo[];
}

export interface PeerNetworkOptions {
  readonly env: Env;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Of this server, as etcd counts: `MAJOR.MINOR.PATCH`. */
  readonly serverVersion: string;
  /** Where peers connect. May be empty: then this member only reaches out. */
  readonly listenUrls: readonly EndpointUrl[];
  readonly electionMs: number;
  /** Longest request of a client: an entry of the log is about as long. */
  readonly maxRequestBytes?: number;
  readonly isRemoved: (id: bigint) => boolean;
  /** Answers those who ask for the cluster before they are members, and `/members`. */
  readonly describe: () => Pick<ClusterView, 'clusterVersion' | 'members'>;
  /** `by` says that this member was removed from the cluster. At most once. */
  readonly onRemoved?: (by: bigint) => void;
  /** Presented to peers with an `https` URL. */
  readonly dialTls?: TlsConnectionOptions;
  /** Of the listener, for `https` URLs. */
  readonly tls?: TlsOptions;
  /** Snapshots to one peer, bytes of content a second. */
  readonly snapshotBytesPerSec?: number;
  readonly limits?: Partial<PeerLimits>;
}

export interface PeerLimits {
  /** Longest gRPC message between members, and so longest Raft message, call and chunk. Above the largest entry. */
  readonly maxMessageBytes: number;
  /** Votes and heartbeats that wait for one peer. */
  readonly controlQueueBytes: number;
  /** Parts of the log that wait for one peer. */
  readonly logQueueBytes: number;
  /** About how much goes into one gRPC message. */
  readonly batchBytes: number;
  /** Handed to the connection and not yet taken by the socket. */
  readonly inFlightBytes: number;
  /** Callers of this cluster that are no members as far as is applied here. */
  readonly maxRemotes: number;
  /** Calls under way to one peer. */
  readonly maxCalls: number;
  /** Content of a snapshot that is on its way and not yet taken by the receiver. */
  readonly snapshotWindowBytes: number;
  /** From dialling to being let in. */
  readonly handshakeMs: number;
  readonly pingIntervalMs: number;
  /** Without a sign of life a connection counts as dead. */
  readonly silenceMs: number;
  /** First retry comes within this, */
  readonly reconnectMs: number;
  /** and no retry later than this. */
  readonly maxReconnectMs: number;
  /** A snapshot that moves nothing for so long has failed. */
  readonly snapshotStallMs: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

export function peerLimits(
  electionMs: number,
  given: Partial<PeerLimits> = {},
  maxRequestBytes = 0,
): PeerLimits {
  // Raft packs 1 MiB, or one entry of whatever length: ten times etcd's default for a request, or what is allowed here.
  const maxMessageBytes = given.maxMessageBytes ?? Math.max(16 * MiB, maxRequestBytes + 4 * MiB);
  const silenceMs = given.silenceMs ?? Math.max(1_000, 2 * electionMs);
  return {
    controlQueueBytes: 1 * MiB,
    // Raft keeps at most 16 MiB under way to a follower that has not answered; retries may repeat some.
    logQueueBytes: 2 * maxMessageBytes,
    batchBytes: 1 * MiB,
    inFlightBytes: 4 * MiB,
    // Members that were added while this one was down: more than any cluster has.
    maxRemotes: 16,
    maxCalls: 1_024,
    snapshotWindowBytes: 4 * MiB,
    // As long as etcd dials (sem-011).
    handshakeMs: 1_000 + electionMs,
    pingIntervalMs: silenceMs / 4,
    reconnectMs: 50,
    // A peer that is back must be heard before an election is due.
    maxReconnectMs: Math.min(2_000, Math.max(100, electionMs)),
    snapshotStallMs: 30_000,
    ...given,
    maxMessageBytes,
    silenceMs,
  };
}
