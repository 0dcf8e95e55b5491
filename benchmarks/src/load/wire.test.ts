/** The generator reads and writes its wire by itself: here beside what it must mean. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader } from './frame-reader.ts';
import { encodeHeads, FrameType, frame } from './frames.ts';
import { MessageSplitter } from './message-splitter.ts';
import { toBytes } from './operations.ts';
import { patchKeys, prepare, withPrefix } from './prepared.ts';

/** `bytes` in pieces that end at the given places. */
function* cut(bytes: Buffer, places: readonly number[]): Generator<Buffer> {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    yield bytes.subarray(from, end);
    from = end;
  }
}
const places = fc.array(fc.nat(100_000), { maxLength: 20 });

describe('FrameReader', () => {
  it('reads the same frames however the bytes are cut', () => {
    const frames = [
      frame(FrameType.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0])),
      frame(FrameType.DATA, 0, 1, Buffer.alloc(300, 'a')),
      frame(FrameType.DATA, 1, 3, Buffer.alloc(0)),
      frame(FrameType.HEADERS, 5, 1, Buffer.from([0x88])),
    ];
    fc.assert(
      fc.property(places, (cuts) => {
        const seen: string[] = [];
        let dataBytes = 0;
        const reader = new FrameReader({
          onData(id, flags, _bytes, start, end, last) {
            dataBytes += end - start;
            if (last) seen.push(`data ${id} ${flags} ${dataBytes}`);
            if (last) dataBytes = 0;
          },
          onFrame: (type, flags, id, payload) => seen.push(`${type} ${flags} ${id} ${payload.length}`),
        });
        for (const piece of cut(Buffer.concat(frames), cuts)) reader.push(piece);
        expect(seen).toEqual(['4 0 0 6', 'data 1 0 300', 'data 3 1 0', '1 5 1 1']);
      }),
    );
  });
});

describe('MessageSplitter', () => {
  it('finds the same messages however the bytes are cut', () => {
    const messages = ['one', '', 'x'.repeat(5_000), 'four'];
    const bytes = Buffer.concat(messages.map((text) => withPrefix(Buffer.from(text))));
    fc.assert(
      fc.property(places, (cuts) => {
        const seen: string[] = [];
        const splitter = new MessageSplitter((from, start, end) =>
          seen.push(from.toString('latin1', start, end)),
        );
        for (const piece of cut(bytes, cuts)) splitter.push(piece, 0, piece.length);
        expect(seen).toEqual(messages);
      }),
    );
  });
});

describe('prepared calls', () => {
  it('refer to the dynamic table by one byte a field after the opening', () => {
    const heads = encodeHeads(['/a/A', '/b/B']);
    // :method, :scheme; path /a/A was inserted first of six, so it is the oldest: 61 + 6. te is 61 + 2, /b/B is 61 + 1.
    expect([...(heads.indexed[0] as Buffer).subarray(9)]).toEqual(
      [3, 6, 67, 66, 65, 64, 63].map((index) => 0x80 | index),
    );
    expect([...(heads.indexed[1] as Buffer).subarray(9)]).toEqual(
      [3, 6, 62, 66, 65, 64, 63].map((index) => 0x80 | index),
    );
  });

  it('name the key, and the key a span further', () => {
    const { message, slots } = toBytes({ kind: 'range', span: 100 });
    const prepared = prepare(encodeHeads(['/x']).indexed[0] as Buffer, message, slots);
    const bytes = Buffer.from(prepared.wire);
    patchKeys(prepared, bytes, 0, 0x2a);
    expect(bytes.toString('latin1').match(/bench\/[0-9a-f]{8}/g)).toEqual([
      'bench/0000002a',
      'bench/0000008e',
    ]);
  });
});
