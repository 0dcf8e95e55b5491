import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { readDirectly } from './direct-read.ts';

let server: Server;
let sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  server.close();
});

async function socketPair(): Promise<[client: Socket, accepted: Socket]> {
  server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  sockets = [client, accepted];
  return [client, accepted];
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};

test('all bytes come in order and past the stream, and then its end', async () => {
  const [client, accepted] = await socketPair();
  const chunks: Buffer[] = [];
  let events = 0;
  accepted.on('data', () => events++);
  readDirectly(accepted, (chunk) => chunks.push(chunk));
  accepted.resume();
  const sent = Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => (index * 7) >> 3));
  client.end(sent);
  await once(accepted, 'end');
  expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  expect(events).toBe(0);
});

test('what the stream holds already comes first', async () => {
  const [client, accepted] = await socketPair();
  client.write('a');
  accepted.read(0);
  await until(() => accepted.readableLength > 0);
  let text = '';
  readDirectly(accepted, (chunk) => {
    text += chunk;
  });
  accepted.push(Buffer.from('b'));
  accepted.resume();
  client.end('c');
  await once(accepted, 'end');
  expect(text).toBe('abc');
});
