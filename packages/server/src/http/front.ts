/**
 * The HTTP front of a server: which app is served where, and what it shows.
 *
 *   client URLs        gRPC, and HTTP unless it has URLs of its own
 *   client HTTP URLs   HTTP alone (`--listen-client-http-urls`)
 *   metrics URLs       health and metrics alone (`--listen-metrics-urls`)
 *
 * `serve.ts` gives the gRPC transport the `handOver` and the `observer`, and opens the listeners.
 *
 * The apps themselves (Fastify, gateway, the text of metrics) are loaded by `prepare`, or with the first request for one of them:
 * that takes longer than all the rest of a start. What counts from the start on is here: calls and verdicts. Read next: `apps.ts`.
 */
import type { Server } from 'node:http';
import { createGrpcServer, type GrpcServer, type HttpHandOver, nodeHttpHandOver } from '@quorate/grpc-server';
import { services as rpc } from '@quorate/proto';
import type { Services } from '../api/services.ts';
import type { Member } from '../member.ts';
import type { AccessRules } from './access.ts';
import type { HttpApp } from './app.ts';
import type { HttpApps } from './apps.ts';
import { CallMetrics } from './metrics/calls.ts';
import { memberMetrics } from './metrics/member.ts';
import { processMetrics } from './metrics/process.ts';
import type { MetricsSink, MetricsSource } from './metrics/source.ts';
import { anotherTurn } from './turns.ts';

export interface HttpFrontConfig {
  /** HTTP has listeners of its own: the client port then speaks gRPC alone. */
  readonly isApart: boolean;
  /** Serve health and metrics on their own listeners as well. */
  readonly hasMetricsListeners: boolean;
  readonly enableGateway: boolean;
  readonly access: AccessRules;
  readonly extensiveMetrics: boolean;
  readonly maxMessageBytes: number;
}

export interface HttpFront {
  /** For the gRPC transport; absent when HTTP is served apart. */
  readonly handOver: HttpHandOver | undefined;
  readonly observer: CallMetrics;
  /** Carries HTTP alone; null when there is nothing to carry. */
  readonly httpTransport: GrpcServer | null;
  readonly metricsTransport: GrpcServer | null;
  /** Adds what a part of the server tells about itself. */
  addMetrics(source: MetricsSource): void;
  /** Loads what is loaded late. */
  prepare(): void;
  /** Lets requests under way end, for `graceMs`; then ends all HTTP connections. A second call waits for the first. */
  close(graceMs: number): Promise<void>;
}

/** What `apps.ts` needs, in pieces that take 10 to 40 ms each; Fastify needs `node:http2`. */
const PARTS = [
  async () => process.getBuiltinModule('node:http2'),
  () => import('prom-client'),
  () => import('fastify'),
];

export function createHttpFront(member: Member, services: Services, config: HttpFrontConfig): HttpFront {
  const { env } = member;
  const observer = new CallMetrics(services.handlers, config.extensiveMetrics);
  const verdicts = new Verdicts();
  const startedMs = env.wallMs() - process.uptime() * 1000;
  const sources: MetricsSource[] = [
    memberMetrics(member),
    observer,
    rangeAndTxnMetrics(observer),
    verdicts,
    processMetrics(startedMs),
  ];
  let isClosed = false;
  let loading: Promise<HttpApps> | null = null;
  const made = new Map<'client' | 'metrics', Promise<HttpApp>>();
  const load = async (): Promise<HttpApps> => {
    // Part by part: all of it in one turn would stop the loop for a tenth of a second.
    for (const part of PARTS) {
      await part();
      await anotherTurn(env);
    }
    const { HttpApps } = await import('./apps.ts');
    await anotherTurn(env);
    return new HttpApps(member, services.handlers, config, {
      observer,
      sources,
      onVerdict: (type, name, isHealthy) => verdicts.add(type, name, isHealthy),
    });
  };
  const serverOf = (surface: 'client' | 'metrics') => async (): Promise<Server> => {
    if (isClosed) throw new Error('the HTTP front is closed');
    loading ??= load().catch((error: unknown) => {
      loading = null;
      throw error;
    });
    const app = loading.then((apps) => apps.create(surface));
    made.set(surface, app);
    try {
      return (await app).server;
    } catch (error) {
      env.log.log('error', 'HTTP cannot be served', { error });
      throw error;
    }
  };
  const client = nodeHttpHandOver(serverOf('client'));
  const httpTransport = config.isApart ? carrier(client) : null;
  const metrics = nodeHttpHandOver(serverOf('metrics'));
  const metricsTransport = config.hasMetricsListeners ? carrier(metrics) : null;
  let closing: Promise<unknown> | null = null;
  return {
    handOver: config.isApart ? undefined : client,
    observer,
    httpTransport,
    metricsTransport,
    addMetrics: (source) => sources.push(source),
    prepare() {
      client.prepare();
      if (metricsTransport !== null) metrics.prepare();
    },
    async close(graceMs) {
      isClosed = true;
      closing ??= Promise.all([
        httpTransport?.close({ graceMs }),
        metricsTransport?.close({ graceMs }),
        ...[...made.values()].map((app) =>
          app.then(
            ({ close }) => close(graceMs),
            () => {},
          ),
        ),
      ]);
      await closing;
    },
  };
}

/** The transport without a service: it tells HTTP/1.x from HTTP/2 and hands both over. */
function carrier(http: HttpHandOver): GrpcServer {
  return createGrpcServer({ handlers: new Map(), http });
}

function rangeAndTxnMetrics(observer: CallMetrics): MetricsSource {
  const { Range, Txn } = rpc['etcdserverpb.KV'];
  return {
    collect(sink) {
      sink.value('etcd_mvcc_range_total', observer.started(Range.path));
      sink.value('etcd_mvcc_txn_total', observer.started(Txn.path));
    },
  };
}

/** What health checks found. */
class Verdicts implements MetricsSource {
  #successes = 0;
  #failures = 0;
  readonly #checks = new Map<
    string,
    { readonly type: string; readonly name: string; last: number; success: number; error: number }
  >();

  add(type: 'health' | 'livez' | 'readyz', name: string, isHealthy: boolean): void {
    if (type === 'health') {
      if (isHealthy) this.#successes++;
      else this.#failures++;
      return;
    }
    const key = `${type} ${name}`;
    const check = this.#checks.get(key) ?? { type, name, last: 0, success: 0, error: 0 };
    this.#checks.set(key, check);
    check.last = Number(isHealthy);
    check[isHealthy ? 'success' : 'error']++;
  }

  collect(sink: MetricsSink): void {
    sink.value('etcd_server_health_success', this.#successes);
    sink.value('etcd_server_health_failures', this.#failures);
    for (const { type, name, last, success, error } of this.#checks.values()) {
      sink.value('etcd_server_healthcheck', last, { type, name });
      sink.value('etcd_server_healthchecks_total', success, { type, name, status: 'success' });
      sink.value('etcd_server_healthchecks_total', error, { type, name, status: 'error' });
    }
  }
}
