/**
 * The real `Network`: members over gRPC, on the peer port.
 *
 * Each member dials each other one twice (votes and heartbeats; the log), and once more for each snapshot, so that nothing
 * waits behind something larger; it hears from them on the connections that they dial. Calls share the connection of votes
 * and heartbeats. All of it is best effort and bounded (`options.ts`): what does not fit, or has no connection, is dropped and
 * reported, at most once a turn for each peer.
 *
 * Peers are those of the applied list, and callers of the same cluster that are not in it and were not removed: *remotes*. This
 * member may have been down when they were added, or when a member's URLs changed; what they send is how it comes to know. So
 * callers say where they are reached, and count as peers there too for as long as they have a stream open here.
 *
 * Both ends are `@quorate/grpc-server`'s: its listener has its bounds for hostile bytes already and tells HTTP/1 apart, its client
 * costs a fraction of grpc-js a message. Peers README: `README.md` here. Read next: `handshake.ts`, `link.ts`, `incoming.ts`.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import type { Server as HttpServer } from 'node:http';
import { createGrpcServer, type GrpcServer, nodeHttpHandOver } from '@quorate/grpc-server';
import type { EndpointUrl } from '../config/urls.ts';
import { formatId } from '../membership/ids.ts';
import type {
  CallHandler,
  MessageKind,
  Network,
  PeerReport,
  SnapshotContent,
  SnapshotListener,
} from '../network.ts';
import { PeerError } from './errors.ts';
import { FRAME_HEADER_BYTES } from './frames.ts';
import type { Identity } from './handshake.ts';
import { createPeerHttp } from './http.ts';
import { Incoming } from './incoming.ts';
import { LogGate } from './log-gate.ts';
import { Names } from './names.ts';
import { type ClusterView, type PeerLimits, type PeerNetworkOptions, peerLimits } from './options.ts';
import { Peer } from './peer.ts';
import { PeerTraffic } from './traffic.ts';

export interface PeerNetwork extends Network {
  readonly memberId: bigint;
  /** Where peers connect: `127.0.0.1:2380`, or the path of a socket. */
  readonly addresses: readonly string[];
  /** Members and remotes, and what went to and fro since they are known. */
  traffic(): Iterable<readonly [id: bigint, traffic: PeerTraffic]>;
}

/** How long after the last byte the transport looks whether a connection is still one, in silences. */
const LISTENER_PATIENCE = 2;

/** Resolves when it listens. @throws the listener's errors: nothing is left open then */
export async function createPeerNetwork(options: PeerNetworkOptions): Promise<PeerNetwork> {
  const network = new GrpcNetwork(options);
  try {
    for (const url of options.listenUrls) await network.listen(url);
  } catch (error) {
    await network.close();
    throw error;
  }
  return network;
}

class GrpcNetwork implements PeerNetwork {
  readonly memberId: bigint;
  readonly addresses: string[] = [];
  readonly #options: PeerNetworkOptions;
  readonly #own: Identity;
  readonly #limits: PeerLimits;
  readonly #gate: LogGate;
  readonly #names = new Names();
  /** As applied. */
  #members: ReadonlyMap<bigint, readonly string[]> = new Map();
  /** Where callers that have streams open say that they are reached. */
  readonly #named = new Map<bigint, readonly string[]>();
  /** Members and remotes. */
  readonly #peers = new Map<bigint, Peer>();
  readonly #traffic = new Map<bigint, PeerTraffic>();
  readonly #incoming: Incoming;
  /** Made when somebody asks over HTTP/1. */
  #http: HttpServer | null = null;
  readonly #server: GrpcServer;
  readonly #calls = new Map<string, CallHandler>();
  #onMessage: ((from: bigint, message: Uint8Array) => void) | null = null;
  #onSnapshot: SnapshotListener | null = null;
  #onReport: ((report: PeerReport) => void) | null = null;
  /** Peers whose drops are reported at the end of this turn. */
  readonly #dropped = new Set<bigint>();
  #removalTold = false;
  #closed: Promise<void> | null = null;

