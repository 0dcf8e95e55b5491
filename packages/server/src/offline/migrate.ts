/**
 * A new data folder from that of an etcd server (3.4 or later), which must not be running.
 *
 * An etcd's database is up to a tenth of a second behind its log. What the log has beyond it is replayed by our own applier: the same operations, in
 * the same order, from the same state. Entries that cannot be replayed (changes of users and roles, anything while authentication is on) refuse the migration
 * instead of losing it; a snapshot, or a clean stop of etcd, needs no replay. Membership is new: the flags say who forms the cluster.
 */
import { statSync } from 'node:fs';
import { StoreBusyError } from '@quorate/mvcc';
import { Alarms } from '../alarms.ts';
import { Applier } from '../apply/applier.ts';
import { NO_FAILPOINTS } from '../failpoints.ts';
import { createLessor } from '../lease/create-lessor.ts';
import { BOOTSTRAP_TERM } from '../membership/bootstrap.ts';
import { Members } from '../membership/members.ts';
import type { Operation } from '../operations.ts';
import { type ClusterPlan, planCluster } from './cluster-plan.ts';
import { OfflineError } from './errors.ts';
import { meaningOf } from './etcd-entries.ts';
import { type EtcdImage, withImage } from './etcd-image.ts';
import { type EtcdLog, readEtcdLog } from './etcd-wal.ts';
import { existing } from './existing.ts';
import { makeFolder, type NewFolder, WORLD, withStore } from './new-folder.ts';
import type { Restored } from './restore.ts';
import { lockShared } from './shared-lock.ts';

export interface MigrateOptions extends NewFolder, ClusterPlan {
  /** Holds `member/snap/db` and `member/wal`. */
  readonly etcdDirectory: string;
  /** Null: inside the data folder. */
  readonly etcdWalDirectory: string | null;
}

export interface Migrated extends Restored {
  /** Entries that the database did not have and the log did. */
  readonly replayedEntries: number;
}

interface Step {
  readonly index: number;
  readonly term: number;
  /** Null: the entry changes nothing here. */
  readonly operation: Operation | null;
}

const REMEDY = 'stop etcd cleanly and try again, or use "snapshot save" and "snapshot restore"';

/** @throws OfflineError: nothing is left in the new folder then */
export async function migrateFromEtcd(options: MigrateOptions): Promise<Migrated> {
  const { etcdDirectory } = options;
  const cluster = await planCluster(options);
  const database = `${etcdDirectory}/member/snap/db`;
  if (existing(database) === null)
    throw new OfflineError(
      'not-found',
      `${etcdDirectory} is no data folder of etcd: it has no member/snap/db`,
    );
  const lock = lockShared(database);
  try {
    return await withImage(database, async (image) => {
      const log = readEtcdLog(options.etcdWalDirectory ?? `${etcdDirectory}/member/wal`, image.appliedIndex);
      const steps = planReplay(image, log);
      let revision = 0;
      let compactRevision = -1;
      await makeFolder(options, cluster, {
        sizeBytes: statSync(database).size,
        fill(builder) {
          revision = image.copyTo(builder);
          ({ compactRevision } = image);
          return {
            // The first entries of the new cluster, which say who its members are, count as applied too.
            appliedIndex: Math.max(image.appliedIndex, cluster.members.length),
            appliedTerm: Math.max(image.appliedTerm, BOOTSTRAP_TERM),
            revision,
            compactRevision,
          };
        },
        continue: (directory) =>
          withStore(directory, async (store) => {
            await replay(store, steps);
            ({ revision, compactRevision } = store);
            return { index: store.appliedIndex, term: store.appliedTerm };
          }),
      });
      const { clusterId, memberId } = cluster;
      const { authEnabled } = image;
      const replayedEntries = steps.filter(({ operation }) => operation !== null).length;
      return { clusterId, memberId, revision, compactRevision, authEnabled, replayedEntries };
    });
  } finally {
    lock.release();
  }
}

/** @throws OfflineError when something in the log is needed and cannot be replayed */
function planReplay(image: EtcdImage, log: EtcdLog): Step[] {
  const { appliedIndex } = image;
  if (log.lastIndex < appliedIndex) {
    throw new OfflineError(
      'bad-source',
      `the database has applied entry ${appliedIndex}, the log ends at ${log.lastIndex}: they do not belong together`,
    );
  }
  if (log.commit > appliedIndex + log.entries.length) {
    throw new OfflineError(
      'bad-source',
      `entry ${log.commit} is committed, and the log ends at ${appliedIndex + log.entries.length}: ${REMEDY}`,
    );
  }
  // A member that is alone has committed whatever is in its log; among others only what it was told.
  const alone = image.voterCount === 1 && log.entries.every(({ type }) => type === 0);
  const committed = alone ? log.entries : log.entries.filter(({ index }) => index <= log.commit);
  return committed.map(({ index, term, type, data }): Step => {
    if (type !== 0) return { index, term, operation: null };
    const meaning = meaningOf(data);
    if (meaning.kind === 'nothing' || (meaning.kind === 'auth-enable' && image.authEnabled))
      return { index, term, operation: null };
    if (meaning.kind !== 'operation') {
      const what = meaning.kind === 'unknown' ? meaning.what : 'which switches authentication on';
      throw new OfflineError(
        'bad-source',
        `entry ${index} of the log, ${what}, cannot be replayed: ${REMEDY}`,
      );
    }
    if (image.authEnabled) {
      throw new OfflineError(
        'bad-source',
        `entry ${index} of the log was written with authentication on and cannot be replayed: ${REMEDY}`,
      );
    }
    return { index, term, operation: meaning.operation };
  });
}

async function replay(
  store: Parameters<Parameters<typeof withStore>[1]>[0],
  steps: readonly Step[],
): Promise<void> {
  const alarms = new Alarms(store);
  const members = new Members(store);
  const member = {
    term: 0,
    propose: () => {
      throw new Error('leases do not end while a log is replayed');
    },
  };
  const leases = createLessor({ env: WORLD, store, member });
  const applier = new Applier({ store, leases, alarms, members }, NO_FAILPOINTS);
  for (const { index, term, operation } of steps) {
    // Indexes below the new cluster's own first entries are taken by them.
    const place = { index: Math.max(index, store.appliedIndex + 1), term: Math.max(term, store.appliedTerm) };
    for (;;) {
      try {
        if (operation === null) applier.applyEmpty(place.index, place.term);
        else applier.apply(place.index, place.term, operation);
        break;
      } catch (error) {
        if (!(error instanceof StoreBusyError)) throw error;
        await flush(store);
      }
    }
  }
  leases.close();
  await flush(store);
}

function flush(store: Parameters<Parameters<typeof withStore>[1]>[0]): Promise<void> {
  return new Promise((resolve, reject) =>
    store.flush((error) => (error === null ? resolve() : reject(error))),
  );
}
