/** Edges of the wire format: hostile bytes, depth, merging, unknown fields, 64-bit limits. */
import fc from 'fast-check';
import protobuf from 'protobufjs/minimal.js';
import { describe, expect, test } from 'vitest';
import {
  Compare,
  DecodeError,
  KeyValue,
  MAX_DECODE_DEPTH,
  RangeResponse,
  RequestOp,
  ResponseHeader,
  StatusResponse,
  TxnRequest,
  WatchCreateRequest,
} from '../src/index.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A transaction inside a transaction, `levels` deep, built outwards without recursion. */
function nestedTxn(levels: number): Uint8Array {
  // Lengths of the two messages per level are known from the inside out, so the prefix is written backwards.
  const prefixes: Uint8Array[] = [];
  let length = 0;
  for (let i = 0; i < levels; i++) {
    for (const tag of [34, 18]) {
      const prefix = protobuf.Writer.create().uint32(tag).uint32(length).finish();
      prefixes.push(prefix);
      length += prefix.length;
    }
  }
  return Buffer.concat(prefixes.reverse());
}

function failure(decode: () => unknown): DecodeError {
  try {
    decode();
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
  throw new Error('decoded');
}

describe('wire format', () => {
  test('64-bit limits survive', () => {
    for (const revision of [0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)])
      expect(ResponseHeader.decode(ResponseHeader.encode({ revision })).revision).toBe(revision);
    for (const memberId of [2n ** 64n - 1n, 2n ** 63n, 127n, 128n, 2n ** 49n, 2n ** 49n - 1n])
      expect(ResponseHeader.decode(ResponseHeader.encode({ memberId })).memberId).toBe(memberId);
  });

  test('numbers are accepted where the wire has 64 bits', () => {
    for (const value of [5, -5, 2 ** 32, Number.MAX_SAFE_INTEGER])
      expect(KeyValue.decode(KeyValue.encode({ version: value })).version).toBe(BigInt(value));
  });

  test('unknown fields of every wire type are skipped', () => {
    const unknown = bytes(
      ...[0xa0, 0x06, 0x96, 0x01], // 100: varint
      ...[0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8], // 100: fixed64
      ...[0xa2, 0x06, 0x02, 0xff, 0xff], // 100: bytes
      ...[0xa5, 0x06, 1, 2, 3, 4], // 100: fixed32
      ...[0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06], // 100: group
    );
    const message = Buffer.concat([unknown, KeyValue.encode({ key: text('k') }), unknown]);
    expect(KeyValue.decode(message)).toEqual({ ...KeyValue.empty(), key: text('k') });
  });

  test('a known field with another wire type is skipped like an unknown one', () => {
    expect(KeyValue.decode(bytes(0x08, 0x05, 0x20, 0x07)).version).toBe(7n);
  });

  test('packed and unpacked enums both decode', () => {
    expect(WatchCreateRequest.decode(bytes(0x2a, 2, 0, 1)).filters).toEqual([0, 1]);
    expect(WatchCreateRequest.decode(bytes(0x28, 0, 0x28, 1)).filters).toEqual([0, 1]);
  });

  test('the last member of a oneof wins, and an explicit zero counts as set', () => {
    const both = Buffer.concat([Compare.encode({ version: 0n }), Compare.encode({ value: text('v') })]);
    expect(Compare.decode(both)).toMatchObject({ version: undefined, value: text('v') });
    expect(Compare.decode(Compare.encode({ modRevision: 0 })).modRevision).toBe(0n);
  });

  test('a nested message that comes twice is merged', () => {
    const twice = Buffer.concat([
      RangeResponse.encode({ header: { revision: 4n } }),
      RangeResponse.encode({ header: { raftTerm: 9n } }),
    ]);
    expect(RangeResponse.decode(twice).header).toMatchObject({ revision: 4n, raftTerm: 9n });
  });

  test('a nested message may be given as its bytes', () => {
    const kv = { key: text('k'), value: text('v'), modRevision: 3n };
    const spliced = RangeResponse.encode({ kvs: [KeyValue.encode(kv)], count: 1 });
    expect(Buffer.from(spliced)).toEqual(Buffer.from(RangeResponse.encode({ kvs: [kv], count: 1 })));
  });

  test('a decoded message is plain data: spreading it loses nothing', () => {
    const kv = KeyValue.decode(bytes());
    expect({ ...kv }).toEqual({
      key: bytes(),
      createRevision: 0n,
      modRevision: 0n,
      version: 0n,
      value: bytes(),
      lease: 0n,
    });
  });

  test('fields of bytes are views of what was decoded', () => {
    const encoded = new Uint8Array(KeyValue.encode({ key: text('key') }));
    const kv = KeyValue.decode(encoded);
    encoded[2] = 0x7a;
    expect(kv.key).toEqual(text('zey'));
    expect(kv.key.constructor).toBe(Uint8Array);
  });

  test('the deepest transaction that 128 operations allow decodes', () => {
    expect(TxnRequest.decode(nestedTxn(128)).success).toHaveLength(1);
  });

  test('case-65 a transaction nested 10,000 times is refused, not a stack overflow', () => {
    for (const levels of [MAX_DECODE_DEPTH, 10_000, 100_000])
      expect(failure(() => TxnRequest.decode(nestedTxn(levels))).code).toBe('TOO_DEEP');
  });

  test('groups nested without end are refused', () => {
    const groups = new Uint8Array(200_000);
    for (let i = 0; i < groups.length; i += 2) groups.set([0xa3, 0x06], i);
    expect(failure(() => TxnRequest.decode(groups)).code).toBe('MALFORMED');
  });

  test('lengths that lie are refused', () => {
    for (const lie of [
      bytes(0x0a, 0x05, 1), // key of five bytes, one there
      bytes(0x0a, 0xff, 0xff, 0xff, 0xff, 0x07), // 2^31-1
      bytes(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
      bytes(0x18, 0x80), // varint cut off
      bytes(0x18, ...new Array<number>(10).fill(0x80), 1), // varint of eleven bytes
      bytes(0x00), // field number 0
      bytes(0x0f), // wire type 7
    ])
      expect(failure(() => KeyValue.decode(lie)).code).toBe('MALFORMED');
    // The inner message claims more than its block.
    expect(failure(() => RangeResponse.decode(bytes(0x0a, 2, 0x18, 0x80, 0x01, 0x20, 0x01))).code).toBe(
      'MALFORMED',
    );
  });

  test('text that is not UTF-8 is refused', () => {
    expect(failure(() => StatusResponse.decode(bytes(0x12, 2, 0xff, 0xfe))).code).toBe('MALFORMED');
  });

  test('any bytes either decode or are refused with a DecodeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (input) => {
        for (const codec of [RequestOp, TxnRequest, RangeResponse, Compare]) {
          try {
            codec.decode(input);
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError);
          }
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('every truncation of a message either decodes or is refused', () => {
    const whole = TxnRequest.encode({
      compare: [{ key: text('abc'), value: text('def') }],
      success: [{ requestPut: { key: text('k'), value: new Uint8Array(200), lease: -1n } }],
    });
    for (let end = 0; end < whole.length; end++) {
      try {
        TxnRequest.decode(whole.subarray(0, end));
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    }
    expect(TxnRequest.decode(whole).success).toHaveLength(1);
  });
});
