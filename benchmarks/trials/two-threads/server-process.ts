/**
 * A server of the trial, in a process of its own: with its transport on the main thread, or in a thread beside it.
 * Told what to be by its first message; says its port, and how often threads woke each other whenever it is asked.
 */
import { Worker } from 'node:worker_threads';
import { createGrpcServer } from '@quorate/grpc-server';
import { answerCalls, type Methods } from './calls-in.ts';
import { type BellKind, ringsOf } from './doorbell.ts';
import { createLink, portsOf } from './link.ts';
import { type FromServer, type ServerOptions, TRANSPORT_THREAD } from './server-options.ts';
import { startService } from './services.ts';
import type { TransportThread } from './transport-worker.ts';

const send = (message: FromServer) => process.send?.(message);

async function serve({ threads, service, dataDirectory, ringBytes }: ServerOptions): Promise<void> {
  const methods = await startService(service, dataDirectory);
  const server = threads === 'one' ? await onOneThread(methods) : await onTwo(methods, threads, ringBytes);
  process.on('message', () => send({ rings: server.rings() }));
  send({ port: server.port });
}

interface Serving {
  readonly port: number;
  rings(): number;
}

async function onOneThread(methods: Methods): Promise<Serving> {
  const { port } = await createGrpcServer({ handlers: new Map(methods) }).listen({ host: '127.0.0.1' });
  return { port, rings: () => 0 };
}

async function onTwo(methods: Methods, kind: BellKind, ringBytes: number): Promise<Serving> {
  const [caller, answerer] = createLink(kind, ringBytes);
  answerCalls(answerer, methods);
  const options: TransportThread = {
    link: caller,
    paths: methods.map(([path]) => path),
    timeOrigin: performance.timeOrigin,
  };
  const worker = new Worker(new URL('./transport-worker.ts', import.meta.url), {
    name: TRANSPORT_THREAD,
    workerData: options,
    transferList: portsOf(caller),
  });
  worker.on('error', (error) => {
    throw error;
  });
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  return { port, rings: () => ringsOf(answerer.bell) };
}

process.on('disconnect', () => process.exit(0));
process.once('message', (options: ServerOptions) => void serve(options));
