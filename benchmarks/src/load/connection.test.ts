/** A connection against a server that only asks for signs of life. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { Connection } from './connection.ts';
import { FrameReader } from './frame-reader.ts';
import { ACK, END_STREAM, encodeHeads, FrameType, frame } from './frames.ts';

const PREFACE_BYTES = 24;
const PINGS = 40_000;

it('answers every PING, also where its memory for output begins anew', async () => {
  const answered: number[] = [];
  let done = () => {};
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const server = createServer((socket) => {
    let preface = PREFACE_BYTES;
    const reader = new FrameReader({
      onData(id, flags) {
        if ((flags & END_STREAM) === 0) return;
        const pings = Array.from({ length: PINGS }, (_, number) => {
          const payload = Buffer.alloc(8);
          payload.writeUInt32BE(number);
          return frame(FrameType.PING, 0, 0, payload);
        });
        const end = frame(FrameType.HEADERS, END_STREAM | 4, id, Buffer.from([0x88]));
        socket.write(Buffer.concat([end, ...pings]));
      },
      onFrame(type, flags, _id, payload) {
        if (type !== FrameType.PING || flags !== ACK) return;
        answered.push(payload.readUInt32BE(0));
        if (answered.length === PINGS) done();
      },
    });
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const skipped = Math.min(preface, bytes.length);
      preface -= skipped;
      reader.push(bytes.subarray(skipped));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = await Connection.open(`127.0.0.1:${port}`, encodeHeads(['/a/A']), () => {});
  try {
    await all;
    expect(answered).toEqual(Array.from({ length: PINGS }, (_, number) => number));
  } finally {
    connection.close();
    server.close();
  }
}, 10_000);
