import { createGrpcServer } from '../src/index.ts';
import { handlerContract } from './handler-contract.ts';
import { startGrpcJs } from './support/grpc-js-carrier.ts';

handlerContract('grpc-server', {
  async start(handlers) {
    const server = createGrpcServer({ handlers });
    const { port } = await server.listen({ host: '127.0.0.1' });
    return { port, stop: () => server.close({ graceMs: 0 }) };
  },
});

handlerContract('grpc-js', { start: startGrpcJs });
