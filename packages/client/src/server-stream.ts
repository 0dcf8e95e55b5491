/** A stream of answers to one request, as an async generator with the server's errors typed. */
import type { ServiceError } from '@grpc/grpc-js';
import type { Init, ServerStreamingMethod } from '@quorate/proto';
import { asClientError, ClientError, fromServiceError } from './errors.ts';
import type { CallOptions } from './options.ts';
import type { Session } from './session.ts';

export async function* readStream<Q, R>(
  session: Session,
  method: ServerStreamingMethod<Q, R>,
  request: Init<Q>,
  options: CallOptions,
): AsyncGenerator<R, void, void> {
  const { call, decode } = await session.openServerStream(method, request, options);
  const abort = (): void => call.cancel();
  options.signal?.addEventListener('abort', abort, { once: true });
  session.closed.addEventListener('abort', abort, { once: true });
  // The iteration reports the error; this listener is for the one that cancelling causes after it.
  call.on('error', () => {});
  if (options.signal?.aborted || session.closed.aborted) abort();
  try {
    for await (const bytes of call) yield decode(bytes as Buffer);
  } catch (error) {
    if (options.signal?.aborted || session.closed.aborted) throw session.endedError(options.signal);
    if (error instanceof ClientError) throw error;
    throw isServiceError(error) ? fromServiceError(error) : asClientError(error);
  } finally {
    options.signal?.removeEventListener('abort', abort);
    session.closed.removeEventListener('abort', abort);
    call.cancel();
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}
