/** Serves a handler table with @grpc/grpc-js: the second carrier of the contract, and a bar in the benchmark. */
import * as grpc from '@grpc/grpc-js';
import type { CallContext, HandlerTable, Metadata, ResponseFields, StreamListener } from '../../src/index.ts';

const identity = (bytes: Buffer) => bytes;
const toBuffer = (bytes: Uint8Array) => Buffer.from(bytes);

function metadataOf(metadata: grpc.Metadata): Metadata {
  return {
    get: (name) => metadata.get(name)[0],
    *entries() {
      for (const [name, value] of Object.entries(metadata.getMap())) yield [name, value];
    },
  };
}

function toMetadata(fields: ResponseFields): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of fields)
    metadata.add(name, typeof value === 'string' ? value : Buffer.from(value));
  return metadata;
}

type AnyCall = grpc.ServerUnaryCall<Buffer, Uint8Array> | grpc.ServerDuplexStream<Buffer, Uint8Array>;

/** The parts that both kinds of calls share; `ended` turns true when the handler has answered. */
function contextOf(
  path: string,
  call: AnyCall,
  isEnded: () => boolean,
): CallContext & { readonly trailers: grpc.Metadata } {
  const headers = new grpc.Metadata();
  const trailers = new grpc.Metadata();
  let headSent = false;
  const deadline = call.getDeadline();
  const listeners: ((reason: 'cancelled' | 'deadline') => void)[] = [];
  let cancelled = false;
  call.on('cancelled', () => {
    if (cancelled || isEnded()) return;
    cancelled = true;
    for (const listener of listeners) listener('cancelled');
  });
  return {
    path,
    metadata: metadataOf(call.metadata),
    deadlineMs:
      deadline === Number.POSITIVE_INFINITY ? deadline : Number(deadline) - Date.now() + performance.now(),
    peer: call.getPeer(),
    peerCommonName: '',
    get cancelled() {
      return cancelled;
    },
    onCancel(listener) {
      if (cancelled) listener('cancelled');
      else listeners.push(listener);
    },
    setHeaders(fields) {
      headers.merge(toMetadata(fields));
      // grpc-js sends them at once; a handler sets them before it answers, once.
      if (!headSent) call.sendMetadata(headers);
      headSent = true;
    },
    setTrailers(fields) {
      trailers.merge(toMetadata(fields));
    },
    trailers,
  };
}

export async function startGrpcJs(handlers: HandlerTable): Promise<{ port: number; stop(): Promise<void> }> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 2 * 1024 * 1024 });
  for (const [path, handler] of handlers) {
    const isUnary = handler.kind === 'unary';
    const implementation =
      handler.kind === 'unary'
        ? (call: grpc.ServerUnaryCall<Buffer, Uint8Array>, callback: grpc.sendUnaryData<Uint8Array>) => {
            let ended = false;
            const context = contextOf(path, call, () => ended);
            const once = (answer: () => void) => {
              if (ended) return;
              ended = true;
              if (!context.cancelled) answer();
            };
            // Getters stay live.
            const unary = Object.defineProperties(
              {
                reply: (response: Uint8Array) => once(() => callback(null, response, context.trailers)),
                fail: (code: number, details: string) =>
                  once(() => callback({ code, details, metadata: context.trailers })),
              },
              Object.getOwnPropertyDescriptors(context),
            );
            handler.handle(call.request, unary as never);
          }
        : (call: grpc.ServerDuplexStream<Buffer, Uint8Array>) => {
            let ended = false;
            let halfClosed = false;
            const context = contextOf(path, call, () => ended);
            let listener: StreamListener | undefined;
            const stream = Object.defineProperties(
              {
                write: (message: Uint8Array) => ended || call.write(message),
                get queuedBytes() {
                  return call.writableLength;
                },
                onDrain: (drained: () => void) => call.once('drain', drained),
                end: (code = 0, details = '') => {
                  if (ended) return;
                  ended = true;
                  if (code === 0) call.end(context.trailers);
                  else call.emit('error', { code, details, metadata: context.trailers });
                },
                pause: () => call.pause(),
                resume: () => call.resume(),
              },
              Object.getOwnPropertyDescriptors(context),
            );
            listener = handler.open(stream as never);
            const wasPaused = call.isPaused();
            call.on('data', (message: Buffer) => {
              if (!ended && !context.cancelled) listener?.onMessage(message);
            });
            call.on('end', () => {
              if (!ended && !context.cancelled && !halfClosed) listener?.onHalfClose();
              halfClosed = true;
            });
            if (wasPaused) call.pause();
          };
    server.register(
      path,
      implementation as never,
      toBuffer as never,
      identity as never,
      isUnary ? 'unary' : 'bidi',
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return {
    port,
    async stop() {
      server.forceShutdown();
    },
  };
}
