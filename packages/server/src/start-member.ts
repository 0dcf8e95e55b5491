/**
 * From a data folder to a running member.
 *
 *   1. Lock the folder, open the log (its metadata names the cluster and the member) and the store.
 *   2. See that they belong together: the log must begin no later than where the store ends, and end no earlier. Anything
 *      else means that one of them was replaced by hand or lost, and going on could mean voting twice or losing
 *      acknowledged writes (case 25): refused.
 *      A received snapshot that a crash kept from being installed to the end is finished here (`consensus/install-intent.ts`).
 *   3. A new log gets the first entries of the cluster (`membership/bootstrap.ts`), or nothing when the member joins one that
 *      runs: it learns everything from there.
 *   4. Raft starts from the log, the applier from the store's applied index; what lies between is applied again.
 *
 * Opening reads neither log nor store as a whole, so the time it takes does not depend on the number of keys.
 * Read next: `member-runtime.ts`.
 */
import { mapSizeFor, openStore, type Store } from '@quorate/mvcc';
import { etcdApi, limits as protocolLimits } from '@quorate/proto';
import { type ConfState, type HardState, NONE, type RaftConfig, RawNode } from '@quorate/raft';
import {
  openWal,
  openWalInline,
  type Recovered,
  type Wal,
  type WalBatch,
  type WalOptions,
} from '@quorate/wal';
import { Alarms } from './alarms.ts';
import { Applier } from './apply/applier.ts';
import { clearIntent, readIntent } from './consensus/install-intent.ts';
import { SnapshotImages } from './consensus/snapshot-images.ts';
import { WalStorage } from './consensus/wal-storage.ts';
import { type DataFolder, DataFolderError, openDataFolder } from './data-folder.ts';
import type { Env } from './env.ts';
import { NO_FAILPOINTS } from './failpoints.ts';
import type { LeaseCheckpoints } from './lease/create-lessor.ts';
import type { Lessor } from './lease/lessor.ts';
import { type Member, type MemberInfo, type MemberLimits, MemberRemovedError } from './member.ts';
import type { MemberConfig, MemberIdentity, World } from './member-config.ts';
import { MemberRuntime } from './member-runtime.ts';
import { bootstrapEntries, type InitialCluster } from './membership/bootstrap.ts';
import { clusterVersionOf, compareReleases, parseRelease } from './membership/cluster-version.ts';
import { ConfHistory } from './membership/conf-history.ts';
import { forceNewCluster } from './membership/force-new.ts';
import { formatId } from './membership/ids.ts';
import { beginCluster, joinCluster } from './membership/join.ts';
import { decodeLogMetadata, encodeLogMetadata, isLogMetadata } from './membership/log-metadata.ts';
import { Members } from './membership/members.ts';

/** Young entries that raft keeps in memory for followers; what is older is read from the log's files. */
const TAIL_BYTES = 8 * 1024 * 1024;

const EMPTY_CONF: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** Makes the lessor of a member: it reads the store, and proposes the end of leases through the member. */
export type LessorFactory = (parts: {
  readonly env: Env;
  readonly store: Store;
  readonly member: Member;
  readonly checkpoints: LeaseCheckpoints;
}) => Lessor;

/** How the parts at the core are made: a simulation exchanges them to show that its checks notice broken ones. */
export interface PartMakers {
  readonly openStore: typeof openStore;
  readonly createNode: (config: RaftConfig) => RawNode;
}

const MAKERS: PartMakers = { openStore, createNode: (config) => new RawNode(config) };

/**
 * Resolves when the member answers requests.
 * @throws BootstrapError, DataFolderError, the log's and the store's errors: nothing is left open then
 */
