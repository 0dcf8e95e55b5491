/** The client: one object with the services on it. */
import type { Init, ServerStreamingMethod, UnaryMethod } from '@quorate/proto';
import { Cluster } from './cluster.ts';
import { Kv } from './kv.ts';
import { Leases } from './lease.ts';
import { Maintenance } from './maintenance.ts';
import { type CallOptions, type ConnectOptions, resolveOptions } from './options.ts';
import type { KeySelector } from './range.ts';
import { readStream } from './server-stream.ts';
import { type CallKind, Session } from './session.ts';
import type { Watch, WatchOptions } from './watch.ts';
import { WatchHub } from './watch-hub.ts';

export class Client implements AsyncDisposable {
  readonly kv: Kv;
  readonly lease: Leases;
  readonly cluster: Cluster;
  readonly maintenance: Maintenance;
  private readonly session: Session;
  /** One for watches that insist on a leader, one for those that do not: the choice belongs to the stream. */
  private readonly hubs = new Map<boolean, WatchHub>();

  constructor(options: ConnectOptions) {
    this.session = new Session(resolveOptions(options));
    this.kv = new Kv(this.session);
    this.lease = new Leases(this.session);
    this.cluster = new Cluster(this.session);
    this.maintenance = new Maintenance(this.session);
  }

  /** Watches one key or a range. The watch begins at once and goes on until it is cancelled or fails for good. */
  watch(selector: KeySelector, options: WatchOptions = {}): Watch {
    const requireLeader = options.requireLeader ?? this.session.settings.requireLeader;
    let hub = this.hubs.get(requireLeader);
    if (!hub) {
      hub = new WatchHub(this.session, requireLeader);
      this.hubs.set(requireLeader, hub);
    }
    return hub.watch(selector, options);
  }

  /** Asks for a progress report on all watches; it comes as a batch without events. */
  requestWatchProgress(): void {
    for (const hub of this.hubs.values()) hub.requestProgress();
  }

  /**
   * Any unary call of the API with its wire messages, under the same rules of endpoints, tokens and deadlines.
   * @param kind `read` when repeating the call does no harm
   */
  call<Q, R>(
    method: UnaryMethod<Q, R>,
    request: Init<Q>,
    kind: CallKind,
    options: CallOptions = {},
  ): Promise<R> {
    return this.session.unary(method, request, kind, options);
  }

  /**
   * Any call of the API that answers with a stream. Read as fast as the loop does; leaving the loop ends the call.
   * There is no time limit unless `timeoutMs` sets one.
   */
  stream<Q, R>(
    method: ServerStreamingMethod<Q, R>,
    request: Init<Q>,
    options: CallOptions = {},
  ): AsyncGenerator<R, void, void> {
    return readStream(this.session, method, request, options);
  }

  /** Ends everything that runs, with the error CLOSED. */
  close(): void {
    this.session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/**
 * A client for the endpoints given. Connections are made when first needed, so this does not fail when a server is
 * down; the first call does.
 */
export function connect(options: ConnectOptions | string): Client {
  return new Client(typeof options === 'string' ? { endpoints: options } : options);
}
