import {
  CompactionRequest,
  type Compare as CompareMessage,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
} from '@quorate/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Compare, TxnOperation, TxnStep } from '../operations.ts';
import {
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  MAX_TXN_DEPTH,
  TOO_DEEP,
} from './requests.ts';
import { WireError } from './wire-reader.ts';

const anyBytes = fc.uint8Array({ maxLength: 40 });
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -3n, max: 300n }),
  fc.constantFrom(
    2n ** 53n,
    2n ** 53n - 1n,
    -(2n ** 53n),
    1n - 2n ** 53n,
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 32n,
  ),
);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const small = fc.integer({ min: -1, max: 6 });

function narrow(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

/** Plain bytes on both sides, so that Buffers and Uint8Arrays compare equal. */
function plain<T>(value: T): T {
  if (value instanceof Uint8Array) return Uint8Array.from(value) as T;
  if (Array.isArray(value)) return value.map(plain) as T;
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)])) as T;
  }
  return value;
}

const rangeMessage = fc.record({
  key: anyBytes,
  rangeEnd: anyBytes,
  limit: int64,
  revision: int64,
  sortOrder: fc.oneof(small, int32),
  sortTarget: fc.oneof(small, int32),
  serializable: fc.boolean(),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  minModRevision: int64,
  maxModRevision: int64,
  minCreateRevision: int64,
  maxCreateRevision: int64,
});
const putMessage = fc.record({
  key: anyBytes,
  value: anyBytes,
  lease: int64,
  prevKv: fc.boolean(),
  ignoreValue: fc.boolean(),
  ignoreLease: fc.boolean(),
});
const deleteMessage = fc.record({ key: anyBytes, rangeEnd: anyBytes, prevKv: fc.boolean() });

const UNION = ['version', 'createRevision', 'modRevision', 'value', 'lease'] as const;
const compareMessage = fc
  .record({
    result: fc.oneof(small, int32),
    target: fc.oneof(small, int32),
    key: anyBytes,
    rangeEnd: anyBytes,
    member: fc.option(fc.constantFrom(...UNION)),
    number: int64,
    value: anyBytes,
  })
  .map(({ member, number, value, ...rest }) => ({
    ...rest,
    ...(member === null ? {} : { [member]: member === 'value' ? value : number }),
  }));

const { txn: txnMessage } = fc.letrec((tie) => ({
  op: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    rangeMessage.map((requestRange) => ({ requestRange })),
    putMessage.map((requestPut) => ({ requestPut })),
    deleteMessage.map((requestDeleteRange) => ({ requestDeleteRange })),
    fc.constant({}),
    tie('txn').map((requestTxn) => ({ requestTxn })),
  ),
  txn: fc.record({
    compare: fc.array(compareMessage, { maxLength: 4 }),
    success: fc.array(tie('op'), { maxLength: 4 }),
    failure: fc.array(tie('op'), { maxLength: 3 }),
  }),
}));

// The way the generated codec sees the same bytes, turned into operations field by field.
function rangeOf(message: RangeRequest) {
  return {
    kind: 'range',
    ...message,
    limit: narrow(message.limit),
    revision: narrow(message.revision),
    minModRevision: narrow(message.minModRevision),
    maxModRevision: narrow(message.maxModRevision),
    minCreateRevision: narrow(message.minCreateRevision),
    maxCreateRevision: narrow(message.maxCreateRevision),
  };
}

function compareOf(message: CompareMessage): Compare {
  const { result, target, key, rangeEnd } = message;
  const member = UNION[target];
  const operand = member === undefined ? undefined : message[member];
  return {
    result,
    target,
    key,
    rangeEnd,
    number: typeof operand === 'bigint' ? operand : 0n,
    value: operand instanceof Uint8Array ? operand : new Uint8Array(0),
  };
}

function stepOf(message: RequestOp): unknown {
  if (message.requestRange !== undefined) return rangeOf(message.requestRange);
  if (message.requestPut !== undefined) return { kind: 'put', ...message.requestPut };
  if (message.requestDeleteRange !== undefined) {
    return { kind: 'delete-range', ...message.requestDeleteRange };
  }
  return message.requestTxn === undefined ? { kind: 'none' } : txnOf(message.requestTxn);
}

function txnOf(message: TxnRequest): unknown {
  return {
    kind: 'txn',
    compare: message.compare.map(compareOf),
    success: message.success.map(stepOf),
    failure: message.failure.map(stepOf),
  };
}

