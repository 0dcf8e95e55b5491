/**
 * All links of a cluster, and a proxy in front of each listener through which they pass.
 *
 *   m1 ──▶ [proxy of m2] ──▶ m2     bytes there: link m1→m2, bytes back: link m2→m1
 *   clients ──▶ [client proxy of m2] ──▶ m2     links client→m2 and m2→client
 *
 * Members know each other by the proxies' addresses alone. Who calls is found by `socket-owner.ts`; a caller that is no
 * member counts as `client`.
 */
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { Link, type LinkQuality } from './link.ts';
import { ownerOf } from './socket-owner.ts';

export const CLIENT = 'client';

export class Mesh {
  readonly #links = new Map<string, Link>();
  readonly #servers = new Map<number, Server>();
  readonly #calls = new Map<number, number>();
  readonly #sockets = new Set<Socket>();
  /** Names of members by process id, as of now. */
  readonly #pids: () => ReadonlyMap<number, string>;

  constructor(pids: () => ReadonlyMap<number, string>) {
    this.#pids = pids;
  }

  link(from: string, to: string): Link {
    const name = `${from}>${to}`;
    const link = this.#links.get(name) ?? new Link(from, to);
    this.#links.set(name, link);
    return link;
  }

  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  /**
   * Listens on `port` for connections to `member`, which listens on `target`. `callers`: who comes there; finding out
   * which member it is costs time, clients are all the same.
   */
  proxy(member: string, port: number, target: number, callers: 'clients' | 'members'): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      this.#sockets.add(socket);
      this.#calls.set(port, this.callsTo(port) + 1);
      socket.on('error', () => {});
      socket.once('close', () => this.#sockets.delete(socket));
      if (callers === 'clients') this.#connect(member, CLIENT, socket, target);
      else void this.#callerOf(socket, port).then((caller) => this.#connect(member, caller, socket, target));
    });
    this.#servers.set(port, server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve());
    });
  }

  /** Connections made to the proxy on `port` so far. */
  callsTo(port: number): number {
    return this.#calls.get(port) ?? 0;
  }

  /** Nobody gets through to `port` any more; connections that are there stay. */
  unlisten(port: number): void {
    this.#servers.get(port)?.close();
    this.#servers.delete(port);
  }

  async #callerOf(socket: Socket, port: number): Promise<string> {
    const pids = this.#pids();
    const owner = await ownerOf(socket.remotePort ?? 0, port, [...pids.keys()]);
    return owner === null ? CLIENT : (pids.get(owner) ?? CLIENT);
  }

  #connect(member: string, caller: string, socket: Socket, target: number): void {
    if (socket.destroyed) return;
    const onward = dial({ host: '127.0.0.1', port: target, allowHalfOpen: true, noDelay: true });
    socket.setNoDelay(true);
    this.#sockets.add(onward);
    onward.on('error', () => {});
    onward.once('close', () => this.#sockets.delete(onward));
    // Nobody listens there: say so as the system would.
    onward.once('error', () => socket.resetAndDestroy());
    this.link(caller, member).carry(socket, onward);
    this.link(member, caller).carry(onward, socket);
    socket.resume();
  }

  /** Cuts every link from one of `these` to one of `those`. */
  cut(
    these: readonly string[],
    those: readonly string[],
    quality: Partial<LinkQuality> = { held: true },
  ): void {
    for (const from of these) for (const to of those) if (from !== to) this.link(from, to).set(quality);
  }

  healAll(): void {
    for (const link of this.#links.values()) link.set({});
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(
      [...this.#servers.values()].map((server) => new Promise((resolve) => server.close(resolve))),
    );
  }
}