export async function startMember(
  config: MemberConfig,
  world: World,
  createLessor: LessorFactory,
  makers: PartMakers = MAKERS,
): Promise<Member> {
  const { env, failpoint } = world;
  const folder = openDataFolder(
    { directory: config.dataDirectory, walDirectory: config.walDirectory },
    world.disk,
    world.modeOf,
    env.log,
  );
  const opened: (() => unknown)[] = [() => folder.release()];
  try {
    failpoint('startAfterLock');
    let fatal: (error: Error) => void = () => {};
    const found = hasLog(world, folder);
    const planned = found ? null : await plannedCluster(config, world);
    const owner = planned ?? NOBODY;
    const { wal, recovered } = await openLog(config, world, folder, owner, (error) => fatal(error));
    opened.push(() => wal.close());
    const identity = decodeLogMetadata(recovered.metadata);
    // A log without an entry was left by a start that ended right after creating it: what it lacks is planned again.
    const cluster = planned ?? (wal.lastIndex() > 0 ? null : await plannedCluster(config, world));
    if (cluster !== null) checkOwner(identity, cluster, folder);
    const store = makers.openStore({
      storage: world.inThread?.backend
        ? { backend: world.inThread.backend }
        : { directory: folder.storeDirectory },
      monotonicMs: () => env.monotonicMs(),
      afterPoll: (callback) => env.afterPoll(callback),
      setTimer: (delayMs, callback) => env.setTimer(delayMs, callback),
      inThread: world.inThread !== null,
      ...(failpoint === NO_FAILPOINTS ? {} : { failpoint }),
      mapSizeBytes: mapSizeFor(config.quotaBytes),
      ...(config.storeLimits === undefined ? {} : { limits: config.storeLimits }),
    });
    opened.push(() => store.close());

    const members = new Members(store);
    const restarted = await finishInstall(config, world, wal, recovered, store, members);
    checkTogether(wal, recovered, store, folder);
    if (members.isRemoved(identity.memberId)) throw new MemberRemovedError();
    checkVersion(members);
    failpoint('startBeforeBootstrap');
    let hardState = await bootstrap(wal, restarted ?? recovered.hardState, store, cluster);
    if (config.forceNewCluster && cluster === null) {
      hardState = await forceAlone(wal, identity, store, members, hardState, env);
    }
    failpoint('startBeforeReplay');
    const member = await assemble({
      config,
      world,
      makers,
      identity,
      initialPeers: await initialPeers(config, world, cluster, members),
      wal,
      hardState,
      store,
      members,
      release: folder.release,
    });
    fatal = (error) => member.abort(error);
    env.log.log('info', 'starting member', {
      'cluster-id': formatId(identity.clusterId),
      'member-id': formatId(identity.memberId),
      'applied-index': store.appliedIndex,
      'committed-index': hardState.commit,
      'last-index': wal.lastIndex(),
      revision: store.revision,
    });
    // From here on the member closes what was opened.
    opened.length = 0;
    await member.start(createLessor({ env, store, member, checkpoints: config.leaseCheckpoints ?? 'off' }));
    return member;
  } catch (error) {
    for (const close of opened.toReversed()) await close();
    throw error;
  }
}

function openLog(
  config: MemberConfig,
  world: World,
  folder: DataFolder,
  owner: MemberIdentity,
  onFatal: (error: Error) => void,
): Promise<{ wal: Wal; recovered: Recovered }> {
  const options: WalOptions = {
    directory: folder.walDirectory,
    metadata: encodeLogMetadata(owner),
    acceptMetadata: isLogMetadata,
    onFatal,
    unsafeNoSync: config.unsafeNoFsync,
    ...(config.walSegmentBytes === undefined ? {} : { segmentBytes: config.walSegmentBytes }),
  };
  if (world.inThread !== null) {
    const { schedule } = world.inThread;
    return Promise.resolve(
      openWalInline({ ...options, disk: world.disk, schedule, failpoint: world.failpoint }),
    );
  }
  return openWal(
    world.failpointModule === null ? options : { ...options, failpointModule: world.failpointModule },
  );
}

/** What a newer release wrote may mean nothing to this one (sem-198). */
function checkVersion({ clusterVersion, downgradeTarget }: Members): void {
  const own = parseRelease(etcdApi.version);
  const agreed = clusterVersion === null ? null : parseRelease(clusterVersion);
  if (own === null || agreed === null || compareReleases(own, agreed) >= 0) return;
  if (downgradeTarget === clusterVersionOf(own)) return;
  throw new DataFolderError(
    'newer-cluster',
    `invalid downgrade; server version ${etcdApi.version} is lower than determined cluster version ${clusterVersion}`,
  );
}

/** Stands in the options of a log that exists and says itself whose it is. */
const NOBODY: MemberIdentity = { clusterId: 0n, memberId: 0n };

function hasLog(world: World, folder: DataFolder): boolean {
  return world.disk.list(folder.walDirectory).some((name) => name.endsWith('.wal'));
}

type PlannedCluster = InitialCluster & { readonly peers?: readonly MemberInfo[] };

/**
 * What the flags say about a member without a log. They count only then, as in etcd; afterwards names, URLs and token may change
 * without making it another member.
 */
function plannedCluster(config: MemberConfig, world: World): Promise<PlannedCluster> {
  return config.initialClusterState === 'existing'
    ? joinCluster(config, world.fetchCluster)
    : beginCluster(config, world.fetchCluster);
}

function checkOwner(found: MemberIdentity, planned: MemberIdentity, folder: DataFolder): void {
  if (found.clusterId === planned.clusterId && found.memberId === planned.memberId) return;
  throw new DataFolderError(
    'inconsistent',
    `the log in ${folder.walDirectory} was created for another cluster and holds nothing yet: remove the data folder`,
  );
}

/** Those to talk to until the list of members is applied: a member that joins, or that was killed soon after it did. */
async function initialPeers(
  config: MemberConfig,
  world: World,
  cluster: PlannedCluster | null,
  members: Members,
): Promise<readonly MemberInfo[]> {
  if (members.list().length > 0) return [];
  const planned = cluster ?? (await plannedPeers(config, world));
  return planned.peers ?? planned.members.map((member) => ({ ...member, clientUrls: [], isLearner: false }));
}

