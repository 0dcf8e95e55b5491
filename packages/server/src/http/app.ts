/**
 * The HTTP face of a member, on Fastify: gateway, versions, health, metrics.
 *
 * Two apps are made of it: `client` has everything and guards it (Host, CORS); `metrics`, for `--listen-metrics-urls`, has health and metrics
 * alone. An app listens nowhere by itself: `@quorate/grpc-server` hands it the connections and requests of a port that
 * are not gRPC. Routing is Fastify's; bodies are left to the gateway, which reads them bounded and in its own time.
 *
 * Read next: `gateway/gateway.ts`, `health.ts`, `metrics/`.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { etcdApi } from '@quorate/proto';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Member } from '../member.ts';
import { Access, type AccessRules, hostRefusal } from './access.ts';
import { cleanPath, movedPage } from './clean-path.ts';
import { type Gateway, send } from './gateway/gateway.ts';
import { PREFIXES } from './gateway/routes.ts';
import { WebSocketStreams } from './gateway/web-socket.ts';
import { Health } from './health.ts';
import { fdLimit } from './metrics/process.ts';
import { anotherTurn } from './turns.ts';
import { refuseUnreadable } from './unreadable.ts';

export interface HttpAppOptions {
  readonly surface: 'client' | 'metrics';
  readonly member: Member;
  /** Null: `--enable-grpc-gateway=false`. */
  readonly gateway: Gateway | null;
  readonly access: AccessRules;
  /** The text of `/metrics`. */
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  /** Counts verdicts: of `/health`, and of each check behind `/livez` and `/readyz`. */
  readonly onVerdict: (type: 'health' | 'livez' | 'readyz', name: string, isHealthy: boolean) => void;
}

export interface HttpApp {
  /** Takes connections; see `nodeHttpHandOver`. */
  readonly server: Server;
  /** Lets requests under way end, for `graceMs`; then cuts all connections. */
  close(graceMs: number): Promise<void>;
}

const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' };
/** What Go sends with every plain error. */
const ERROR_TEXT = { ...TEXT, 'X-Content-Type-Options': 'nosniff' };
const JSON_TYPE = { 'Content-Type': 'application/json' };
const HTML = { 'Content-Type': 'text/html; charset=utf-8' };

/** A head that does not come, or does not end. */
const HEAD_TIMEOUT_MS = 60_000;
/** Silence after which the system asks whether the other end is still there. */
const KEEP_ALIVE_MS = 30_000;

export async function createHttpApp(options: HttpAppOptions): Promise<HttpApp> {
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    routerOptions: { caseSensitive: true, maxParamLength: 256 },
    return503OnClosing: false,
    clientErrorHandler: refuseUnreadable,
    frameworkErrors: (_error, request, reply) => {
      reply.hijack();
      send(request.raw, reply.raw, 400, ERROR_TEXT, '400 Bad Request');
    },
    http: { headersTimeout: HEAD_TIMEOUT_MS, requestTimeout: 0, maxHeaderSize: 64 * 1024 },
  });
  // Bodies stay unread until a route reads them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));

  // Each of these steps takes 10 to 20 ms.
  const { env } = options.member;
  await anotherTurn(env);
  const face = new Face(app, options);
  face.addRoutes();
  await anotherTurn(env);
  await app.ready();
  const { server } = app;
  // A stream may be silent for days; a caller whose machine is gone is noticed all the same (Go's servers do it, too).
  server.on('connection', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    face.upgrade(request, socket, head),
  );
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // A body that would be refused need not be sent at all.
    if (Number(request.headers['content-length'] ?? 0) <= face.maxBodyBytes) response.writeContinue();
    server.emit('request', request, response);
  });
  const open = new Set<ServerResponse>();
  let onIdle: () => void = () => {};
  server.on('request', (_request: IncomingMessage, response: ServerResponse) => {
    open.add(response);
    response.on('close', () => {
      open.delete(response);
      if (open.size === 0) onIdle();
    });
  });
  return {
    server,
    async close(graceMs) {
      if (open.size > 0 && graceMs > 0) {
        await new Promise<void>((resolve) => {
          const timer = options.member.env.setTimer(graceMs, resolve);
          onIdle = () => {
            timer.cancel();
            resolve();
          };
        });
      }
      face.close();
      server.closeAllConnections();
      await app.close();
    },
  };
}

class Face {
  readonly #app: FastifyInstance;
  readonly #options: HttpAppOptions;
  readonly #access: Access;
  readonly #health: Health;
  readonly #webSockets: WebSocketStreams | null;
  /** Paths that exist for GET alone. */
  readonly #getPaths = new Set<string>();

