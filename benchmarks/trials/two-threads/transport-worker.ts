/**
 * The thread that has the sockets: accepts, HTTP/2, HPACK, gRPC framing, deadlines, cancellation. It is the transport as it
 * is, over handlers that pass each request on.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createGrpcServer, type Handler, nodeEnv, type TransportEnv } from '@quorate/grpc-server';
import { CallsOut } from './calls-out.ts';
import type { LinkEnd } from './link.ts';

export interface TransportThread {
  readonly link: LinkEnd;
  readonly paths: readonly string[];
  /** Of the thread that answers: deadlines are told in its time, for each thread's clock begins with the thread. */
  readonly timeOrigin: number;
}

const { link, paths, timeOrigin } = workerData as TransportThread;
const aheadMs = performance.timeOrigin - timeOrigin;

const env: TransportEnv = { ...nodeEnv, monotonicMs: () => performance.now() + aheadMs };

const calls = new CallsOut(link);
const handlers = new Map<string, Handler>(
  paths.map((path, method) => [
    path,
    { kind: 'unary', handle: (request, call) => calls.send(method, request, call) },
  ]),
);
const { port } = await createGrpcServer({ handlers, env }).listen({ host: '127.0.0.1' });
parentPort?.postMessage(port);
