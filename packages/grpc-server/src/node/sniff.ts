/**
 * Tells HTTP/2 from HTTP/1.x by the first bytes of a socket: the client preface's first line, or anything else.
 *
 * `PRI` is no method of HTTP/1.x, so two or three bytes nearly always decide; until they do, more are awaited.
 */
import type { Socket } from 'node:net';
import { looksLikeHttp2 } from '../http2/connection.ts';

const ENOUGH_BYTES = 16;

/** Calls `decided` once: with the protocol and the bytes read so far, or with `gone` when the socket closed first. */
export function sniffProtocol(
  socket: Socket,
  decided: (protocol: 'h2' | 'http1' | 'gone', bytes: Buffer) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  const finish = (protocol: 'h2' | 'http1' | 'gone') => {
    socket.off('data', onData);
    socket.off('close', onClose);
    socket.off('end', onClose);
    decided(protocol, bytes);
  };
  const onData = (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    if (!looksLikeHttp2(bytes)) {
      // Nothing may be lost between here and the next owner's listeners.
      socket.pause();
      finish('http1');
    } else if (bytes.length >= ENOUGH_BYTES) finish('h2');
  };
  const onClose = () => {
    finish('gone');
    socket.destroy();
  };
  socket.on('data', onData);
  socket.on('close', onClose);
  socket.on('end', onClose);
}
