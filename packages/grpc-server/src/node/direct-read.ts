/**
 * Chunks of a socket, handed on as they are read.
 *
 * Node's readable stream adds an event and a `nextTick` to every chunk, which is a twentieth of what a lone call costs. What a socket
 * has read it gives to its own `push`, so a `push` of ours takes chunks before the stream does; the end still goes to the stream.
 * A socket that reads in another way (TLS may, a pair of streams does) keeps its 'data' events.
 */
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** Calls `onChunk` with everything that `socket` reads from now on. Nothing may pause the socket. */
export function readDirectly(socket: Socket, onChunk: (chunk: Buffer) => void): void {
  // Also what makes the socket read.
  socket.on('data', onChunk);
  if (!(socket instanceof Socket) || socket instanceof TLSSocket) return;
  const push = socket.push.bind(socket);
  socket.push = (chunk: Buffer | null): boolean => {
    // What the stream has kept comes first.
    if (chunk === null || socket.readableLength > 0) return push(chunk);
    onChunk(chunk);
    return true;
  };
}
