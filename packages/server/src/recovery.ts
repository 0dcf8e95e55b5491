/**
 * Log and store, seen to belong together and brought to the state that raft starts from.
 *
 *     finishInstall    a snapshot whose installation a crash interrupted
 *     checkTogether    one of the two was lost or replaced by hand: refused (case 25)
 *     bootstrap        the first entries of a log that has none
 *     forceAlone       `--force-new-cluster`
 *
 * Nothing runs yet: every write here is waited for.
 */
import type { Store } from '@quorate/mvcc';
import { etcdApi } from '@quorate/proto';
import { EMPTY_CONF, type HardState, NONE } from '@quorate/raft';
import type { Recovered, Wal, WalBatch } from '@quorate/wal';
import { clearIntent, readIntent } from './consensus/install-intent.ts';
import { type DataFolder, DataFolderError } from './data-folder.ts';
import type { Env } from './env.ts';
import type { MemberConfig, MemberIdentity, World } from './member-config.ts';
import { bootstrapEntries } from './membership/bootstrap.ts';
import { clusterVersionOf, compareReleases, parseRelease } from './membership/cluster-version.ts';
import { forceNewCluster } from './membership/force-new.ts';
import type { Members } from './membership/members.ts';
import type { PlannedCluster } from './membership/plan.ts';

/** What a newer release wrote may mean nothing to this one (sem-198). */
export function checkVersion({ clusterVersion, downgradeTarget }: Members): void {
  const own = parseRelease(etcdApi.version);
  const agreed = clusterVersion === null ? null : parseRelease(clusterVersion);
  if (own === null || agreed === null || compareReleases(own, agreed) >= 0) return;
  if (downgradeTarget === clusterVersionOf(own)) return;
  throw new DataFolderError(
    'newer-cluster',
    `invalid downgrade; server version ${etcdApi.version} is lower than determined cluster version ${clusterVersion}`,
  );
}

/**
 * Finishes what a crash interrupted between the store's replacement and the log's restart.
 * @returns the hard state saved with the restarted log; null when there was nothing to do
 */
export async function finishInstall(
  config: MemberConfig,
  world: World,
  wal: Wal,
  recovered: Recovered,
  store: Store,
  members: Members,
): Promise<HardState | null> {
  const intent = readIntent(world.disk, config.dataDirectory);
  if (intent === null) return null;
  const { index, term } = intent;
  const replaced = store.appliedIndex === index && store.appliedTerm === term;
  let hardState: HardState | null = null;
  if (replaced && members.conf !== null && wal.term(index) !== term) {
    const saved = recovered.hardState ?? { term: 0, vote: NONE, commit: 0 };
    // In a term this log had not heard of, this member has not voted.
    hardState = {
      term: Math.max(saved.term, term),
      vote: term > saved.term ? NONE : saved.vote,
      commit: index,
    };
    await appended(wal, {
      entries: [],
      hardState,
      snapshotMarker: { index, term, conf: members.conf },
      mustSync: true,
    });
    world.env.log.log('info', 'finished installing a snapshot', { index, term });
  }
  clearIntent(world.disk, config.dataDirectory);
  return hardState;
}

function appended(wal: Wal, batch: WalBatch): Promise<void> {
  return new Promise((resolve, reject) => {
    wal.append(batch, (error) => (error === null ? resolve() : reject(error)));
  });
}

export async function forceAlone(
  wal: Wal,
  { memberId }: MemberIdentity,
  store: Store,
  members: Members,
  hardState: HardState,
  env: Env,
): Promise<HardState> {
  const applied = { index: store.appliedIndex, conf: members.conf ?? EMPTY_CONF };
  const forced = forceNewCluster(wal, memberId, applied, hardState);
  const { entries, removedCount } = forced;
  env.log.log('warn', 'forcing a new cluster of this member alone', { removed: removedCount });
  await appended(wal, { entries, hardState: forced.hardState, mustSync: true });
  return forced.hardState;
}

export function checkTogether(wal: Wal, recovered: Recovered, store: Store, folder: DataFolder): void {
  const { appliedIndex } = store;
  const problem = (what: string) =>
    new DataFolderError(
      'inconsistent',
      `log and store do not belong together (${what}); ` +
        `one of ${folder.walDirectory} and ${folder.storeDirectory} was lost or replaced: restore both or start anew`,
    );
  if (recovered.created && appliedIndex > 0) {
    throw problem(`the log is new, the store has applied entry ${appliedIndex}`);
  }
  if (appliedIndex > wal.lastIndex()) {
    throw problem(`the store has applied entry ${appliedIndex}, the log ends at ${wal.lastIndex()}`);
  }
  if (appliedIndex + 1 < wal.firstIndex()) {
    throw problem(`the store has applied entry ${appliedIndex}, the log begins at ${wal.firstIndex()}`);
  }
  const term = wal.term(appliedIndex);
  if (appliedIndex > 0 && term !== undefined && term !== store.appliedTerm) {
    throw problem(
      `entry ${appliedIndex} has term ${term} in the log, the store applied one of term ${store.appliedTerm}`,
    );
  }
}

/**
 * A log without a single entry is that of a new member, also when it exists: the last start may have ended right
 * after creating it.
 * @returns the state raft starts from; what the store has applied was certainly committed
 */
export async function bootstrap(
  wal: Wal,
  saved: HardState | null,
  store: Store,
  cluster: PlannedCluster | null,
): Promise<HardState> {
  if (cluster === null || wal.lastIndex() > 0) {
    const known = saved ?? { term: store.appliedTerm, vote: NONE, commit: 0 };
    return { ...known, commit: Math.max(known.commit, store.appliedIndex) };
  }
  // One that joins has no first entries of its own. It may have voted before it got any.
  if (cluster.peers !== undefined) return saved ?? { term: 0, vote: NONE, commit: 0 };
  const { entries, hardState } = bootstrapEntries(cluster);
  await appended(wal, { entries, hardState, mustSync: true });
  return hardState;
}
