/**
 * From a data folder to a running member.
 *
 *   1. Lock the folder, open the log (its metadata names the cluster and the member) and the store.
 *   2. See that they belong together: the log must begin no later than where the store ends, and end no earlier. Anything
 *      else means that one of them was replaced by hand or lost, and going on could mean voting twice or losing
 *      acknowledged writes (case 25): refused.
 *   3. A new log gets the first entries of the cluster (`membership/bootstrap.ts`).
 *   4. Raft starts from the log, the applier from the store's applied index; what lies between is applied again.
 *
 * Opening reads neither log nor store as a whole, so the time it takes does not depend on the number of keys.
 * Read next: `member-runtime.ts`.
 */
import { mapSizeFor, openStore, type Store } from '@quorate/mvcc';
import { etcdApi, limits as protocolLimits } from '@quorate/proto';
import { type ConfState, type HardState, NONE, type RaftConfig, RawNode } from '@quorate/raft';
import { openWal, openWalInline, type Recovered, type Wal, type WalOptions } from '@quorate/wal';
import { Alarms } from './alarms.ts';
import { Applier } from './apply/applier.ts';
import { WalStorage } from './consensus/wal-storage.ts';
import { type DataFolder, DataFolderError, openDataFolder } from './data-folder.ts';
import type { Env } from './env.ts';
import { NO_FAILPOINTS } from './failpoints.ts';
import type { Lessor } from './lease/lessor.ts';
import type { Member, MemberLimits } from './member.ts';
import type { MemberConfig, World } from './member-config.ts';
import { MemberRuntime } from './member-runtime.ts';
import { bootstrapEntries, type InitialCluster, initialCluster } from './membership/bootstrap.ts';
import { formatId } from './membership/ids.ts';
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
  const configured = initialCluster(config.name, config.initialCluster, config.initialClusterToken);
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
    const { wal, recovered } = await openLog(config, world, folder, configured, (error) => fatal(error));
    const cluster = identity(configured, wal, recovered, folder);
    opened.push(() => wal.close());
    const store = makers.openStore({
      storage: world.inThread?.backend
        ? { backend: world.inThread.backend }
        : { directory: folder.storeDirectory },
      monotonicMs: () => env.monotonicMs(),
      afterPoll: (callback) => env.afterPoll(callback),
      inThread: world.inThread !== null,
      ...(failpoint === NO_FAILPOINTS ? {} : { failpoint }),
      mapSizeBytes: mapSizeFor(config.quotaBytes),
      ...(config.storeLimits === undefined ? {} : { limits: config.storeLimits }),
    });
    opened.push(() => store.close());

    checkTogether(wal, recovered, store, folder);
    failpoint('startBeforeBootstrap');
    const hardState = await bootstrap(wal, recovered, store, cluster);
    failpoint('startBeforeReplay');
    const member = assemble({
      config,
      world,
      makers,
      cluster,
      wal,
      hardState,
      store,
      release: folder.release,
    });
    fatal = (error) => member.abort(error);
    env.log.log('info', 'starting member', {
      'cluster-id': formatId(cluster.clusterId),
      'member-id': formatId(cluster.memberId),
      'applied-index': store.appliedIndex,
      'committed-index': hardState.commit,
      'last-index': wal.lastIndex(),
      revision: store.revision,
    });
    // From here on the member closes what was opened.
    opened.length = 0;
    await member.start(createLessor({ env, store, member }));
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
  cluster: InitialCluster,
  onFatal: (error: Error) => void,
): Promise<{ wal: Wal; recovered: Recovered }> {
  const options: WalOptions = {
    directory: folder.walDirectory,
    metadata: encodeLogMetadata(cluster),
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

/**
 * Who this member is: what its log says. The flags that describe the first cluster count only for a member that has
 * none yet, as in etcd; afterwards names, URLs and token may change without making it another member.
 */
function identity(
  configured: InitialCluster,
  wal: Wal,
  { metadata }: Recovered,
  folder: DataFolder,
): InitialCluster {
  if (Buffer.from(metadata).equals(encodeLogMetadata(configured))) return configured;
  if (wal.lastIndex() === 0) {
    throw new DataFolderError(
      'inconsistent',
      `the log in ${folder.walDirectory} was created for another cluster and holds nothing yet: remove the data folder`,
    );
  }
  return { ...configured, ...decodeLogMetadata(metadata) };
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
  recovered: Recovered,
  store: Store,
  cluster: InitialCluster,
): Promise<HardState> {
  if (wal.lastIndex() > 0) {
    const saved = recovered.hardState ?? { term: store.appliedTerm, vote: NONE, commit: 0 };
    return { ...saved, commit: Math.max(saved.commit, store.appliedIndex) };
  }
  const { entries, hardState } = bootstrapEntries(cluster);
  await new Promise<void>((resolve, reject) => {
    wal.append({ entries, hardState, mustSync: true }, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return hardState;
}

function assemble(parts: {
  config: MemberConfig;
  world: World;
  makers: PartMakers;
  cluster: InitialCluster;
  wal: Wal;
  hardState: HardState;
  store: Store;
  release: () => void;
}): MemberRuntime {
  const { config, world, makers, cluster, wal, hardState, store } = parts;
  const { env, network, failpoint } = world;
  const alarms = new Alarms(store);
  const members = new Members(store);
  const conf = members.conf ?? EMPTY_CONF;
  const node = makers.createNode({
    id: cluster.memberId,
    storage: new WalStorage(wal, { hardState, conf }),
    applied: store.appliedIndex,
    conf,
    random: (bound) => env.randomInt(bound),
    electionTicks: Math.max(2, Math.round(config.electionMs / config.heartbeatMs)),
    heartbeatTicks: 1,
    maxTailBytes: TAIL_BYTES,
  });
  let runtime: MemberRuntime | null = null;
  // The lessor is made over the member, and the applier over the lessor.
  const leases = {
    exists: (id: bigint) => runtime!.lessor.exists(id),
    applyGrant: (...args: Parameters<MemberRuntime['lessor']['applyGrant']>) =>
      runtime!.lessor.applyGrant(...args),
    applyRevoke: (...args: Parameters<MemberRuntime['lessor']['applyRevoke']>) =>
      runtime!.lessor.applyRevoke(...args),
    applyCheckpoint: (...args: Parameters<MemberRuntime['lessor']['applyCheckpoint']>) =>
      runtime!.lessor.applyCheckpoint(...args),
  };
  runtime = new MemberRuntime({
    config,
    limits: limitsOf(config),
    clusterId: cluster.clusterId,
    memberId: cluster.memberId,
    env,
    network,
    failpoint,
    node,
    wal,
    store,
    alarms,
    members,
    applier: new Applier({ store, leases, alarms, members }, failpoint),
    clusterVersion: `${etcdApi.apiVersion}.0`,
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
