/**
 * A new data folder from a snapshot file: one that Maintenance.Snapshot of this server or of an etcd server (3.4 or later) made.
 *
 * The cluster is a new one, with ids of its own; keys, revisions, leases, alarms and users are those of the snapshot. Clients that saw newer
 * revisions than the snapshot has would be told nothing, or take new revisions for old ones: raising the revision beyond all they can have seen
 * (`bumpRevision`) and marking it as compacted (`markCompacted`) makes every old watch end with "compacted" instead.
 */

import { statSync } from 'node:fs';
import type { ImageInfo } from '@quorate/mvcc';
import { BOOTSTRAP_TERM } from '../membership/bootstrap.ts';
import { type ClusterPlan, planCluster } from './cluster-plan.ts';
import { OfflineError } from './errors.ts';
import { checkTrailer, withImage } from './etcd-image.ts';
import { makeFolder, type NewFolder } from './new-folder.ts';

export interface RestoreOptions extends NewFolder, ClusterPlan {
  readonly snapshotPath: string;
  /** Takes files without a trailer, and does not look at one that is there: for files copied out of a data folder. */
  readonly skipHashCheck: boolean;
  /** How much the revision is raised; 0: not at all. */
  readonly bumpRevision: number;
  /** Both or neither of the two (as in etcdutl). */
  readonly markCompacted: boolean;
}

export interface Restored {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly compactRevision: number;
  /** The source demands authentication. */
  readonly authEnabled: boolean;
}

/** Largest revision a store can hold. */
const MAX_REVISION = 2 ** 48 - 1;

/** @throws OfflineError: nothing is left in the folder then */
export async function restoreSnapshot(options: RestoreOptions): Promise<Restored> {
  const { snapshotPath, skipHashCheck, bumpRevision, markCompacted } = options;
  if (bumpRevision > 0 !== markCompacted)
    throw new OfflineError('bad-flags', '--mark-compacted required if --revision-bump > 0');
  const cluster = await planCluster(options);
  if (!skipHashCheck) checkTrailer(snapshotPath);
  return withImage(snapshotPath, async (image) => {
    const info = await makeFolder(options, cluster, {
      sizeBytes: statSync(snapshotPath).size,
      fill(builder): ImageInfo {
        const revision = image.copyTo(builder) + bumpRevision;
        if (revision > MAX_REVISION)
          throw new OfflineError('bad-flags', `revision ${revision} is out of range`);
        return {
          // The first entries of a cluster say who its members are: the store has them already.
          appliedIndex: cluster.members.length,
          appliedTerm: BOOTSTRAP_TERM,
          revision,
          compactRevision: markCompacted ? revision : image.compactRevision,
        };
      },
    });
    const { clusterId, memberId } = cluster;
    const { revision, compactRevision } = info;
    return { clusterId, memberId, revision, compactRevision, authEnabled: image.authEnabled };
  });
}
