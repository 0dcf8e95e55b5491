/**
 * A bare connection to one member: messages of `@quorate/proto` over grpc-js, no retries, no balancing. What a test
 * says is what goes out, and every failure comes back as it was.
 */
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  type Init,
  services,
  type UnaryMethod,
  type WatchCreateRequest,
  type WatchResponse,
} from '@quorate/proto';
import { NOT_SENT } from '../checkers/recorder.ts';

export type CallResult<Response> =
  | { readonly ok: true; readonly response: Response }
  | { readonly ok: false; readonly code: number; readonly error: string };

export interface WatchStreamHandlers {
  onResponse(response: WatchResponse): void;
  onEnd(error: string): void;
}

export class Connection {
  readonly endpoint: string;
  readonly #client: Client;

  constructor(endpoint: string) {
    this.endpoint = endpoint;
    this.#client = new Client(endpoint, credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': 20,
      'grpc.min_reconnect_backoff_ms': 20,
      'grpc.max_reconnect_backoff_ms': 200,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
      // A member that stopped answering is noticed in seconds.
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 3_000,
    });
  }

  call<Q, R>(method: UnaryMethod<Q, R>, request: Init<Q>, timeoutMs: number): Promise<CallResult<R>> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        method.path,
        (message: Init<Q>) => Buffer.from(method.request.encode(message)),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        { deadline: Date.now() + timeoutMs },
        (error: ServiceError | null, response?: R) => {
          if (error === null && response !== undefined) resolve({ ok: true, response });
          else resolve({ ok: false, code: error?.code ?? status.UNKNOWN, error: errorText(error) });
        },
      );
    });
  }

  /** One keep-alive: a stream of its own, for one question and one answer. */
  keepAlive(
    lease: bigint,
    timeoutMs: number,
  ): Promise<CallResult<{ ttlSec: number; member: string; revision: number; term: number }>> {
    const method = services['etcdserverpb.Lease'].LeaseKeepAlive;
    return new Promise((resolve) => {
      const stream = this.#client.makeBidiStreamRequest(
        method.path,
        (message: { ID: bigint }) => Buffer.from(method.request.encode(message)),
        (bytes: Buffer) => method.response.decode(bytes),
        { deadline: Date.now() + timeoutMs },
      );
      let answered = false;
      stream.on('data', (response) => {
        answered = true;
        resolve({ ok: true, response: { ttlSec: Number(response.TTL), ...headerOf(response) } });
        stream.cancel();
      });
      stream.on('error', (error: ServiceError) => {
        if (!answered) resolve({ ok: false, code: error.code, error: errorText(error) });
      });
      stream.on('end', () => {
        if (!answered) resolve({ ok: false, code: status.UNKNOWN, error: 'ended without an answer' });
      });
      stream.write({ ID: lease });
    });
  }

  /** @param requireLeader end it where there is none (the header `hasleader`) */
  watch(
    request: Init<WatchCreateRequest>,
    handlers: WatchStreamHandlers,
    requireLeader = false,
  ): { askProgress(): void; cancel(): void } {
    const method = services['etcdserverpb.Watch'].Watch;
    const metadata = new Metadata();
    if (requireLeader) metadata.set('hasleader', 'true');
    const stream = this.#client.makeBidiStreamRequest(
      method.path,
      (message: Parameters<typeof method.request.encode>[0]) => Buffer.from(method.request.encode(message)),
      (bytes: Buffer) => method.response.decode(bytes),
      metadata,
    );
    let over = false;
    const end = (error: string) => {
      if (over) return;
      over = true;
      handlers.onEnd(error);
    };
    stream.on('data', (response) => {
      if (!over) handlers.onResponse(response);
    });
    stream.on('error', (error: ServiceError) => end(errorText(error)));
    stream.on('end', () => end('ended'));
    stream.write({ createRequest: request });
    return {
      askProgress: () => void stream.write({ progressRequest: {} }),
      cancel: () => {
        end('cancelled');
        stream.cancel();
      },
    };
  }

  close(): void {
    this.#client.close();
  }
}

export interface PlainHeader {
  readonly member: string;
  readonly revision: number;
  readonly term: number;
}

export function headerOf(response: {
  readonly header: { memberId: bigint; revision: bigint; raftTerm: bigint } | undefined;
}): PlainHeader {
  const { header } = response;
  return {
    member: hex(header?.memberId ?? 0n),
    revision: Number(header?.revision ?? 0n),
    term: Number(header?.raftTerm ?? 0n),
  };
}

/** As etcd prints ids. */
export function hex(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}

function errorText(error: ServiceError | null): string {
  if (error === null) return 'no answer';
  const noConnection = /^No connection established|^Name resolution failed/.test(error.details);
  return noConnection ? NOT_SENT : error.details;
}
