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
 * Read next: `recovery.ts`, `runtime/core.ts`.
 */
import { mapSizeFor, openStore, type Store } from '@quorate/mvcc';
import { etcdApi, limits as protocolLimits } from '@quorate/proto';
import { EMPTY_CONF, type HardState, type RaftConfig, RawNode } from '@quorate/raft';
import { openWal, openWalInline, type Recovered, type Wal, type WalOptions } from '@quorate/wal';
import { Alarms } from './alarms.ts';
import { Applier } from './apply/applier.ts';
import { SnapshotImages } from './consensus/snapshot-images.ts';
import { WalStorage } from './consensus/wal-storage.ts';
import { type DataFolder, DataFolderError, openDataFolder } from './data-folder.ts';
import type { Env } from './env.ts';
import { NO_FAILPOINTS } from './failpoints.ts';
import { exponentialBuckets, Histogram } from './histogram.ts';
import { StateHash } from './integrity/state-hash.ts';
import type { LeaseCheckpoints } from './lease/create-lessor.ts';
import type { Lessor } from './lease/lessor.ts';
import { type Member, type MemberInfo, type MemberLimits, MemberRemovedError } from './member.ts';
import { electionTicksOf, type MemberConfig, type MemberIdentity, type World } from './member-config.ts';
import { MemberRuntime } from './member-runtime.ts';
import { ConfHistory } from './membership/conf-history.ts';
import { formatId } from './membership/ids.ts';
import { decodeLogMetadata, encodeLogMetadata, isLogMetadata } from './membership/log-metadata.ts';
import { Members } from './membership/members.ts';
import { initialPeers, plannedCluster } from './membership/plan.ts';
import { bootstrap, checkTogether, checkVersion, finishInstall, forceAlone } from './recovery.ts';
import { TurnEnd } from './turn-end.ts';

/** Young entries that raft keeps in memory for followers; what is older is read from the log's files. */
const TAIL_BYTES = 8 * 1024 * 1024;

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
    let stateHash: StateHash | null = null;
    const commitSeconds = new Histogram(exponentialBuckets(0.001, 2, 14));
    const store = makers.openStore({
      storage: world.inThread?.backend
        ? { backend: world.inThread.backend }
        : { directory: folder.storeDirectory },
      monotonicMs: () => env.monotonicMs(),
      afterPoll: (callback) => env.afterPoll(callback),
      setTimer: (delayMs, callback) => env.setTimer(delayMs, callback),
      inThread: world.inThread !== null,
      flushRow: () => stateHash?.row() ?? null,
      onCommit: (elapsedMs) => commitSeconds.observe(elapsedMs / 1000),
      ...(failpoint === NO_FAILPOINTS ? {} : { failpoint }),
      mapSizeBytes: mapSizeFor(config.quotaBytes),
      ...(config.storeLimits === undefined ? {} : { limits: config.storeLimits }),
    });
    opened.push(() => store.close());

    stateHash = new StateHash(store);
    const members = new Members(store);
    const restarted = await finishInstall(config, world, wal, recovered, store, members);
    // A log without an entry was left by a start that ended right after creating it: what it lacks is planned again. One that
    // a received snapshot goes before lacks nothing, whatever the flags say by now.
    const cluster = planned ?? (wal.lastIndex() > 0 ? null : await plannedCluster(config, world));
    if (cluster !== null) checkOwner(identity, cluster, folder);
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
      initialPeers: await initialPeers(config, world, cluster, members, { identity, log: wal }),
      wal,
      hardState,
      store,
      commitSeconds,
      stateHash,
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

/** Stands in the options of a log that exists and says itself whose it is. */
const NOBODY: MemberIdentity = { clusterId: 0n, memberId: 0n };

function hasLog(world: World, folder: DataFolder): boolean {
  return world.disk.list(folder.walDirectory).some((name) => name.endsWith('.wal'));
}

function checkOwner(found: MemberIdentity, planned: MemberIdentity, folder: DataFolder): void {
  if (found.clusterId === planned.clusterId && found.memberId === planned.memberId) return;
  throw new DataFolderError(
    'inconsistent',
    `the log in ${folder.walDirectory} was created for another cluster and holds nothing yet: remove the data folder`,
  );
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
  commitSeconds: Histogram;
  stateHash: StateHash;
  members: Members;
  release: () => void;
}): Promise<MemberRuntime> {
  const { config, world, makers, identity, wal, hardState, store, stateHash, members } = parts;
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
    electionTicks: electionTicksOf(config),
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
    turnEnd: new TurnEnd(env),
    network,
    failpoint,
    disk: world.disk,
    node,
    wal,
    storage,
    images,
    store,
    commitSeconds: parts.commitSeconds,
    confs,
    initialPeers: parts.initialPeers,
    alarms,
    members,
    applier: new Applier({ store, leases, alarms, members, stateHash }, failpoint),
    stateHash,
    serverVersion: etcdApi.version,
    committedIndex: hardState.commit,
    lastIndex: wal.lastIndex(),
    releaseFolder: parts.release,
  });
  return runtime;
}

function limitsOf(config: MemberConfig): MemberLimits {
  const electionTicks = electionTicksOf(config);
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
