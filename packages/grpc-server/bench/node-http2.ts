/** The same handlers over node:http2 with gRPC framing by hand: the second bar of the benchmark. Only what the handlers use. */
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { HandlerTable } from '../src/index.ts';

function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(5 + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

export async function startNodeHttp2(handlers: HandlerTable): Promise<{ port: number }> {
  const server = createServer();
  server.on('stream', (stream, fields) => {
    const handler = handlers.get(String(fields[':path']));
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    const parts: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('end', () => {
      const message = Buffer.concat(parts).subarray(5);
      if (handler?.kind === 'unary') {
        handler.handle(message, { reply: (answer: Uint8Array) => stream.end(framed(answer)) } as never);
      } else {
        const call = {
          write: (part: Uint8Array) => stream.write(framed(part)),
          onDrain: (listener: () => void) => stream.once('drain', listener),
          end: () => stream.end(),
        };
        handler?.open(call as never).onMessage(message);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port };
}
