/** case-68: many connections and many streams at once, and what is left when they have gone. */
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { createGrpcServer } from '../src/index.ts';
import { testHandlers } from './support/handlers.ts';
import { call, data, grpcFields, headers, message, preface, RawPeer } from './support/raw-peer.ts';

test('case-68 thousands of idle connections cost little, and the next caller is served', async () => {
  const CONNECTIONS = 3_000;
  const server = createGrpcServer({ handlers: testHandlers().table });
  const { port } = await server.listen({ host: '127.0.0.1' });
  globalThis.gc?.();
  const before = process.memoryUsage();
  const sockets: Socket[] = [];
  for (let index = 0; index < CONNECTIONS; index++) {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    sockets.push(socket);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(preface);
    socket.resume();
  }
  const peer = new RawPeer(server);
  peer.send(Buffer.concat([preface, call(1, '/test.Test/Echo')]));
  expect((await peer.answered(1)).fields.get('grpc-status')).toBe('0');
  expect(server.stats().connections).toBeGreaterThanOrEqual(CONNECTIONS);
  globalThis.gc?.();
  // Both ends are in this process, with Node's own socket objects: the bound is on what a connection may pin.
  const now = process.memoryUsage();
  const perConnection = (now.heapUsed + now.external - before.heapUsed - before.external) / CONNECTIONS;
  expect(perConnection).toBeLessThan(40_000);
  for (const socket of sockets) socket.destroy();
  peer.end();
  await server.close({ graceMs: 1_000 });
  expect(server.stats()).toMatchObject({ connections: 0, streams: 0 });
});

test('case-68 20,000 streams on ten connections, all answered when they say a word', async () => {
  const STREAMS = 2_000;
  const server = createGrpcServer({ handlers: testHandlers().table });
  const peers = Array.from({ length: 10 }, () => new RawPeer(server));
  for (const peer of peers) {
    peer.send(preface);
    for (let index = 0; index < STREAMS; index++)
      peer.send(headers(2 * index + 1, grpcFields('/test.Test/Chat')));
    await peer.ping();
  }
  expect(server.stats().streams).toBe(10 * STREAMS);
  for (const peer of peers) {
    for (let index = 0; index < STREAMS; index++) peer.send(data(2 * index + 1, message('x'), true));
    await peer.answered(2 * STREAMS - 1);
  }
  expect(server.stats()).toMatchObject({ streams: 0, queuedResponseBytes: 0, heldRequestBytes: 0 });
  for (const peer of peers) peer.end();
  await server.close({ graceMs: 0 });
});
