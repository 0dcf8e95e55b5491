/** A `net` or `tls` socket as a connection sees it. Node's stream quirks stay here. */
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Wire } from '../http2/wire.ts';

export class SocketWire implements Wire {
  readonly #socket: Socket;
  /** The kernel copies what is written. TLS, and what only looks like a socket, may hold it in layers of their own. */
  readonly #isPlain: boolean;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#isPlain = socket instanceof Socket && !(socket instanceof TLSSocket);
  }

  write(chunks: Buffer[]): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return true;
    if (chunks.length === 1) return socket.write(chunks[0]!);
    // Corked writes leave in one writev.
    socket.cork();
    let takesMore = true;
    for (const chunk of chunks) takesMore = socket.write(chunk);
    socket.uncork();
    return takesMore;
  }

  /** Nearly always true after `write`: the system call is made at once, and counts as buffered is what it did not take. */
  get isEmpty(): boolean {
    return this.#isPlain && this.#socket.writableLength === 0;
  }

  end(): void {
    if (!this.#socket.writableEnded) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
