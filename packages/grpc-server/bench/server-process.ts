/** A server of the benchmark in a process of its own: `server-process.ts ours|node:http2|grpc-js`. Reports its CPU when asked. */
import { createGrpcServer } from '../src/index.ts';
import { startGrpcJs } from '../test/support/grpc-js-carrier.ts';
import { handlers } from './handlers.ts';
import { startNodeHttp2 } from './node-http2.ts';

async function start(kind: string | undefined): Promise<{ port: number }> {
  if (kind === 'grpc-js') return startGrpcJs(handlers);
  if (kind === 'node:http2') return startNodeHttp2(handlers);
  return createGrpcServer({ handlers }).listen({ host: '127.0.0.1' });
}

const { port } = await start(process.argv[2]);
process.send?.({ port });
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuUs: user + system });
});
process.on('disconnect', () => process.exit(0));
