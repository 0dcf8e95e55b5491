/** Identities of members and clusters, computed as etcd does, so that a cluster configured alike is named alike (sem-160). */
import { createHash } from 'node:crypto';

/**
 * @param peerUrls in any order
 * @param addedAtSec wall-clock seconds for a member added to a running cluster; null for those it started with
 */
export function memberIdOf(
  peerUrls: readonly string[],
  clusterToken: string,
  addedAtSec: number | null,
): bigint {
  const text = peerUrls.toSorted(compareBytes).join('') + clusterToken + (addedAtSec ?? '');
  return firstEightBytes(createHash('sha1').update(text, 'utf8').digest());
}

/** @param memberIds of the members the cluster started with */
export function clusterIdOf(memberIds: readonly bigint[]): bigint {
  const hash = createHash('sha1');
  for (const id of memberIds.toSorted((a, b) => (a < b ? -1 : 1))) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(id);
    hash.update(bytes);
  }
  return firstEightBytes(hash.digest());
}

/** Ids in logs and messages: hexadecimal without padding, as etcd prints them. */
export function formatId(id: bigint): string {
  return id.toString(16);
}

function firstEightBytes(digest: Buffer): bigint {
  return digest.readBigUInt64BE(0);
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
