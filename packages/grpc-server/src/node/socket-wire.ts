/** A `net` or `tls` socket as a connection sees it. Node's stream quirks stay here. */
import type { Socket } from 'node:net';
import type { Wire } from '../http2/wire.ts';

export class SocketWire implements Wire {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
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

  end(): void {
    if (!this.#socket.writableEnded) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
