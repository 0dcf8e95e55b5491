import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { SocketWire } from '../node/socket-wire.ts';
import { ChunkPool } from './chunk-pool.ts';
import { FrameWriter } from './frame-writer.ts';

it('what was given back last is taken first, by size, and never out of a shared slab', () => {
  const pool = new ChunkPool();
  const [small, first, second] = [pool.take(1), pool.take(3_000), pool.take(4_096)];
  expect([small, first, second].map(({ length }) => length)).toEqual([512, 4_096, 4_096]);
  expect(first.buffer.byteLength).toBe(4_096);
  pool.giveBack(first);
  pool.giveBack(second);
  expect(pool.take(2_049)).toBe(second);
  expect(pool.take(2_049)).toBe(first);
  expect(pool.take(2_049)).not.toBe(first);
});

it('keeps a bounded amount', () => {
  const pool = new ChunkPool();
  const chunks = Array.from({ length: 40 }, () => pool.take(65_536));
  for (const chunk of chunks) pool.giveBack(chunk);
  const again = new Set(Array.from({ length: 40 }, () => pool.take(65_536)));
  expect(chunks.filter((chunk) => again.has(chunk))).toHaveLength(16);
});

it('frames that have not left keep their memory to themselves', () => {
  const writer = new FrameWriter(new ChunkPool());
  const frame = (opaque: string) => {
    writer.ping(Buffer.from(opaque), false);
    return Buffer.concat(writer.take());
  };
  const held = ((): Buffer[] => {
    writer.ping(Buffer.from('waiting.'), false);
    return writer.take();
  })();
  writer.settle(false);
  const expected = Buffer.concat(held);
  expect(frame('another.')).not.toEqual(expected);
  writer.settle(true);
  frame('again...');
  expect(Buffer.concat(held)).toEqual(expected);
});

it('a reader that stops and goes on gets every byte, whatever is used again meanwhile', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const reader = connect(port, '127.0.0.1');
  reader.pause();
  const [socket] = (await once(server, 'connection')) as [Socket];
  const wire = new SocketWire(socket);
  const writer = new FrameWriter(new ChunkPool());
  const payload = Buffer.alloc(4_000);
  const sent: Buffer[] = [];
  let [taken, kept] = [0, 0];
  // Until the kernel has refused a good while: from then on nothing may be used again.
  for (let turn = 0; kept < 200; turn++) {
    payload.fill(turn % 251);
    writer.dataHeader(1, payload.length, false);
    writer.payload(payload, 0, payload.length);
    const pieces = writer.take();
    sent.push(Buffer.concat(pieces));
    wire.write(pieces);
    writer.settle(wire.isEmpty);
    if (wire.isEmpty) taken++;
    else kept++;
  }
  expect(taken).toBeGreaterThan(0);
  wire.end();
  const received: Buffer[] = [];
  for await (const chunk of reader) received.push(chunk as Buffer);
  expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
  server.close();
});