describe('hand-written decoders equal the generated ones', () => {
  test('RangeRequest', () => {
    fc.assert(
      fc.property(rangeMessage, (message) => {
        const bytes = RangeRequest.encode(message);
        expect(plain(decodeRangeRequest(bytes))).toEqual(plain(rangeOf(RangeRequest.decode(bytes))));
      }),
    );
  });

  test('PutRequest', () => {
    fc.assert(
      fc.property(putMessage, (message) => {
        const bytes = PutRequest.encode(message);
        expect(plain(decodePutRequest(bytes))).toEqual(plain({ kind: 'put', ...PutRequest.decode(bytes) }));
      }),
    );
  });

  test('DeleteRangeRequest', () => {
    fc.assert(
      fc.property(deleteMessage, (message) => {
        const bytes = DeleteRangeRequest.encode(message);
        expect(plain(decodeDeleteRangeRequest(bytes))).toEqual(
          plain({ kind: 'delete-range', ...DeleteRangeRequest.decode(bytes) }),
        );
      }),
    );
  });

  test('CompactionRequest', () => {
    fc.assert(
      fc.property(int64, fc.boolean(), (revision, physical) => {
        const bytes = CompactionRequest.encode({ revision, physical });
        expect(decodeCompactionRequest(bytes)).toEqual({
          kind: 'compact',
          revision: narrow(revision),
          physical,
        });
      }),
    );
  });

  test('TxnRequest with nesting; sem-064 a union member that does not fit its target counts as absent', () => {
    fc.assert(
      fc.property(txnMessage, (message) => {
        const bytes = TxnRequest.encode(message as Parameters<typeof TxnRequest.encode>[0]);
        expect(plain(decodeTxnRequest(bytes, 128))).toEqual(plain(txnOf(TxnRequest.decode(bytes))));
      }),
    );
  });
});

const bytes = (...values: number[]) => Uint8Array.from(values);
const NEGATIVE = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];

