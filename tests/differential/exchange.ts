/**
 * One request, one answer, on any server: bytes out, bytes in, no client library in between.
 *
 * Requests are written as messages of `@quorate/proto`, so a case can hold anything a client could send: enums out
 * of range, empty operations, numbers at the ends of their types.
 */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { type Init, type MethodDescriptor, methods, services } from '@quorate/proto';

const byPath = new Map<string, MethodDescriptor<unknown, unknown>>(
  methods.map((method) => [method.path, method]),
);

/** A unary call of the API by its short name. */
export interface Step {
  /** `KV/Put`, `Lease/LeaseGrant`, ... of package etcdserverpb. */
  readonly call: string;
  readonly request: Readonly<Record<string, unknown>>;
}

export type Answer =
  | { readonly ok: true; readonly response: Record<string, unknown> }
  | { readonly ok: false; readonly code: number; readonly message: string };

export class Endpoint {
  readonly name: string;
  readonly address: string;
  readonly #client: Client;

  constructor(name: string, address: string) {
    this.name = name;
    this.address = address;
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      // A pool of its own for each endpoint object.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  call(step: Step): Promise<Answer> {
    const method = byPath.get(`/etcdserverpb.${step.call}`);
    if (method === undefined) throw new Error(`no such call: ${step.call}`);
    return this.callBytes(method.path, method.request.encode(step.request as Init<unknown>)).then((answer) =>
      answer.ok
        ? { ok: true, response: method.response.decode(answer.bytes) as Record<string, unknown> }
        : answer,
    );
  }

  callBytes(
    path: string,
    request: Uint8Array,
  ): Promise<{ ok: true; bytes: Uint8Array } | { ok: false; code: number; message: string }> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        path,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => bytes,
        request,
        { deadline: Date.now() + 20_000 },
        (error: ServiceError | null, bytes?: Buffer) => {
          if (error) resolve({ ok: false, code: error.code, message: error.details });
          else resolve({ ok: true, bytes: bytes ?? new Uint8Array(0) });
        },
      );
    });
  }

  /** Opens a watch stream; answers are collected in the order they come. */
  watch(): WatchStream {
    const method = services['etcdserverpb.Watch'].Watch;
    const stream = this.#client.makeBidiStreamRequest(
      method.path,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => method.response.decode(bytes),
    );
    return {
      send: (request) => void stream.write(method.request.encode(request as Init<never>)),
      onResponse: (listener) => void stream.on('data', listener),
      onEnd: (listener) => {
        stream.on('error', (error: ServiceError) => listener({ code: error.code, message: error.details }));
        stream.on('end', () => listener({ code: 0, message: '' }));
      },
      cancel: () => stream.cancel(),
    };
  }

  close(): void {
    this.#client.close();
  }
}

export type WatchResponse = ReturnType<
  (typeof services)['etcdserverpb.Watch']['Watch']['response']['decode']
>;

export interface WatchStream {
  send(request: Readonly<Record<string, unknown>>): void;
  onResponse(listener: (response: WatchResponse) => void): void;
  onEnd(listener: (status: { code: number; message: string }) => void): void;
  cancel(): void;
}