/** The log has entries and none is applied. */
async function plannedPeers(config: MemberConfig, world: World): Promise<PlannedCluster> {
  if (config.initialClusterState === 'new') return beginCluster(config, undefined);
  return joinCluster(config, world.fetchCluster);
}

/**
 * Finishes what a crash interrupted between the store's replacement and the log's restart.
 * @returns the hard state saved with the restarted log; null when there was nothing to do
 */
async function finishInstall(
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

async function forceAlone(
  wal: Wal,
  { memberId }: MemberIdentity,
  store: Store,
  members: Members,
  hardState: HardState,
  env: Env,
): Promise<HardState> {
  const applied = { index: store.appliedIndex, conf: members.conf ?? EMPTY_CONF };
  const forced = forceNewCluster(wal, memberId, applied, hardState);
  env.log.log('warn', 'forcing a new cluster of this member alone', { removed: forced.entries.length });
  await appended(wal, { ...forced, mustSync: true });
  return forced.hardState;
}

function checkTogether(wal: Wal, recovered: Recovered, store: Store, folder: DataFolder): void {
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
async function bootstrap(
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

async function assemble(parts: {
  config: MemberConfig;
  world: World;
  makers: PartMakers;
  identity: MemberIdentity;
  initialPeers: readonly MemberInfo[];
  wal: Wal;
  hardState: HardState;
  store: Store;
  members: Members;
  release: () => void;
}): Promise<MemberRuntime> {
  const { config, world, makers, identity, wal, hardState, store, members } = parts;
  const { env, failpoint } = world;
  const alarms = new Alarms(store);
  const conf = members.conf ?? EMPTY_CONF;
  const confs = new ConfHistory(store.appliedIndex, members.conf);
  const images = new SnapshotImages(store, env, (index) => confs.at(index));
  const storage = new WalStorage(wal, { hardState, conf }, (logBegin) => images.take(logBegin));
  const node = makers.createNode({
    id: identity.memberId,
    storage,
    applied: store.appliedIndex,
    conf,
    random: (bound) => env.randomInt(bound),
    electionTicks: Math.max(2, Math.round(config.electionMs / config.heartbeatMs)),
    heartbeatTicks: 1,
    preVote: config.preVote,
    maxTailBytes: config.raftTailBytes ?? TAIL_BYTES,
  });
  let runtime: MemberRuntime | null = null;
  // The lessor is made over the member, and the applier over the lessor.
  const leases = {
    exists: (id: bigint) => runtime!.lessor.exists(id),
    applyGrant: (...args: Parameters<MemberRuntime['lessor']['applyGrant']>) =>
      runtime!.lessor.applyGrant(...args),
    applyRevoke: (...args: Parameters<MemberRuntime['lessor']['applyRevoke']>) =>
      runtime!.lessor.applyRevoke(...args),
    applyExpire: (...args: Parameters<MemberRuntime['lessor']['applyExpire']>) =>
      runtime!.lessor.applyExpire(...args),
    applyCheckpoint: (...args: Parameters<MemberRuntime['lessor']['applyCheckpoint']>) =>
      runtime!.lessor.applyCheckpoint(...args),
  };
  const network =
    typeof world.network !== 'function'
      ? world.network
      : await world.network({
          ...identity,
          env,
          isRemoved: (id) => members.isRemoved(id),
          describe: () => ({ clusterVersion: members.clusterVersion, members: members.list() }),
          onRemoved: (by) => runtime?.removedBy(by),
        });
  runtime = new MemberRuntime({
    config,
    limits: limitsOf(config),
    clusterId: identity.clusterId,
    memberId: identity.memberId,
    env,
    network,
    failpoint,
    disk: world.disk,
    node,
    wal,
    storage,
    images,
    store,
    confs,
    initialPeers: parts.initialPeers,
    alarms,
    members,
    applier: new Applier({ store, leases, alarms, members }, failpoint),
    serverVersion: etcdApi.version,
    committedIndex: hardState.commit,
    lastIndex: wal.lastIndex(),
    releaseFolder: parts.release,
  });
  return runtime;
}

function limitsOf(config: MemberConfig): MemberLimits {
  const electionTicks = Math.max(2, Math.round(config.electionMs / config.heartbeatMs));
  return {
    maxRequestBytes: config.maxRequestBytes,
    maxTxnOps: config.maxTxnOps,
    quotaBytes: config.quotaBytes === 0 ? protocolLimits.defaultQuotaBytes : config.quotaBytes,
    requestTimeoutMs: 5000 + 2 * electionTicks * config.heartbeatMs,
    electionTimeoutMs: config.electionMs,
    minLeaseTtlSec: Math.ceil((1.5 * config.electionMs) / 1000),
    watchProgressIntervalMs: config.watchProgressIntervalMs,
  };
}