describe('what protobuf allows', () => {
  test('the last scalar wins', () => {
    expect(decodeRangeRequest(bytes(0x0a, 1, 97, 0x0a, 1, 98)).key).toEqual(bytes(98));
    expect(decodeRangeRequest(bytes(0x18, 5, 0x18, 7)).limit).toBe(7);
  });

  test('the last member of a oneof wins, and replaces the first whole', () => {
    const put = [0x0a, 1, 113];
    const step = (op: number[]): TxnStep =>
      decodeTxnRequest(bytes(0x12, op.length, ...op), 128).success[0] as TxnStep;
    expect(step([0x0a, 3, 0x0a, 1, 107, 0x12, 3, ...put])).toMatchObject({ kind: 'put', key: bytes(113) });
    const twice = step([0x12, 3, ...put, 0x12, 3, 0x12, 1, 122]);
    expect(twice).toMatchObject({ kind: 'put', key: bytes(), value: bytes(122) });
  });

  test('tags, lengths and numbers may be encoded longer than needed', () => {
    expect(decodeRangeRequest(bytes(0x8a, 0x00, 0x81, 0x00, 97)).key).toEqual(bytes(97));
    expect(decodeRangeRequest(bytes(0x18, 0x85, 0x80, 0x00)).limit).toBe(5);
  });

  test('unknown fields of every wire type are skipped, groups within groups too', () => {
    const key = [0x0a, 1, 97];
    for (const unknown of [
      [0xa0, 0x06, 0x96, 0x01],
      [0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
      [0xa2, 0x06, 2, 9, 9],
      [0xa3, 0x06, 0x08, 0x01, 0x13, 0x0a, 1, 7, 0x14, 0xa4, 0x06],
      [0xa3, 0x06, 0xac, 0x06],
      [0xa5, 0x06, 1, 2, 3, 4],
      // Field 2^29 + 1: its tag must not be mistaken for field 1.
      [0x88, 0x80, 0x80, 0x80, 0x10, 0x01],
    ]) {
      expect(decodeRangeRequest(bytes(...key, ...unknown)).key).toEqual(bytes(97));
      expect(decodeRangeRequest(bytes(...unknown, ...key)).key).toEqual(bytes(97));
    }
  });

  test('enumerations keep their low 32 bits, booleans are anything but zero', () => {
    expect(decodeRangeRequest(bytes(0x28, 0x80, 0x80, 0x80, 0x80, 0x10)).sortOrder).toBe(0);
    expect(decodeRangeRequest(bytes(0x28, ...NEGATIVE)).sortOrder).toBe(-1);
    expect(decodeRangeRequest(bytes(0x38, 0x80, 0x80, 0x80, 0x80, 0x10)).serializable).toBe(true);
  });

  test('a tenth varint byte above 1 is cut', () => {
    const limit = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    expect(decodeRangeRequest(bytes(0x18, ...limit)).limit).toBe(-1);
  });
});

describe('what it does not allow: texts as etcd 3.4.23 gives them', () => {
  const cases: [name: string, bytes: Uint8Array, message: string][] = [
    ['a length past the end', bytes(0x0a, 5, 97, 98), 'unexpected EOF'],
    ['a negative length', bytes(0x0a, ...NEGATIVE), 'proto: negative length found during unmarshaling'],
    ['a length of 2^62', bytes(0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40), 'unexpected EOF'],
    ['a known field of another type', bytes(0x08, 1), 'proto: wrong wireType = 0 for field Key'],
    ['field number 0', bytes(0x02, 1, 97), 'proto: RangeRequest: illegal tag 0 (wire type 2)'],
    ['an end without a group', bytes(0x0c), 'proto: RangeRequest: wiretype end group for non-group'],
    ['a group without an end', bytes(0xa3, 0x06, 0x08, 1), 'unexpected EOF'],
    ['wire type 6', bytes(0xa6, 0x06), 'proto: illegal wireType 6'],
    ['wire type 7', bytes(0xa7, 0x06), 'proto: illegal wireType 7'],
    ['a varint of eleven bytes', bytes(0x18, ...Array(10).fill(0xff), 1), 'proto: integer overflow'],
    ['a varint that never ends', bytes(0x18, 0x80), 'unexpected EOF'],
    ['a tag that never ends', bytes(0x80), 'unexpected EOF'],
    ['a fixed64 past the end', bytes(0xa1, 0x06, 1, 2, 3), 'unexpected EOF'],
  ];
  test.each(cases)('%s', (_name, input, message) => {
    expect(() => decodeRangeRequest(input)).toThrow(new WireError(message));
  });

  test('a nested message may not reach past the one around it', () => {
    // success { request_put { key: 3 bytes, of which the op holds 1 } } and two bytes that belong to the txn.
    expect(() => decodeTxnRequest(bytes(0x12, 5, 0x12, 3, 0x0a, 3, 97, 98, 99), 128)).toThrow(WireError);
  });

  test('ten thousand open groups neither recurse nor pass', () => {
    expect(() => decodeRangeRequest(new Uint8Array(10_000).fill(0x7b))).toThrow(WireError);
  });

  test('truncation at every offset is an error or a shorter message, never anything else', () => {
    const message = TxnRequest.encode({
      compare: [{ key: bytes(97), version: 3n, rangeEnd: bytes(98) }],
      success: [{ requestPut: { key: bytes(97), value: new Uint8Array(200), lease: -1n } }],
      failure: [{ requestTxn: { success: [{ requestRange: { key: bytes(97), limit: 2n ** 40n } }] } }],
    });
    for (let length = 0; length < message.length; length++) {
      try {
        expect(decodeTxnRequest(message.subarray(0, length), 128).kind).toBe('txn');
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    }
  });

  test('random bytes give a message or a WireError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
        for (const decode of [
          decodeRangeRequest,
          decodePutRequest,
          decodeDeleteRangeRequest,
          decodeCompactionRequest,
          (bytes: Uint8Array) => decodeTxnRequest(bytes, 128),
        ]) {
          try {
            decode(input);
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('nesting', () => {
  function nested(levels: number): Uint8Array {
    let message: Uint8Array = new Uint8Array(0);
    for (let level = 1; level < levels; level++) {
      message = TxnRequest.encode({ success: [{ requestTxn: message }] });
    }
    return message;
  }

  function depthOf(operation: TxnOperation): number {
    const step = operation.success[0];
    return step?.kind === 'txn' && step !== TOO_DEEP ? 1 + depthOf(step) : 1;
  }

  test('sem-054 is decoded as deep as max-txn-ops allows, below stands a marker', () => {
    expect(depthOf(decodeTxnRequest(nested(129), 128))).toBe(129);
    expect(depthOf(decodeTxnRequest(nested(500), 128))).toBe(129);
    expect(JSON.stringify(plain(decodeTxnRequest(nested(3), 1)))).toContain('"kind":"txn"');
    expect((decodeTxnRequest(nested(3), 1).success[0] as TxnOperation).success[0]).toBe(TOO_DEEP);
  });

  test('is bounded whatever max-txn-ops says', () => {
    expect(depthOf(decodeTxnRequest(nested(5_000), 1_000_000))).toBe(MAX_TXN_DEPTH + 1);
  });
});
