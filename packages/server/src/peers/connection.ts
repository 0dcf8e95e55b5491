/**
 * One connection to a peer: a grpc-js client that shares it with no other, and a hand on its socket.
 *
 * grpc-js closes connections politely: it waits for what is under way, and one that leads nowhere stays open until the
 * kernel gives up. Members cannot wait, so the credentials that every channel passes its new socket through are wrapped,
 * and `destroy` ends the socket itself. Nor are its own retries used: a connection that fails is replaced by a new one
 * (`link.ts`), at a pace that suits elections and with addresses looked up again.
 */
import type { Socket } from 'node:net';
import {
  ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type experimental,
  type Metadata,
} from '@grpc/grpc-js';
import { parseUrl } from '../config/urls.ts';

export interface ConnectionOptions {
  readonly maxMessageBytes: number;
  /** For `https` URLs. */
  readonly credentials?: ChannelCredentials;
}

export class Connection {
  readonly #client: Client;
  readonly #held: HeldCredentials;

  /** Connects when the first call is made. @throws Error when `url` is no URL */
  constructor(url: string, options: ConnectionOptions) {
    const { scheme, host, port } = parseUrl(url);
    const secure = scheme === 'https' || scheme === 'unixs';
    const unix = scheme === 'unix' || scheme === 'unixs';
    this.#held = new HeldCredentials(
      secure ? (options.credentials ?? ChannelCredentials.createSsl()) : ChannelCredentials.createInsecure(),
    );
    const target = unix
      ? `unix:${host}:${port}`
      : host.includes(':')
        ? `[${host}]:${port}`
        : `${host}:${port}`;
    this.#client = new Client(target, this.#held, channelOptions(options.maxMessageBytes));
  }

  stream(path: string, metadata: Metadata): ClientDuplexStream<Buffer, Buffer> {
    return this.#client.makeBidiStreamRequest(path, identity, identity, metadata);
  }

  /** @returns cancels it; `done` is then called with an error */
  unary(
    path: string,
    metadata: Metadata,
    request: Buffer,
    done: (error: Error | null, response: Buffer | undefined) => void,
  ): () => void {
    const call = this.#client.makeUnaryRequest(path, identity, identity, request, metadata, done);
    return () => call.cancel();
  }

  destroy(): void {
    this.#held.release();
    this.#client.close();
  }
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

function channelOptions(maxMessageBytes: number): ChannelOptions {
  return {
    'grpc.use_local_subchannel_pool': 1,
    // Repeats are Raft's business, and a buffer of messages to repeat would only cost.
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
    // A proxy for the machine's web traffic is no way to a peer.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
  };
}

/** Passes sockets through `inner`, and keeps hold of them. */
class HeldCredentials extends ChannelCredentials {
  readonly #inner: ChannelCredentials;
  readonly #sockets = new Set<Socket>();
  #released = false;

  constructor(inner: ChannelCredentials) {
    super();
    this.#inner = inner;
  }

  /** Destroys what is connected, and what will be. */
  release(): void {
    this.#released = true;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  #hold(socket: Socket): void {
    if (this.#released) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  override _isSecure(): boolean {
    return this.#inner._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    ...parts: Parameters<ChannelCredentials['_createSecureConnector']>
  ): experimental.SecureConnector {
    const connector = this.#inner._createSecureConnector(...parts);
    return {
      connect: async (socket) => {
        this.#hold(socket);
        const result = await connector.connect(socket);
        if (result.socket !== socket) this.#hold(result.socket);
        return result;
      },
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  }
}
