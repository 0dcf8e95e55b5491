import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { SpentChunks } from './spent-chunks.ts';

function spentChunks() {
  const turnEnds: (() => void)[] = [];
  const spent = new SpentChunks((callback) => turnEnds.push(callback));
  const endTurn = () => {
    for (const callback of turnEnds.splice(0)) callback();
  };
  return { spent, endTurn, callbacks: turnEnds };
}

const KIB = 1024;

test('a large chunk is there until the turn ends, and gone then', () => {
  const { spent, endTurn, callbacks } = spentChunks();
  const chunks = [Buffer.allocUnsafeSlow(64 * KIB), Buffer.allocUnsafeSlow(16 * KIB)];
  for (const chunk of chunks) spent.add(chunk);
  expect(callbacks).toHaveLength(1);
  expect(chunks.map((chunk) => chunk.length)).toEqual([64 * KIB, 16 * KIB]);
  endTurn();
  expect(chunks.map((chunk) => chunk.buffer.byteLength)).toEqual([0, 0]);

  // The next turn asks for its end again.
  const next = Buffer.allocUnsafeSlow(64 * KIB);
  spent.add(next);
  endTurn();
  expect(next.buffer.byteLength).toBe(0);
});

test('what is small, or shares its memory with others, is left to the collector', () => {
  const { spent, callbacks } = spentChunks();
  const shared = new ArrayBuffer(64 * KIB);
  spent.add(Buffer.allocUnsafeSlow(16 * KIB - 1));
  spent.add(Buffer.from(shared, 0, 32 * KIB));
  spent.add(Buffer.from(shared, 32 * KIB));
  expect(callbacks).toHaveLength(0);
});

test("Node's chunks have memory of their own: this is what a socket gives", async () => {
  const { spent, endTurn } = spentChunks();
  const chunks: Buffer[] = [];
  const large = await new Promise<Buffer>((resolve, reject) => {
    const server = createServer((socket: Socket) => {
      socket.on('error', reject);
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (chunk.length >= 16 * KIB) {
          socket.destroy();
          server.close();
          resolve(chunk);
        }
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
      client.on('error', () => {});
      client.write(Buffer.alloc(8 * 1024 * KIB));
    });
  });
  spent.add(large);
  endTurn();
  expect(large.buffer.byteLength).toBe(0);
});
