/**
 * A stream to a peer, on a connection of its own, from dialling to its end.
 *
 *     opening ──welcome──▶ open ──▶ ended
 *        └───── refusal, error, handshake timeout ────┘
 *
 * It ends once, with the reason, and takes its connection along. What is written goes into the connection's buffers
 * until `inFlightBytes` are there and have not reached the socket; `hasRoom` says so, `onRoom` when that is over.
 */
import type { ClientCall } from '@quorate/grpc-server';
import { parseUrl } from '../config/urls.ts';
import type { Env, Timer } from '../env.ts';
import { formatId } from '../membership/ids.ts';
import { type CallMetadata, Connection, type ConnectionOptions } from './connection.ts';
import { PeerError } from './errors.ts';
import { decodeFrames, type Frame, FrameKind, readTexts } from './frames.ts';
import { type Identity, parseId } from './handshake.ts';
import type { Names } from './names.ts';
import type { PeerTraffic } from './traffic.ts';

export interface OutgoingStreamOptions extends ConnectionOptions {
  readonly env: Env;
  readonly names: Names;
  readonly url: string;
  readonly path: string;
  readonly metadata: CallMetadata;
  readonly own: Identity;
  readonly to: bigint;
  readonly handshakeMs: number;
  readonly inFlightBytes: number;
  readonly traffic: PeerTraffic;
}

export interface OutgoingStreamListener {
  onOpen(): void;
  onFrame(frame: Frame): void;
  onRoom(): void;
  /** Once, and nothing after it; also when opening failed. Never before the constructor returned. */
  onEnd(error: PeerError): void;
}

export class OutgoingStream {
  readonly #options: OutgoingStreamOptions;
  readonly #listener: OutgoingStreamListener;
  #state: 'opening' | 'open' | 'ended' = 'opening';
  #connection: Connection | null = null;
  #call: ClientCall | null = null;
  #timer: Timer | null = null;
  #calls = new Map<object, (error: Error) => void>();

  constructor(options: OutgoingStreamOptions, listener: OutgoingStreamListener) {
    this.#options = options;
    this.#listener = listener;
    const { env, handshakeMs } = options;
    this.#timer = env.setTimer(handshakeMs, () => {
      // What the sockets have brought meanwhile may be the welcome.
      env.afterPoll(() => {
        if (this.#state === 'opening') this.end(new PeerError('PEER_TIMEOUT', 'no answer to the handshake'));
      });
    });
    const fail = (error: Error): void => {
      env.afterPoll(() => this.end(new PeerError('PEER_UNREACHABLE', error.message, { cause: error })));
    };
    const dial = (): void => {
      try {
        this.#dial();
      } catch (error) {
        fail(error as Error);
      }
    };
    try {
      const { scheme, host } = parseUrl(options.url);
      // A socket's file has no name that anybody resolves.
      if (scheme === 'unix' || scheme === 'unixs') dial();
      else {
        options.names.find(host, (error) => {
          if (this.#state === 'ended') return;
          if (error === null) dial();
          else fail(error);
        });
      }
    } catch (error) {
      fail(error as Error);
    }
  }

  #dial(): void {
    const { url, path, metadata } = this.#options;
    this.#connection = new Connection(url, this.#options);
    this.#call = this.#connection.stream(path, metadata, {
      onMessage: (message) => this.#receive(message),
      onEnd: (_status, message) => {
        this.end(new PeerError('PEER_UNREACHABLE', message === '' ? 'the peer ended the stream' : message));
      },
      onRoom: () => {
        if (this.#state === 'open' && this.hasRoom) this.#listener.onRoom();
      },
    });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get hasRoom(): boolean {
    return this.#call !== null && this.#call.unsentBytes < this.#options.inFlightBytes;
  }

  /** Once it is open. @param message one gRPC message: the stream owns it from here on */
  write(message: Buffer): void {
    if (this.#state !== 'open') return;
    this.#options.traffic.sentBytes += message.length;
    this.#call!.write(message);
  }

  /** A unary call on the same connection. It ends with the stream. @returns cancels it */
  call(
    path: string,
    metadata: CallMetadata,
    request: Buffer,
    done: (error: Error | null, response: Uint8Array | undefined) => void,
  ): () => void {
    const key = {};
    const finish = (error: Error | null, response: Uint8Array | undefined): void => {
      if (this.#calls.delete(key)) done(error, response);
    };
    this.#calls.set(key, (error) => finish(error, undefined));
    this.#options.traffic.sentBytes += request.length;
    const cancel = this.#connection!.unary(path, metadata, request, (error, response) => {
      finish(error, response);
    });
    return () => {
      this.#calls.delete(key);
      cancel();
    };
  }

  get callCount(): number {
    return this.#calls.size;
  }

  end(error: PeerError): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#timer?.cancel();
    // First of all: what the connection would say to them is not the reason.
    for (const fail of [...this.#calls.values()]) fail(error);
    this.#call?.cancel();
    this.#connection?.destroy();
    this.#listener.onEnd(error);
  }

  #receive(message: Uint8Array): void {
    try {
      for (const frame of decodeFrames(message)) {
        if (this.#state === 'ended') return;
        this.#take(frame);
      }
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.end(error);
    }
  }

  #take(frame: Frame): void {
    switch (frame.kind) {
      case FrameKind.welcome:
        this.#welcome(frame);
        return;
      case FrameKind.refusal:
        this.end(this.#refusal(frame));
        return;
      default:
        if (this.#state === 'opening') throw new PeerError('PEER_PROTOCOL', 'a frame before the welcome');
        this.#listener.onFrame(frame);
    }
  }

  #welcome(frame: Frame): void {
    if (this.#state === 'open') throw new PeerError('PEER_PROTOCOL', 'a second welcome');
    const { memberId } = readTexts(frame, 'memberId');
    if (parseId(memberId) !== this.#options.to) {
      throw new PeerError('PEER_OTHER_MEMBER', `this is member ${memberId.slice(0, 32)}`);
    }
    this.#timer?.cancel();
    this.#state = 'open';
    this.#listener.onOpen();
  }

  /** Only the member that was meant, in this cluster, can say that we are no part of it. */
  #refusal(frame: Frame): PeerError {
    const { code, message, clusterId, memberId } = readTexts(
      frame,
      'code',
      'message',
      'clusterId',
      'memberId',
    );
    const { own, to } = this.#options;
    const isThePeer = clusterId === formatId(own.clusterId) && memberId === formatId(to);
    return new PeerError(code === 'PEER_REMOVED' && !isThePeer ? 'PEER_OTHER_MEMBER' : code, message);
  }
}