  constructor(app: FastifyInstance, options: HttpAppOptions) {
    this.#app = app;
    this.#options = options;
    this.#access = new Access(options.access);
    this.#health = new Health(options.member);
    this.#webSockets = options.gateway === null ? null : new WebSocketStreams(options.gateway);
  }

  get maxBodyBytes(): number {
    return this.#options.gateway?.maxBodyBytes ?? 0;
  }

  close(): void {
    this.#webSockets?.close();
    this.#options.gateway?.close();
  }

  addRoutes(): void {
    const isClient = this.#options.surface === 'client';
    if (isClient) {
      this.#app.addHook('onRequest', (request, reply, done) => {
        if (this.#admit(request.raw, reply.raw)) done();
        else reply.hijack();
      });
      this.#addGateway();
      this.#get('/version', (reply) => this.#send(reply, 200, JSON_TYPE, this.#versions()));
      this.#get('/debug/vars', (reply) => this.#send(reply, 200, JSON_TYPE, this.#variables()));
    }
    this.#addHealth();
    // Whatever the method, as Prometheus's own handler in Go.
    this.#app.all('/metrics', (_request, reply) => {
      reply.hijack();
      const { contentType } = this.#options.metrics;
      this.#options.metrics.text().then(
        (text) => this.#send(reply, 200, { 'Content-Type': contentType }, text),
        (error: Error) => this.#send(reply, 500, ERROR_TEXT, `${error.message}\n`),
      );
    });
    this.#app.setNotFoundHandler((request, reply) => {
      reply.hijack();
      this.#notFound(request.raw, reply.raw);
    });
  }

  /** Host, CORS and OPTIONS, before any route. @returns false when the request is answered */
  #admit(request: IncomingMessage, response: ServerResponse): boolean {
    if (!this.#access.allowsHost(request.headers)) {
      send(request, response, 421, ERROR_TEXT, hostRefusal(request.headers));
      return false;
    }
    for (const [name, value] of this.#access.corsFields(request.headers)) response.setHeader(name, value);
    if (request.method !== 'OPTIONS') return true;
    send(request, response, 200, {}, '');
    return false;
  }

  #get(path: string, answer: (reply: FastifyReply, request: FastifyRequest) => void): void {
    this.#getPaths.add(path);
    this.#app.get(path, (request, reply) => {
      reply.hijack();
      answer(reply, request);
    });
  }

  #send(reply: FastifyReply, code: number, fields: Readonly<Record<string, string>>, body: string): void {
    send(reply.request.raw, reply.raw, code, fields, body);
  }

  // ── Gateway ────────────────────────────────────────────────────────────────────────────────────────────────────

  #addGateway(): void {
    const { gateway } = this.#options;
    if (gateway === null) return;
    for (const { path, verbs, method } of gateway.routes) {
      for (const prefix of PREFIXES) {
        this.#app.route({
          method: [...verbs],
          url: prefix + path,
          // Before Fastify judges the content type, which says nothing here (etcd does not look at it either).
          onRequest: (request, reply, _next) => {
            reply.hijack();
            if (this.#access.isForgeable(request.raw.headers)) {
              const complaint = 'requests of other origins must have the content type application/json';
              this.#send(reply, 415, JSON_TYPE, JSON.stringify({ code: 3, message: complaint }));
            } else gateway.handle(method, request.raw, reply.raw);
          },
          handler: () => {},
        });
      }
    }
  }

  /** WebSockets for streams; any other protocol that is offered is not taken, and the request is served as it is. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = (request.url ?? '').replace(/\?.*$/s, '');
    const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
    if (!isWebSocket) {
      this.#withoutUpgrade(request, socket, head);
      return;
    }
    const prefix = PREFIXES.find((each) => path.startsWith(`${each}/`));
    const route = this.#options.gateway?.routes.find((each) => prefix + each.path === path);
    const refuse = (status: string): void => {
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    };
    if (!this.#access.allowsHost(request.headers)) refuse('421 Misdirected Request');
    else if (!this.#access.allowsPage(request.headers, true)) refuse('403 Forbidden');
    else if (route === undefined || this.#webSockets === null) refuse('404 Not Found');
    else if (!route.method.responseStream) refuse('400 Bad Request');
    else this.#webSockets.upgrade(route.method, request, socket, head);
  }

  /**
   * `curl --http2` offers h2c, for instance. Node has taken the connection from its parser by now, so the head is put
   * back without the offer and the connection begins anew.
   */
  #withoutUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const lines = [`${request.method} ${request.url} HTTP/1.1`];
    const { rawHeaders } = request;
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      if (!/^(upgrade|connection|http2-settings)$/i.test(rawHeaders[at]!)) {
        lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
      }
    }
    socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
    this.#app.server.emit('connection', socket);
  }

  /** What no route takes, in the words of the part that would have. */
  #notFound(request: IncomingMessage, response: ServerResponse): void {
    const { url = '' } = request;
    const path = url.replace(/\?.*$/s, '');
    const clean = cleanPath(path);
    if (clean !== path && (this.#isRoute(clean) || this.#getPaths.has(clean) || clean === '/metrics')) {
      const location = clean + url.slice(path.length);
      if (request.method === 'GET' || request.method === 'HEAD') {
        send(request, response, 301, { ...HTML, Location: location }, movedPage(location));
      } else send(request, response, 301, { Location: location }, '');
    } else if (PREFIXES.some((each) => path.startsWith(`${each}/`)) && this.#options.gateway !== null) {
      if (this.#isRoute(path))
        send(request, response, 501, JSON_TYPE, '{"code":12,"message":"Method Not Allowed"}');
      else send(request, response, 404, JSON_TYPE, '{"code":5,"message":"Not Found"}');
    } else if (this.#getPaths.has(path)) {
      send(request, response, 405, { ...ERROR_TEXT, Allow: 'GET' }, 'Method Not Allowed\n');
    } else send(request, response, 404, ERROR_TEXT, '404 page not found\n');
  }

  /** Of the gateway, whatever the method. */
  #isRoute(path: string): boolean {
    const prefix = PREFIXES.find((each) => path.startsWith(`${each}/`));
    return this.#options.gateway?.routes.some((route) => prefix + route.path === path) ?? false;
  }

  // ── Status ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #versions(): string {
    const { clusterVersion } = this.#options.member;
    return JSON.stringify({
      etcdserver: etcdApi.version,
      etcdcluster: clusterVersion ?? 'not_decided',
      storage: etcdApi.version,
    });
  }

  /** Go's expvar, as far as there is something to say. */
  #variables(): string {
    const { member } = this.#options;
    return JSON.stringify({
      cmdline: process.argv,
      memstats: process.memoryUsage(),
      file_descriptor_limit: fdLimit() ?? 0,
      'raft.status': {
        id: member.memberId.toString(16),
        term: member.term,
        lead: member.leader.toString(16),
        commit: member.committedIndex,
        applied: member.appliedIndex,
        raftState: member.leader === member.memberId ? 'StateLeader' : 'StateFollower',
      },
    });
  }

  #addHealth(): void {
    this.#get('/health', (reply, request) => {
      const query = parameters(request);
      const exclude = query.getAll('exclude').filter((name) => name !== '');
      this.#health.judge({ exclude, serializable: query.get('serializable') === 'true' }, (reason) => {
        this.#options.onVerdict('health', '', reason === null);
        const body = JSON.stringify({ health: reason === null ? 'true' : 'false', reason: reason ?? '' });
        if (reason === null) this.#send(reply, 200, TEXT, body);
        else this.#send(reply, 503, ERROR_TEXT, `${body}\n`);
      });
    });
    for (const type of ['livez', 'readyz'] as const) {
      const checks = this.#health.checks[type];
      this.#get(`/${type}`, (reply, request) => {
        const excluded = parameters(request).getAll('exclude');
        this.#runChecks(
          type,
          new Map([...checks].filter(([name]) => !excluded.includes(name))),
          reply,
          request,
        );
      });
      for (const [name, check] of checks) {
        this.#get(`/${type}/${name}`, (reply, request) =>
          this.#runChecks(type, new Map([[name, check]]), reply, request),
        );
      }
    }
  }

  #runChecks(
    type: 'livez' | 'readyz',
    checks: Parameters<Health['run']>[0],
    reply: FastifyReply,
    request: FastifyRequest,
  ): void {
    this.#health.run(checks, (verdicts) => {
      const lines: string[] = [];
      let isHealthy = true;
      for (const [name, reason] of verdicts) {
        this.#options.onVerdict(type, name, reason === null);
        isHealthy &&= reason === null;
        lines.push(reason === null ? `[+]${name} ok\n` : `[-]${name} failed: ${reason}\n`);
      }
      const isVerbose = parameters(request).has('verbose');
      if (isHealthy) this.#send(reply, 200, ERROR_TEXT, `${isVerbose ? lines.join('') : ''}ok\n`);
      else this.#send(reply, 503, ERROR_TEXT, lines.join(''));
    });
  }
}

/** Of the query, whatever it looks like. */
function parameters(request: FastifyRequest): URLSearchParams {
  const { url = '' } = request.raw;
  const mark = url.indexOf('?');
  return new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
}