  constructor(options: PeerNetworkOptions) {
    this.#options = options;
    const { env, clusterId, memberId, serverVersion } = options;
    this.memberId = memberId;
    this.#own = {
      clusterId,
      memberId,
      serverVersion,
      peerUrls: () => options.describe().members.find(({ id }) => id === memberId)?.peerUrls ?? [],
    };
    this.#limits = peerLimits(options.electionMs, options.limits, options.maxRequestBytes);
    this.#gate = new LogGate(env);
    const limits = this.#limits;
    this.#incoming = new Incoming({
      env,
      own: this.#own,
      limits,
      gate: this.#gate,
      host: {
        isKnown: (id) => this.#isKnown(id),
        isRemoved: options.isRemoved,
        introduced: (from, peerUrls) => this.#introduced(from, peerUrls),
        left: (from) => this.#left(from),
        traffic: (from) => this.#trafficOf(from),
        heard: (from) => this.#peers.get(from)?.heard(),
        message: (from, bytes) => this.#onMessage?.(from, bytes),
        snapshotListener: () => this.#onSnapshot,
        callHandler: (method) => this.#calls.get(method) ?? null,
        describe: () => this.#describe(),
      },
    });
    this.#server = createGrpcServer({
      handlers: this.#incoming.handlers,
      http: nodeHttpHandOver(async () => {
        this.#http = createPeerHttp(() => this.#describe());
        return this.#http;
      }),
      env,
      limits: {
        maxRequestMessageBytes: limits.maxMessageBytes,
        // A peer has one stream a connection, and its calls.
        maxConcurrentStreams: limits.maxCalls + 16,
        maxHeaderListBytes: 16 * 1024,
        maxHeaderBlockBytes: 16 * 1024,
        streamWindowBytes: limits.snapshotWindowBytes,
        connectionWindowBytes: 4 * limits.snapshotWindowBytes,
      },
      keepalive: {
        minTimeMs: 0,
        permitWithoutStream: true,
        intervalMs: limits.silenceMs * LISTENER_PATIENCE,
        timeoutMs: limits.silenceMs * LISTENER_PATIENCE,
      },
      onConnectionEnd: ({ peer, kind, reason }) => {
        this.#gate.log(`connection ${kind}`, 'info', 'ended a connection on the peer port', {
          'remote-address': peer,
          kind,
          reason,
        });
      },
    });
  }

  async listen(url: EndpointUrl): Promise<void> {
    const secure = url.scheme === 'https' || url.scheme === 'unixs';
    const tls = secure && this.#options.tls !== undefined ? { tls: this.#options.tls } : {};
    if (secure && this.#options.tls === undefined) {
      throw new PeerError('PEER_FAILED', `${url.text} needs a certificate`);
    }
    if (url.scheme === 'unix' || url.scheme === 'unixs') {
      const path = `${url.host}:${url.port}`;
      // A socket file outlives its server; nobody but a server of this kind makes one there.
      if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
      await this.#server.listen({ path, ...tls });
      this.addresses.push(path);
      return;
    }
    const { host, port } = await this.#server.listen({ host: url.host, port: Number(url.port), ...tls });
    this.addresses.push(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
  }

  // ── Sending ────────────────────────────────────────────────────────────────────────────────────────────────────

  send(to: bigint, message: Uint8Array, kind: MessageKind): void {
    const peer = this.#peers.get(to);
    if (peer !== undefined && message.length + FRAME_HEADER_BYTES <= this.#limits.maxMessageBytes) {
      peer.send(message, kind);
      return;
    }
    if (peer !== undefined) {
      this.#gate.log(`long ${to}`, 'error', 'a message is longer than peers accept', {
        'remote-member-id': formatId(to),
        bytes: message.length,
      });
    }
    this.#drop(to);
  }

  sendSnapshot(to: bigint, message: Uint8Array, content: SnapshotContent): void {
    const peer = this.#peers.get(to);
    if (peer === undefined || message.length + FRAME_HEADER_BYTES > this.#limits.maxMessageBytes) {
      content.close();
      this.#options.env.afterPoll(() => this.#report({ to, what: 'snapshot-failed' }));
      return;
    }
    peer.sendSnapshot(message, content, (error) => {
      // Outside of the caller's turn, whatever ended it.
      this.#options.env.afterPoll(() => {
        this.#report({ to, what: error === null ? 'snapshot-ok' : 'snapshot-failed' });
      });
    });
  }

  call(
    to: bigint,
    method: string,
    request: Uint8Array,
    timeoutMs: number,
    done: (error: Error | null, response: Uint8Array | null) => void,
  ): void {
    const peer = this.#peers.get(to);
    if (peer !== undefined) {
      peer.call(method, request, timeoutMs, done);
      return;
    }
    const error = new PeerError('PEER_UNREACHABLE', `${formatId(to)} is not a peer of this member`);
    this.#options.env.afterPoll(() => done(error, null));
  }

  // ── Receiving ──────────────────────────────────────────────────────────────────────────────────────────────────

  onMessage(listener: (from: bigint, message: Uint8Array) => void): void {
    this.#onMessage = listener;
  }

  onSnapshot(listener: SnapshotListener): void {
    this.#onSnapshot = listener;
  }

  onCall(method: string, handler: CallHandler): void {
    this.#calls.set(method, handler);
  }

  onReport(listener: (report: PeerReport) => void): void {
    this.#onReport = listener;
  }

  // ── Peers ──────────────────────────────────────────────────────────────────────────────────────────────────────

  setPeers(peers: ReadonlyMap<bigint, readonly string[]>): void {
    if (this.#closed !== null) return;
    const before = this.#members;
    this.#members = new Map(peers);
    for (const id of this.#named.keys()) if (this.#options.isRemoved(id)) this.#named.delete(id);
    for (const [id, peer] of this.#peers) {
      const isRemote = !before.has(id) && !this.#options.isRemoved(id);
      if (peers.has(id) || isRemote) continue;
      this.#forget(id);
      peer.close();
    }
    for (const id of peers.keys()) this.#direct(id);
    this.#incoming.membershipChanged();
  }

  /** @param peerUrls where `from` says that it is reached; empty when it does not say so */
  #introduced(from: bigint, peerUrls: readonly string[]): boolean {
    if (this.#closed !== null) return false;
    if (!this.#isKnown(from)) {
      if (this.#peers.size - this.#members.size >= this.#limits.maxRemotes) return false;
      this.#gate.log(`remote ${from}`, 'info', 'let in a caller that is not known as a member here yet', {
        'remote-member-id': formatId(from),
        'peer-urls': peerUrls,
      });
    }
    if (peerUrls.length > 0) {
      this.#named.set(from, peerUrls);
      this.#direct(from);
    }
    return true;
  }

  #left(from: bigint): void {
    this.#named.delete(from);
    if (this.#members.has(from)) return;
    this.#peers.get(from)?.close();
    this.#forget(from);
  }

  #forget(id: bigint): void {
    this.#peers.delete(id);
    this.#named.delete(id);
    this.#traffic.delete(id);
  }

  /** Which of them is true shows when they are dialled: whoever answers says its id. */
  #direct(id: bigint): void {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = this.#newPeer(id);
      this.#peers.set(id, peer);
    }
    const [listed, named] = [this.#members.get(id) ?? [], this.#named.get(id) ?? []];
    peer.setUrls([...listed, ...named.filter((url) => !listed.includes(url))]);
  }

  #isKnown(id: bigint): boolean {
    return this.#peers.has(id) || this.#members.has(id) || this.#named.has(id);
  }

  #trafficOf(id: bigint): PeerTraffic {
    let traffic = this.#traffic.get(id);
    if (traffic === undefined) {
      traffic = new PeerTraffic();
      // What still comes of one who was just removed counts for nothing.
      if (this.#isKnown(id)) this.#traffic.set(id, traffic);
    }
    return traffic;
  }

  traffic(): Iterable<readonly [bigint, PeerTraffic]> {
    return this.#traffic;
  }

  connectedSince(id: bigint): number | null {
    return this.#peers.get(id)?.connectedSinceMs ?? null;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
    this.#incoming.close();
    this.#http?.closeAllConnections();
    await this.#server.close({ graceMs: 0 });
  }

  #newPeer(to: bigint): Peer {
    const { env, dialTls, snapshotBytesPerSec } = this.#options;
    return new Peer(
      {
        env,
        own: this.#own,
        to,
        limits: this.#limits,
        traffic: this.#trafficOf(to),
        connection: { names: this.#names, ...(dialTls === undefined ? {} : { dialTls }) },
        gate: this.#gate,
        snapshotBytesPerSec: snapshotBytesPerSec ?? Number.POSITIVE_INFINITY,
      },
      {
        onDrop: () => this.#drop(to),
        onRemoved: () => {
          // A remote is what it is by its own word only.
          if (this.#removalTold || !this.#members.has(to)) return;
          this.#removalTold = true;
          this.#options.onRemoved?.(to);
        },
      },
    );
  }

  #drop(to: bigint): void {
    if (this.#dropped.size === 0) {
      this.#options.env.afterPoll(() => {
        const dropped = [...this.#dropped];
        this.#dropped.clear();
        for (const id of dropped) this.#report({ to: id, what: 'unreachable' });
      });
    }
    this.#dropped.add(to);
  }

  #report(report: PeerReport): void {
    if (this.#closed === null) this.#onReport?.(report);
  }

  #describe(): ClusterView {
    return { ...this.#own, ...this.#options.describe() };
  }
}
