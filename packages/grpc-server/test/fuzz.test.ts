/**
 * Strategy: a plausible conversation of random frames, then bits flipped, pieces dropped and repeated.
 * Invariants: nothing but a protocol error ever comes of it (an exception would fail the run); some connections survive and answer a
 * PING; when all have gone, every gauge is back at zero; a good client is served throughout.
 */
import { expect, test } from 'vitest';
import { FrameType as T } from '../src/http2/frame.ts';
import { createGrpcServer } from '../src/index.ts';
import { testHandlers } from './support/handlers.ts';
import { below, type Random, seededRandom } from './support/random.ts';
import {
  call,
  data,
  frame,
  grpcFields,
  headers,
  message,
  preface,
  RawPeer,
  setting,
  settings,
  uint32,
} from './support/raw-peer.ts';

const seed = Number(process.env.FUZZ_SEED ?? 9113);
const CONVERSATIONS = 3_000;
const paths = [
  '/test.Test/Echo',
  '/test.Test/Fail',
  '/test.Test/Chat',
  '/test.Test/Paused',
  '/test.Test/Hold',
  '/nope',
  'x',
];

function randomFrame(random: Random, nextId: () => number): Buffer {
  const id = random() < 0.8 ? 1 + 2 * below(random, 6) : below(random, 30);
  const bytes = Buffer.from(Array.from({ length: below(random, 40) }, () => below(random, 256)));
  switch (below(random, 12)) {
    case 0:
    case 1:
      return call(nextId(), paths[below(random, paths.length)]!);
    case 2:
      return headers(
        nextId(),
        grpcFields(paths[below(random, paths.length)]!, [['grpc-timeout', `${below(random, 99)}m`]]),
        random() < 0.2,
      );
    case 3:
      return data(id, message(bytes, random() < 0.9 ? 0 : 1), random() < 0.3);
    case 4:
      return data(id, bytes, random() < 0.3);
    case 5:
      return frame(T.RST_STREAM, 0, id, uint32(8));
    case 6:
      return frame(T.WINDOW_UPDATE, 0, random() < 0.5 ? 0 : id, uint32(below(random, 100_000)));
    case 7:
      return settings(setting(1 + below(random, 6), below(random, 70_000)));
    case 8:
      return frame(T.PING, below(random, 2), 0, Buffer.alloc(8));
    case 9:
      return frame(T.PRIORITY, 0, id, Buffer.from([0, 0, 0, below(random, 9), 1]));
    case 10:
      return Buffer.concat([
        frame(T.HEADERS, 0, nextId(), bytes.subarray(0, 3)),
        frame(T.CONTINUATION, 4, id, bytes),
      ]);
    default:
      return frame(below(random, 11), below(random, 256), id, bytes);
  }
}

function conversation(random: Random): Buffer {
  let id = -1;
  const nextId = () => {
    id += 2;
    return id;
  };
  const frames = Array.from({ length: 1 + below(random, 14) }, () => randomFrame(random, nextId));
  const bytes = Buffer.concat(frames);
  for (let damage = below(random, 4) - 1; damage > 0; damage--)
    bytes[below(random, bytes.length)]! ^= 1 << below(random, 8);
  return bytes;
}

/** False, a few turns of the event loop later. */
async function turns(count: number): Promise<false> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
  return false;
}

test(`case-67 ${CONVERSATIONS} random conversations (seed ${seed})`, async () => {
  const handlers = testHandlers();
  const server = createGrpcServer({
    handlers: handlers.table,
    limits: { serverResets: { burst: 1e9, perSecond: 1e9 }, maxRequestMessageBytes: 10_000 },
  });
  const good = new RawPeer(server);
  good.send(preface);
  let survived = 0;
  for (let index = 0; index < CONVERSATIONS; index++) {
    const random = seededRandom(seed + index);
    const peer = new RawPeer(server);
    peer.send(Buffer.concat([preface, conversation(random)]), random() < 0.5 ? random : undefined);
    await new Promise((resolve) => setImmediate(resolve));
    // Whether anyone is still there; the answer may be held up by a frame that the damage left open.
    const isThere = peer.ping().then(
      () => true,
      () => false,
    );
    if (await Promise.race([isThere, turns(4)])) survived++;
    peer.end();
    if (index % 100 === 0) {
      const stream = 1 + (index / 100) * 2;
      good.send(call(stream, '/test.Test/Echo'));
      expect((await good.answered(stream)).fields.get('grpc-status'), `seed ${seed + index}`).toBe('0');
    }
  }
  expect(survived).toBeGreaterThan(0);
  for (const held of handlers.held) held.reply(new Uint8Array(0));
  good.end();
  await server.close({ graceMs: 0 });
  expect(server.stats()).toMatchObject({
    connections: 0,
    streams: 0,
    abandonedCalls: 0,
    heldRequestBytes: 0,
    queuedResponseBytes: 0,
  });
});
