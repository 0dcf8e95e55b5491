/**
 * A whole server in one call: a member, its services, and the listeners in front of them.
 *
 * Start: the member first (its folder, log and store), then the listeners, so that whoever can connect is answered.
 * Stop: listeners close and connections are asked to go; streams that would never end are ended; requests under way
 * finish; then the member closes log and store. A member that ends by itself takes the listeners down with it.
 */
import { resolveSrv } from 'node:dns/promises';
import { lstatSync, unlinkSync } from 'node:fs';
import {
  createGrpcServer,
  type GrpcServer,
  type Limits,
  type Listening,
  nodeEnv,
} from '@quorate/grpc-server';
import { createServices, type Services } from './api/services.ts';
import type { ServerConfig } from './config/config.ts';
import type { EndpointUrl } from './config/urls.ts';
import { ImageFolder } from './etcd-image/image-folder.ts';
import { createHttpFront, type HttpFront } from './http/front.ts';
import { serverMetrics } from './http/metrics/server.ts';
import { createLessor } from './lease/create-lessor.ts';
import { startAutoCompaction } from './maintenance/auto-compaction.ts';
import type { Member } from './member.ts';
import type { MemberConfig, World } from './member-config.ts';
import { discoverBySrv } from './membership/srv-discovery.ts';
import { watchDescriptors } from './node/descriptor-watch.ts';
import { peerWorld } from './peer-world.ts';
import { startMember } from './start-member.ts';

export interface Server {
  readonly member: Member;
  /** Where clients connect: `127.0.0.1:2379`, or the path of a socket. */
  readonly addresses: readonly string[];
  /** Listeners for HTTP alone, and for health and metrics alone. */
  readonly httpAddresses: readonly string[];
  readonly metricsAddresses: readonly string[];
  /** Graceful: what is under way finishes. Calling it again changes nothing. */
  stop(): Promise<void>;
  /** Resolves when everything is closed; the error says why when nobody asked for it. */
  readonly stopped: Promise<Error | null>;
}

const GRPC_OVERHEAD_BYTES = 512 * 1024;
/** The default of --max-concurrent-streams, which stands for "no limit": the transport's own bound holds then. */
const UNLIMITED_STREAMS = 2 ** 32 - 1;
/** What calls under way have to finish. */
const STOP_GRACE_MS = 3_000;
/** From serving until what is loaded late is loaded. */
const PREPARE_MS = 300;
/** What answers have to leave by when the member has failed. */
const CUT_GRACE_MS = 200;

/** @throws ConfigError, DataFolderError, BootstrapError, and the errors of log, store and listeners: nothing is left open then */
export async function startServer(config: ServerConfig, world: World): Promise<Server> {
  for (const warning of config.warnings) world.env.log.log('warn', warning);
  const peers = peerWorld(config, world);
  const member = await startMember(memberConfig(config, peers), peers, createLessor);
  // What is open so far; the newest closes first.
  const opened: (() => unknown)[] = [() => member.stop()];
  try {
    const compaction = startAutoCompaction(member, config.autoCompaction);
    const { env } = world;
    const descriptors = watchDescriptors(env);
    void member.stopped.then(() => {
      compaction.stop();
      descriptors.stop();
    });
    const images = new ImageFolder(`${config.dataDir}/snapshot`, env);
    const services = createServices(member, { images, restsOnDefragment: config.restsOnDefragment });
    opened.push(() => services.close());
    const front = createHttpFront(member, services, httpConfig(config));
    opened.push(() => front.close(0));
    const transport = createGrpcServer({
      handlers: services.handlers,
      env: { ...nodeEnv, afterPoll: (callback) => member.turnEnd.afterPoll(callback) },
      limits: transportLimits(config),
      keepalive: config.keepalive,
      observer: front.observer,
      ...(front.handOver === undefined ? {} : { http: front.handOver }),
    });
    front.addMetrics(serverMetrics(transport, services));
    front.addMetrics(peers.peerMetrics);
    const server = new RunningServer(member, services, transport, front);
    // From here on it closes all the others.
    opened.splice(0, opened.length, () => server.stop());
    for (const url of config.listenMetricsUrls) await server.listen(url, 'metrics');
    for (const url of config.listenClientHttpUrls) await server.listen(url, 'http');
    for (const url of config.listenClientUrls) await server.listen(url);
    env.log.log('info', 'serving client requests', { addresses: server.addresses });
    prepareSoon(server.member, front);
    return server;
  } catch (error) {
    for (const close of opened.toReversed()) await closed(close, world);
    throw error;
  }
}

/**
 * What a start leaves out so that it is quick is loaded soon after, not when it is needed: then there may be no file descriptors left,
 * and a member without a thread to flush with would have to end.
 */
function prepareSoon(member: Member, front: HttpFront): void {
  const timer = member.env.setTimer(PREPARE_MS, () => {
    front.prepare();
    member.store.prepare();
  });
  void member.stopped.then(() => timer.cancel());
}

