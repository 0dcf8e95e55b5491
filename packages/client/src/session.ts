/**
 * Calls on a set of endpoints: which endpoint, with which token, how often, and for how long.
 *
 * Rules (the same as etcd's own clients, so that nobody is surprised):
 * - Calls go round robin over the endpoints that are connected.
 * - A read is retried on another endpoint whenever one is unavailable, up to 100 times, with 25 ms between rounds.
 * - A write is retried only while no connection could be made: then nothing was sent.
 * - A token that is missing or no longer valid is replaced once per failure and the call repeated.
 * - A learner's refusal is repeated elsewhere when there is an elsewhere.
 * - Everything ends at the call's deadline.
 */
import { type ClientDuplexStream, type ClientReadableStream, Metadata } from '@grpc/grpc-js';
import {
  type BidiStreamingMethod,
  type Codec,
  type Init,
  metadataKeys,
  type ServerStreamingMethod,
  type UnaryMethod,
} from '@quorate/proto';
import { Endpoint } from './endpoint.ts';
import { ClientError, connectionFailed, fromServiceError, localError } from './errors.ts';
import { type CallOptions, defaults, type Settings } from './options.ts';
import { TokenHolder } from './token.ts';

/** What may be repeated when the outcome of an attempt is unknown. */
export type CallKind = 'read' | 'write';

export class Session {
  readonly settings: Settings;
  private readonly endpoints: readonly Endpoint[];
  private readonly tokens: TokenHolder;
  private readonly closing = new AbortController();
  private next = 0;

  constructor(settings: Settings) {
    this.settings = settings;
    this.endpoints = settings.endpoints.map((name) => new Endpoint(name, settings));
    this.tokens = new TokenHolder(settings.auth, (method, request) =>
      this.attempts(method, request, 'read', {}, false),
    );
  }

  /** Aborted when the client is closed: ends everything that runs in the background. */
  get closed(): AbortSignal {
    return this.closing.signal;
  }

  /** Ends open calls with CLOSED and gives the sockets back. */
  close(): void {
    if (this.closing.signal.aborted) return;
    this.closing.abort(localError('CLOSED', 'the client is closed'));
    for (const endpoint of this.endpoints) endpoint.close();
  }

  unary<Q, R>(
    method: UnaryMethod<Q, R>,
    request: Init<Q>,
    kind: CallKind,
    options: CallOptions = {},
  ): Promise<R> {
    return this.attempts(method, request, kind, options, true);
  }

  /** Opens a stream on a connected endpoint. @throws ClientError when none can be reached within the deadline */
  async openBidi<Q, R>(method: BidiStreamingMethod<Q, R>, options: CallOptions): Promise<BidiCall<Q, R>> {
    const deadline = this.deadline(options);
    const endpoint = await this.connected(deadline, options.signal);
    const metadata = await this.metadata(options, true);
    const login = this.tokens.newest;
    this.throwIfEnded(options.signal);
    const call = endpoint.channel.makeBidiStreamRequest(
      method.path,
      (message: Init<Q>) => toBuffer(method.request.encode(message)),
      (bytes: Buffer) => bytes,
      metadata,
    );
    return {
      call,
      decode: (bytes) => decodeResponse(method.response, bytes),
      endpoint: endpoint.name,
      login,
    };
  }

  /** Opens a stream of answers to one request; its messages are decoded by `decode`. */
  async openServerStream<Q, R>(
    method: ServerStreamingMethod<Q, R>,
    request: Init<Q>,
    options: CallOptions,
  ): Promise<ServerStreamCall<R>> {
    const endpoint = await this.connected(this.deadline(options), options.signal);
    const metadata = await this.metadata(options, true);
    this.throwIfEnded(options.signal);
    const deadline = this.deadline({ timeoutMs: options.timeoutMs ?? Number.POSITIVE_INFINITY });
    const call = endpoint.channel.makeServerStreamRequest(
      method.path,
      (message: Init<Q>) => toBuffer(method.request.encode(message)),
      (bytes: Buffer) => bytes,
      request,
      metadata,
      deadline === Number.POSITIVE_INFINITY ? {} : { deadline },
    );
    return { call, decode: (bytes) => decodeResponse(method.response, bytes), endpoint: endpoint.name };
  }

  /**
   * Forgets the token after the server refused it.
   * @param login that of the call that was refused; null when the login itself was
   * @returns whether trying again makes sense
   */
  renewToken(error: ClientError, login: number | null): boolean {
    return this.tokens.refused(error, login);
  }

  private async attempts<Q, R>(
    method: UnaryMethod<Q, R>,
    request: Init<Q>,
    kind: CallKind,
    options: CallOptions,
    withToken: boolean,
  ): Promise<R> {
    const deadline = this.deadline(options);
    const bytes = toBuffer(method.request.encode(request));
    let authRetries = 0;
    for (let attempt = 1; ; attempt++) {
      const endpoint = await this.connected(deadline, options.signal);
      const metadata = await this.metadata(options, withToken);
      const login = this.tokens.newest;
      this.throwIfEnded(options.signal);
      try {
        return await this.once(endpoint, method, bytes, metadata, deadline, options.signal);
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        if (
          error.retry === 'authenticate' &&
          authRetries++ < 2 &&
          this.mayRepeatAfterLogin(error, kind, login)
        )
          continue;
        if (attempt >= defaults.readAttempts || !this.mayRepeat(error, kind)) throw error;
      }
      if (attempt % this.endpoints.length === 0) await this.pause(deadline, options.signal);
    }
  }

