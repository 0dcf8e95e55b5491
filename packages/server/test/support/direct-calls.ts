/** Calls without a transport: requests go straight into a handler table, answers come back as promises. */
import type { HandlerTable, Metadata, Status, StreamCall, UnaryCall } from '@quorate/grpc-server';
import type { Codec, MethodDescriptor } from '@quorate/proto';

export interface Answer {
  readonly status: Status;
  readonly message: string;
  readonly response: Uint8Array;
}

export type Headers = Readonly<Record<string, string>>;

const NOTHING = new Uint8Array(0);

function metadata(headers: Headers): Metadata {
  return { get: (name) => headers[name], entries: () => Object.entries(headers) };
}

const context = (path: string, headers: Headers) => ({
  path,
  metadata: metadata(headers),
  deadlineMs: Number.POSITIVE_INFINITY,
  peer: 'test',
  peerCommonName: '',
  setHeaders() {},
  setTrailers() {},
});

/** One unary call with raw bytes. */
export function callBytes(
  handlers: HandlerTable,
  path: string,
  request: Uint8Array,
  headers: Headers = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const handler = handlers.get(path);
    if (handler?.kind !== 'unary') throw new Error(`no unary method at ${path}`);
    let answered = false;
    const settle = (answer: Answer): void => {
      if (answered) reject(new Error('answered twice'));
      answered = true;
      resolve(answer);
    };
    const call: UnaryCall = {
      ...context(path, headers),
      cancelled: false,
      onCancel() {},
      reply: (response) => settle({ status: 0, message: '', response }),
      fail: (status, message) => settle({ status, message, response: NOTHING }),
    };
    // As a transport does it: the bytes are the handler's for this turn only.
    const borrowed = Uint8Array.from(request);
    handler.handle(borrowed, call);
    borrowed.fill(0xee);
  });
}

/** One unary call with messages. @throws Error `CODE message` for a status other than OK */
export async function call<Request, Response>(
  handlers: HandlerTable,
  method: MethodDescriptor<Request, Response>,
  request: Parameters<Codec<Request>['encode']>[0],
  headers: Headers = {},
): Promise<Response> {
  const answer = await callBytes(handlers, method.path, method.request.encode(request), headers);
  if (answer.status !== 0) throw new CallError(answer.status, answer.message);
  return method.response.decode(answer.response);
}

export class CallError extends Error {
  readonly status: Status;
  constructor(status: Status, message: string) {
    super(message);
    this.status = status;
  }
}

export interface StreamAnswer {
  readonly status: Status;
  readonly message: string;
  readonly messages: readonly Uint8Array[];
}

/**
 * A call with one request and many answers.
 * @param room answers whether the caller has room after a message; false makes the handler wait for one turn
 */
export function callStream(
  handlers: HandlerTable,
  path: string,
  requests: readonly Uint8Array[],
  options: { headers?: Headers; room?: (messages: number) => boolean; halfClose?: boolean } = {},
): Promise<StreamAnswer> {
  return new Promise((resolve) => {
    const handler = handlers.get(path);
    if (handler?.kind !== 'stream') throw new Error(`no stream method at ${path}`);
    const messages: Uint8Array[] = [];
    let drained: (() => void) | null = null;
    const call: StreamCall = {
      ...context(path, options.headers ?? {}),
      cancelled: false,
      onCancel() {},
      queuedBytes: 0,
      write(message) {
        messages.push(message);
        if (options.room?.(messages.length) !== false) return true;
        setImmediate(() => drained?.());
        return false;
      },
      onDrain(listener) {
        drained = listener;
      },
      end: (status = 0, message = '') => resolve({ status, message, messages }),
      pause() {},
      resume() {},
    };
    const listener = handler.open(call);
    for (const request of requests) listener.onMessage(request);
    if (options.halfClose !== false) listener.onHalfClose();
  });
}