/** What fails while a start is taken back must not hide why it is. */
async function closed(close: () => unknown, { env }: World): Promise<void> {
  try {
    await close();
  } catch (error) {
    env.log.log('error', 'closing failed', { error });
  }
}

class RunningServer implements Server {
  readonly member: Member;
  readonly addresses: string[] = [];
  readonly httpAddresses: string[] = [];
  readonly metricsAddresses: string[] = [];
  readonly stopped: Promise<Error | null>;
  readonly #services: Services;
  readonly #transport: GrpcServer;
  readonly #front: HttpFront;
  #stopping: Promise<void> | null = null;

  constructor(member: Member, services: Services, transport: GrpcServer, front: HttpFront) {
    this.member = member;
    this.#services = services;
    this.#transport = transport;
    this.#front = front;
    this.stopped = member.stopped.then(async (error) => {
      services.close();
      // Those who wait are told why; that takes no longer than a turn.
      await front.close(this.#stopping === null ? CUT_GRACE_MS : STOP_GRACE_MS);
      // Stopped on purpose, the transport is closing already and waits for its last calls.
      await (this.#stopping === null ? transport.close({ graceMs: 0 }) : this.#closeTransport);
      return error;
    });
  }

  #closeTransport: Promise<void> = Promise.resolve();

  async listen(url: EndpointUrl, surface: 'client' | 'http' | 'metrics' = 'client'): Promise<void> {
    const [transport, addresses] = {
      client: [this.#transport, this.addresses] as const,
      http: [this.#front.httpTransport, this.httpAddresses] as const,
      metrics: [this.#front.metricsTransport, this.metricsAddresses] as const,
    }[surface];
    if (transport === null) throw new Error('a listener was configured that the front does not serve');
    if (url.scheme === 'unix') {
      const path = `${url.host}:${url.port}`;
      removeStaleSocket(path);
      await transport.listen({ path });
      addresses.push(path);
      return;
    }
    const { host, port }: Listening = await transport.listen({ host: url.host, port: Number(url.port) });
    addresses.push(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#closeTransport = this.#transport.close({ graceMs: STOP_GRACE_MS });
    this.#services.close();
    await Promise.all([this.#closeTransport, this.#front.close(STOP_GRACE_MS)]);
    await this.member.stop();
  }
}

/** A socket file outlives its server; nobody but a server of this kind makes one there. */
function removeStaleSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
}

function memberConfig(config: ServerConfig, world: World): MemberConfig {
  const { discoverySrv, name, peerUrls } = config;
  return {
    name,
    dataDirectory: config.dataDir,
    walDirectory: config.walDir,
    initialCluster: config.initialCluster,
    advertisedPeerUrls: config.advertisedPeerUrls,
    ...(discoverySrv === null
      ? {}
      : {
          discoverCluster: () =>
            discoverBySrv(
              discoverySrv,
              { name, peerUrls },
              world.resolveSrv ?? resolveSrv,
              world.resolveHost,
            ),
        }),
    initialClusterToken: config.clusterToken,
    initialClusterState: config.initialClusterState,
    forceNewCluster: config.forceNewCluster,
    clientUrls: config.advertiseClientUrls,
    heartbeatMs: config.heartbeatMs,
    electionMs: config.electionMs,
    preVote: config.preVote,
    advanceFirstElection: config.advanceFirstElection,
    strictReconfigCheck: config.strictReconfigCheck,
    maxLearners: config.maxLearners,
    snapshotCount: config.snapshotCount,
    snapshotCatchUpEntries: config.snapshotCatchUpEntries,
    maxRequestBytes: config.maxRequestBytes,
    maxTxnOps: config.maxTxnOps,
    quotaBytes: config.quotaBytes,
    watchProgressIntervalMs: config.watchProgressIntervalMs,
    slowApplyMs: config.slowApplyMs,
    corruptionChecks: config.corruptionChecks,
    leaseCheckpoints: config.leaseCheckpoints,
    unsafeNoFsync: config.unsafeNoFsync,
  };
}

function httpConfig(config: ServerConfig): Parameters<typeof createHttpFront>[2] {
  return {
    isApart: config.listenClientHttpUrls.length > 0,
    hasMetricsListeners: config.listenMetricsUrls.length > 0,
    enableGateway: config.enableGateway,
    access: { hosts: config.hostWhitelist, origins: config.corsOrigins },
    extensiveMetrics: config.extensiveMetrics,
    maxMessageBytes: config.maxRequestBytes + GRPC_OVERHEAD_BYTES,
  };
}

function transportLimits(config: ServerConfig): Partial<Limits> {
  const { maxConcurrentStreams } = config;
  return {
    maxRequestMessageBytes: config.maxRequestBytes + GRPC_OVERHEAD_BYTES,
    ...(maxConcurrentStreams === UNLIMITED_STREAMS ? {} : { maxConcurrentStreams }),
  };
}
