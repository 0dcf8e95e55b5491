import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCluster, encodeCluster } from './cluster-view.ts';
import { PeerError } from './errors.ts';
import {
  decodeFrames,
  encodeFrames,
  type Frame,
  FrameKind,
  frame,
  jsonFrame,
  numberFrame,
  readNumber,
  readTexts,
} from './frames.ts';

const frames = fc.array(
  fc.record({ kind: fc.integer({ min: 0, max: 255 }), bytes: fc.uint8Array({ maxLength: 300 }) }),
  { maxLength: 20 },
);
const plain = (list: readonly Frame[]) => list.map(({ kind, bytes }) => [kind, ...bytes]);

describe('frames', () => {
  test('as the module header shows them', () => {
    const encoded = encodeFrames([
      frame(FrameKind.message, Buffer.from('aabbcc', 'hex')),
      frame(FrameKind.ping, Buffer.from('00000007', 'hex')),
    ]);
    expect(encoded.toString('hex')).toBe('0100000003aabbcc020000000400000007');
  });

  test('come back as they were', () => {
    fc.assert(
      fc.property(frames, (list) => {
        expect(plain(decodeFrames(encodeFrames(list)))).toEqual(plain(list));
      }),
    );
  });

  test('cut anywhere are refused, unless the cut is between two', () => {
    fc.assert(
      fc.property(frames, fc.nat(), (list, at) => {
        const encoded = encodeFrames(list);
        const cut = encoded.subarray(0, encoded.length === 0 ? 0 : at % encoded.length);
        try {
          const before = plain(decodeFrames(cut));
          expect(before).toEqual(plain(list).slice(0, before.length));
          expect(encodeFrames(decodeFrames(cut)).length).toBe(cut.length);
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }),
    );
  });

  test('from bytes of any kind: frames or a PeerError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          expect(encodeFrames(decodeFrames(bytes)).equals(bytes)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }),
    );
  });

  test('numbers and texts', () => {
    expect(readNumber(numberFrame(FrameKind.taken, 2 ** 40 + 1))).toBe(2 ** 40 + 1);
    expect(() => readNumber(frame(FrameKind.taken, Buffer.alloc(7)))).toThrow(PeerError);
    const text = jsonFrame(FrameKind.failure, { code: 'X', message: 7 });
    expect(readTexts(text, 'code', 'message')).toEqual({ code: 'X', message: '' });
    for (const body of ['', 'null', '[]', '1', '{', `{"a":"${'x'.repeat(20_000)}"}`]) {
      expect(() => readTexts(frame(FrameKind.failure, Buffer.from(body)), 'code')).toThrow(PeerError);
    }
  });
});

describe('the description of a cluster', () => {
  const view = {
    clusterId: 2n ** 64n - 1n,
    memberId: 1n,
    serverVersion: '3.7.0',
    clusterVersion: null,
    members: [{ id: 1n, name: 'ä', peerUrls: ['http://a:1'], clientUrls: [], isLearner: false }],
  };

  test('comes back as it was', () => {
    expect(decodeCluster(encodeCluster(view))).toEqual(view);
  });

  test('with anything else in its place is refused', () => {
    const whole = JSON.parse(encodeCluster(view).toString()) as Record<string, unknown>;
    const wrong = (change: Record<string, unknown>) => Buffer.from(JSON.stringify({ ...whole, ...change }));
    for (const change of [
      { clusterId: 'xyz' },
      { memberId: 1 },
      { serverVersion: null },
      { members: {} },
      { members: [null] },
      { members: [{ id: '1' }] },
      { members: [{ ...(whole.members as object[])[0], peerUrls: [1] }] },
    ]) {
      expect(() => decodeCluster(wrong(change)), JSON.stringify(change)).toThrow(PeerError);
    }
    expect(() => decodeCluster(Buffer.from('<html>'))).toThrow(PeerError);
  });
});
