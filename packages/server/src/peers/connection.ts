/**
 * One connection to a peer: a socket, and the calls that go along with it.
 *
 * It is made anew by who owns it (`link.ts`), at a pace that suits elections and with addresses looked up again; nothing is
 * repeated here. `destroy` ends the socket at once: members cannot wait for what is under way.
 */
import { connect, type Socket } from 'node:net';
import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls';
import { type ClientCall, type ClientCallListener, GrpcClient, Status } from '@quorate/grpc-server';
import { parseUrl } from '../config/urls.ts';

export interface ConnectionOptions {
  readonly maxMessageBytes: number;
  /** For `https` URLs: what is presented, and whom to believe. */
  readonly dialTls?: TlsConnectionOptions;
}

/** What a caller says of itself. */
export type CallMetadata = ReadonlyMap<string, string>;

export class Connection {
  readonly #client: GrpcClient;

  /** Connects at once. @throws Error when `url` is no URL */
  constructor(url: string, options: ConnectionOptions) {
    const { scheme, host, port } = parseUrl(url);
    const isSecure = scheme === 'https' || scheme === 'unixs';
    const isFile = scheme === 'unix' || scheme === 'unixs';
    const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const target = isFile ? { path: `${host}:${port}` } : { host, port: Number(port), noDelay: true };
    const socket = isSecure
      ? connectSecurely({ ...target, ...options.dialTls }, isFile ? 'localhost' : host)
      : connect(target);
    this.#client = new GrpcClient(socket, {
      scheme: isSecure ? 'https' : 'http',
      authority: isFile ? 'localhost' : authority,
      maxMessageBytes: options.maxMessageBytes,
      // Who is about to go is no peer to wait for.
      onGoaway: (reason) => this.#client.destroy(new Error(reason)),
    });
  }

  stream(path: string, metadata: CallMetadata, listener: ClientCallListener): ClientCall {
    return this.#client.call(path, metadata, listener);
  }

  /** @returns cancels it: `done` is not called then */
  unary(
    path: string,
    metadata: CallMetadata,
    request: Uint8Array,
    done: (error: Error | null, response: Uint8Array | undefined) => void,
  ): () => void {
    let response: Uint8Array | undefined;
    const call = this.#client.call(
      path,
      metadata,
      {
        onMessage: (message) => {
          if (response === undefined) {
            response = Uint8Array.from(message);
            return;
          }
          call.cancel();
          done(new Error('the peer answered twice'), undefined);
        },
        onEnd: (status, message) => {
          if (status === Status.OK) done(null, response);
          else done(new Error(message), undefined);
        },
      },
      request,
    );
    return () => call.cancel();
  }

  destroy(): void {
    this.#client.destroy(new Error('this side has closed'));
  }
}

function connectSecurely(options: TlsConnectionOptions, host: string): Socket {
  // Loaded by those who need it: it takes its time.
  const { isIP } = process.getBuiltinModule('node:net');
  const tls = process.getBuiltinModule('node:tls');
  const socket = tls.connect({
    ALPNProtocols: ['h2'],
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...options,
  });
  socket.once('secureConnect', () => {
    if (socket.alpnProtocol !== 'h2') socket.destroy(new Error('the peer does not speak HTTP/2'));
  });
  return socket;
}
