/** Who is at the other end of a socket. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

export interface PeerInfo {
  /** Address and port, for logs. */
  readonly address: string;
  /** Common name of the verified client certificate, or empty. */
  readonly commonName: string;
  readonly socket: Socket | TLSSocket;
}

export function identifyPeer(socket: Socket | TLSSocket): PeerInfo {
  const { remoteAddress = '', remotePort = 0 } = socket;
  const host = remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress;
  return {
    address: remoteAddress === '' ? 'local' : `${host}:${remotePort}`,
    commonName: isTls(socket) && socket.authorized ? commonName(socket) : '',
    socket,
  };
}

export function isTls(socket: Socket | TLSSocket): socket is TLSSocket {
  return 'encrypted' in socket;
}

function commonName(socket: TLSSocket): string {
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  // A subject with several common names is ambiguous: it names nobody.
  return typeof name === 'string' ? name : '';
}
