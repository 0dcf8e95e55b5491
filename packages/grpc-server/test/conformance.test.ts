/** Every case of `conformance-cases.ts`, whole and with the byte stream cut at random places. */
import { afterAll, expect, test } from 'vitest';
import { FrameType } from '../src/http2/frame.ts';
import { createGrpcServer } from '../src/index.ts';
import { type Case, cases, preface } from './conformance-cases.ts';
import { testHandlers } from './support/handlers.ts';
import { seededRandom } from './support/random.ts';
import { call, frame, RawPeer, uint32 } from './support/raw-peer.ts';

const SPLITS = 100;
const seed = Number(process.env.CONFORMANCE_SEED ?? 7541);

const server = createGrpcServer({
  handlers: testHandlers().table,
  // Small, so that its bounds can be reached with a few bytes; the windows and pings of clients are not at issue here.
  limits: {
    maxConcurrentStreams: 10,
    streamWindowBytes: 20_000,
    resets: { burst: 1e6, perSecond: 1e6 },
    serverResets: { burst: 1e9, perSecond: 1e9 },
  },
});
afterAll(() => server.close({ graceMs: 0 }));

async function run({ bytes, expected, bare }: Case, split: number): Promise<void> {
  const peer = new RawPeer(server);
  const random = split === 0 ? undefined : seededRandom(seed + split);
  peer.send(bare ? bytes : Buffer.concat([preface, bytes]), random);
  if ('goaway' in expected) {
    await peer.untilClosed();
    expect(peer.goaway?.code).toBe(expected.goaway);
  } else if ('reset' in expected) {
    const stream = expected.stream ?? 1;
    await peer.until(() => peer.resetCode(stream) !== undefined);
    expect(peer.resetCode(stream)).toBe(expected.reset);
    await peer.ping();
    expect(peer.goaway).toBeUndefined();
  } else if ('pong' in expected) {
    await peer.until(() => peer.frames.some((each) => each.type === 6));
    const pongs = peer.frames.filter((each) => each.type === 6);
    expect(pongs.map((each) => [each.flags, each.payload.toString()])).toEqual([[1, expected.pong]]);
  } else {
    const answer = await peer.answered(expected.served);
    if (expected.status !== undefined) expect(answer.fields.get('grpc-status')).toBe(expected.status);
    expect(answer.fields.has(':status')).toBe(true);
    // The connection is in order afterwards.
    if (expected.status === '0') {
      // The case may have made the initial window tiny.
      const room = frame(FrameType.WINDOW_UPDATE, 0, 1001, uint32(1000));
      const next = call(1001, '/test.Test/Echo', 'after');
      peer.send(Buffer.concat([next, room]), random);
      const after = await peer.until(() => {
        if (peer.resetCode(1001) !== undefined) return 'refused';
        return peer.answer(1001)?.ended ? 'served' : undefined;
      });
      expect(after).toBe('served');
    }
    expect(peer.goaway).toBeUndefined();
  }
  peer.end();
}

test.each(cases.map((each) => [each.name, each] as const))(`%s (seed ${seed})`, async (_name, each) => {
  for (let split = 0; split <= SPLITS; split++) await run(each, split);
});

test('no connection, stream or held byte is left behind', async () => {
  await new Promise((resolve) => setImmediate(resolve));
  const { connections, streams, heldRequestBytes, queuedResponseBytes } = server.stats();
  expect({ connections, streams, heldRequestBytes, queuedResponseBytes }).toEqual({
    connections: 0,
    streams: 0,
    heldRequestBytes: 0,
    queuedResponseBytes: 0,
  });
});