  private mayRepeat(error: ClientError, kind: CallKind): boolean {
    if (error.code === 'NOT_SUPPORTED_FOR_LEARNER') return this.endpoints.length > 1;
    return kind === 'read' && error.status === 'UNAVAILABLE';
  }

  /** An old auth revision is only known to have had no effect for reads. */
  private mayRepeatAfterLogin(error: ClientError, kind: CallKind, login: number): boolean {
    if (error.code === 'AUTH_OLD_REVISION' && kind === 'write') return false;
    return this.tokens.refused(error, login);
  }

  /**
   * The next endpoint with a connection, in turn. When there is none, whichever connects first; goes on trying
   * until the deadline.
   */
  private async connected(deadline: number, signal: AbortSignal | undefined): Promise<Endpoint> {
    for (;;) {
      this.throwIfEnded(signal);
      const turn = this.next++;
      const order = this.endpoints.map((_, i) => this.endpoints[(turn + i) % this.endpoints.length]!);
      const standing = order.find((endpoint) => endpoint.isReady());
      if (standing) return standing;
      const attemptEnd = Math.min(deadline, Date.now() + this.settings.connectTimeoutMs);
      const first = await this.unlessEnded(firstReady(order, attemptEnd), signal);
      if (first) return first;
      if (Date.now() >= deadline) {
        throw connectionFailed(
          await Promise.all(
            order.map(async (endpoint) => ({
              endpoint: endpoint.name,
              reason: await endpoint.failureReason(),
            })),
          ),
        );
      }
      await this.pause(deadline, signal);
    }
  }

  private once<Q, R>(
    endpoint: Endpoint,
    method: UnaryMethod<Q, R>,
    bytes: Buffer,
    metadata: Metadata,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      const done = (settle: () => void): void => {
        signal?.removeEventListener('abort', abort);
        this.closed.removeEventListener('abort', abort);
        settle();
      };
      const abort = (): void => {
        call.cancel();
        done(() => reject(this.endedError(signal)));
      };
      const call = endpoint.channel.makeUnaryRequest(
        method.path,
        (message: Buffer) => message,
        (message: Buffer) => message,
        bytes,
        metadata,
        deadline === Number.POSITIVE_INFINITY ? {} : { deadline },
        (error, response) => {
          if (error) {
            done(() => reject(fromServiceError(error)));
            return;
          }
          done(() => {
            try {
              resolve(decodeResponse(method.response, response ?? Buffer.alloc(0)));
            } catch (cause) {
              reject(cause);
            }
          });
        },
      );
      signal?.addEventListener('abort', abort, { once: true });
      this.closed.addEventListener('abort', abort, { once: true });
    });
  }

  private async metadata(options: CallOptions, withToken: boolean): Promise<Metadata> {
    const metadata = new Metadata();
    if (options.requireLeader ?? this.settings.requireLeader) metadata.set(metadataKeys.hasLeader, 'true');
    const token = withToken ? await this.tokens.get() : undefined;
    if (token !== undefined) metadata.set(metadataKeys.token, token);
    return metadata;
  }

  private deadline(options: CallOptions): number {
    return Date.now() + (options.timeoutMs ?? this.settings.callTimeoutMs);
  }

  /** A tenth of spread keeps many clients from coming back in step. */
  async pause(
    deadline: number,
    signal?: AbortSignal,
    pauseMs: number = defaults.retryPauseMs,
  ): Promise<void> {
    const wait = Math.max(0, Math.min(pauseMs * (0.9 + Math.random() * 0.2), deadline - Date.now()));
    let timer: NodeJS.Timeout | undefined;
    const timeUp = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, wait);
    });
    try {
      await this.unlessEnded(timeUp, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  private async unlessEnded<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.throwIfEnded(signal);
    let end = (): void => {};
    const ended = new Promise<never>((_resolve, reject) => {
      end = () => reject(this.endedError(signal));
      signal?.addEventListener('abort', end, { once: true });
      this.closed.addEventListener('abort', end, { once: true });
    });
    try {
      return await Promise.race([work, ended]);
    } finally {
      signal?.removeEventListener('abort', end);
      this.closed.removeEventListener('abort', end);
    }
  }

  private throwIfEnded(signal: AbortSignal | undefined): void {
    if (signal?.aborted || this.closed.aborted) throw this.endedError(signal);
  }

  /** Why what was cancelled here has ended. */
  endedError(signal: AbortSignal | undefined): ClientError {
    if (this.closed.aborted) return localError('CLOSED', 'the client is closed');
    return localError('CANCELLED', 'the call was cancelled', signal?.reason);
  }
}

export interface BidiCall<Q, R> {
  readonly call: ClientDuplexStream<Init<Q>, Buffer>;
  readonly decode: (bytes: Buffer) => R;
  readonly endpoint: string;
  /** Whose token it went with, for `renewToken`. */
  readonly login: number;
}

export interface ServerStreamCall<R> {
  readonly call: ClientReadableStream<Buffer>;
  readonly decode: (bytes: Buffer) => R;
  readonly endpoint: string;
}

/** The endpoint that connects first, or null when every attempt failed. */
async function firstReady(endpoints: readonly Endpoint[], attemptEnd: number): Promise<Endpoint | null> {
  const attempts = endpoints.map(async (endpoint) => {
    if (await endpoint.ready(attemptEnd)) return endpoint;
    throw new Error('not connected');
  });
  return Promise.any(attempts).catch(() => null);
}

/** The bytes as grpc-js wants them, without a copy. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decodeResponse<R>(codec: Codec<R>, bytes: Buffer): R {
  try {
    return codec.decode(bytes);
  } catch (cause) {
    throw localError('BAD_RESPONSE', `the server's answer is no ${codec.typeName}`, cause);
  }
}
