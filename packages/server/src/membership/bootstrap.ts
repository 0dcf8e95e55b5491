/**
 * The first entries of a cluster: one configuration change for each member it starts with, in order of id, in term 1.
 *
 * Every member writes the same ones into its own empty log and counts them as committed, so that membership follows
 * from the log alone from the very first index.
 */
import { type Entry, EntryType, encodeConfChange, type HardState, NONE } from '@quorate/raft';
import { encodeBootstrap } from './change.ts';
import { clusterIdOf, memberIdOf } from './ids.ts';

export interface InitialMember {
  readonly name: string;
  readonly peerUrls: readonly string[];
}

export interface InitialCluster {
  readonly clusterId: bigint;
  /** Of the member that is starting. */
  readonly memberId: bigint;
  readonly members: readonly (InitialMember & { readonly id: bigint })[];
}

export const BOOTSTRAP_TERM = 1;

/** The configuration contradicts itself; the text is for people. */
export class BootstrapError extends Error {
  override readonly name = 'BootstrapError';
  readonly code = 'BOOTSTRAP';
}

/**
 * Identities of the cluster and its first members.
 * @param name of the member that is starting: which of the members it is
 * @throws BootstrapError
 */
export function initialCluster(
  name: string,
  initialMembers: readonly InitialMember[],
  token: string,
): InitialCluster {
  const members = initialMembers
    .map((member) => ({ ...member, id: memberIdOf(member.peerUrls, token, null) }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const ids = members.map((member) => member.id);
  if (new Set(ids).size !== ids.length)
    throw new BootstrapError('two initial members have the same peer URLs');
  const own = members.filter((member) => member.name === name);
  if (own.length !== 1) {
    throw new BootstrapError(
      `the initial cluster must name "${name}" exactly once; it does so ${own.length} times`,
    );
  }
  return { clusterId: clusterIdOf(ids), memberId: own[0]!.id, members };
}

export function bootstrapEntries(cluster: InitialCluster): { entries: Entry[]; hardState: HardState } {
  const entries = cluster.members.map(
    ({ id, peerUrls }, position): Entry => ({
      index: position + 1,
      term: BOOTSTRAP_TERM,
      type: EntryType.confChange,
      data: encodeConfChange(encodeBootstrap(id, peerUrls)),
    }),
  );
  return { entries, hardState: { term: BOOTSTRAP_TERM, vote: NONE, commit: entries.length } };
}
