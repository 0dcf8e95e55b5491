/**
 * Stands between two members on loopback and does to their connections what networks do: nothing, swallow everything, reset in the
 * middle of it, or let bytes through one by one.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface ProxyFaults {
  /** Neither bytes nor ends of connections get through; established connections just fall silent. */
  swallow: boolean;
  /** Resets each connection once so many bytes of the dialling side have passed. */
  resetAfterBytes: number;
  /** Of the dialling side, for each connection. */
  bytesPerSec: number;
}

export class TcpProxy {
  readonly faults: ProxyFaults = {
    swallow: false,
    resetAfterBytes: Number.POSITIVE_INFINITY,
    bytesPerSec: Number.POSITIVE_INFINITY,
  };
  targetPort: number;
  /** Connections of the dialling side that are open; and those there ever were. */
  readonly dialled = new Set<Socket>();
  /** Their other halves. */
  readonly accepted = new Set<Socket>();
  dialledCount = 0;
  resetCount = 0;
  readonly #server: Server;

  private constructor(targetPort: number) {
    this.targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: false }, (socket) => this.#join(socket));
  }

  static open(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    return new Promise((resolve) => proxy.#server.listen(0, '127.0.0.1', () => resolve(proxy)));
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  resetAll(): void {
    for (const socket of [...this.dialled, ...this.accepted]) socket.resetAndDestroy();
  }

  close(): Promise<void> {
    this.resetAll();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #join(dialled: Socket): void {
    const accepted = connect(this.targetPort, '127.0.0.1');
    this.dialledCount++;
    keep(this.dialled, dialled);
    keep(this.accepted, accepted);
    let passedBytes = 0;
    dialled.on('data', (bytes) => {
      if (this.faults.swallow) return;
      const left = this.faults.resetAfterBytes - passedBytes;
      passedBytes += bytes.length;
      if (bytes.length >= left) {
        accepted.write(bytes.subarray(0, left), () => {
          this.resetCount++;
          dialled.resetAndDestroy();
          accepted.resetAndDestroy();
        });
        dialled.pause();
        return;
      }
      this.#pass(bytes, dialled, accepted);
    });
    accepted.on('data', (bytes) => {
      if (!this.faults.swallow) dialled.write(bytes);
    });
    dialled.on('close', () => {
      if (!this.faults.swallow) accepted.destroy();
    });
    accepted.on('close', () => {
      if (!this.faults.swallow) dialled.destroy();
    });
  }

  #pass(bytes: Buffer, from: Socket, to: Socket): void {
    to.write(bytes);
    const { bytesPerSec } = this.faults;
    if (bytesPerSec === Number.POSITIVE_INFINITY) return;
    from.pause();
    setTimeout(() => from.resume(), (bytes.length / bytesPerSec) * 1_000);
  }
}

function keep(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on('error', () => {});
  socket.on('close', () => sockets.delete(socket));
}
