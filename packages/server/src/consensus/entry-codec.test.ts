import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_TXN_DEPTH } from '../codec/requests.ts';
import type { Operation, TxnOperation, TxnStep } from '../operations.ts';
import { decodeEntry, EntryError, encodeEntry } from './entry-codec.ts';

const bytes = fc.uint8Array({ maxLength: 40 });
const int = fc.maxSafeInteger();
const small = fc.integer({ min: -3, max: 9 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const flag = fc.boolean();

const put = fc.record({
  kind: fc.constant('put' as const),
  key: bytes,
  value: bytes,
  lease: fc.oneof(fc.constant(0n), int64),
  prevKv: flag,
  ignoreValue: flag,
  ignoreLease: flag,
});
const deleteRange = fc.record({
  kind: fc.constant('delete-range' as const),
  key: bytes,
  rangeEnd: bytes,
  prevKv: flag,
});
const range = fc.record({
  kind: fc.constant('range' as const),
  key: bytes,
  rangeEnd: bytes,
  limit: int,
  revision: int,
  sortOrder: small,
  sortTarget: small,
  serializable: flag,
  keysOnly: flag,
  countOnly: flag,
  minModRevision: int,
  maxModRevision: int,
  minCreateRevision: int,
  maxCreateRevision: int,
});
const compare = fc.record({
  result: small,
  target: small,
  key: bytes,
  rangeEnd: bytes,
  number: int64,
  value: bytes,
});
const { txn } = fc.letrec<{ txn: Extract<Operation, { kind: 'txn' }>; step: TxnStep }>((tie) => ({
  txn: fc.record({
    kind: fc.constant('txn' as const),
    compare: fc.array(compare, { maxLength: 3 }),
    success: fc.array(tie('step'), { maxLength: 3 }),
    failure: fc.array(tie('step'), { maxLength: 3 }),
  }),
  step: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    range,
    put,
    deleteRange,
    fc.constant({ kind: 'none' as const }),
    tie('txn'),
  ),
}));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  put,
  deleteRange,
  txn,
  fc.record({ kind: fc.constant('compact' as const), revision: int, physical: flag }),
  fc.record({ kind: fc.constant('lease-grant' as const), id: int64, ttlSec: int }),
  fc.record({ kind: fc.constant('lease-revoke' as const), id: int64 }),
  fc.record({
    kind: fc.constant('lease-expire' as const),
    id: int64,
    grantIndex: fc.nat(),
    term: fc.nat(),
  }),
  fc.record({
    kind: fc.constant('lease-checkpoint' as const),
    term: fc.nat(),
    checkpoints: fc.array(fc.record({ id: int64, grantIndex: fc.nat(), remainingTtlSec: int })),
  }),
  fc.record({ kind: fc.constant('alarm' as const), action: small, memberId: uint64, alarm: small }),
  fc.record({
    kind: fc.constant('member-attributes' as const),
    memberId: uint64,
    name: fc.string({ unit: 'grapheme' }),
    clientUrls: fc.array(fc.string()),
  }),
  fc.record({ kind: fc.constant('cluster-version' as const), version: fc.string() }),
);
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** Typed arrays and Buffers of the same bytes are equal here. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, item) => {
      if (typeof item === 'bigint') return `${item}n`;
      if (item?.type === 'Buffer') return Buffer.from(item.data).toString('hex');
      return ArrayBuffer.isView(item) ? Buffer.from(item as Uint8Array).toString('hex') : item;
    }),
  );

describe('entry codec', () => {
  test('every operation comes back as it went in', () => {
    fc.assert(
      fc.property(uint32, uint32, operation, (origin, sequence, given) => {
        const decoded = decodeEntry(encodeEntry(origin, sequence, given));
        expect(plain(decoded)).toEqual(plain({ origin, sequence, operation: given }));
      }),
      { numRuns: 500 },
    );
  });

  test('the example of the header', () => {
    const given: Operation = {
      kind: 'put',
      key: Buffer.from('a'),
      value: Buffer.from('1'),
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    };
    expect(Buffer.from(encodeEntry(7, 3, given)).toString('hex')).toBe('01070000000300000001000261' + '0231');
  });

  test('case-14 an entry cut anywhere is refused', () => {
    fc.assert(
      fc.property(operation, (given) => {
        const whole = encodeEntry(1, 2, given);
        for (let length = 0; length < whole.length; length++) {
          expect(() => decodeEntry(whole.subarray(0, length))).toThrow(EntryError);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('case-14 changed bytes decode to something or are refused, nothing else', () => {
    fc.assert(
      fc.property(operation, fc.nat(), fc.nat(255), (given, at, value) => {
        const changed = Uint8Array.from(encodeEntry(1, 2, given));
        changed[at % changed.length] = value;
        try {
          decodeEntry(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(EntryError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('case-14 random bytes, huge counts and lengths are refused without allocating', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (tail) => {
        const data = Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 0, 0, 3, ...tail]);
        try {
          decodeEntry(data);
        } catch (error) {
          expect(error).toBeInstanceOf(EntryError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('nesting is bounded', () => {
    const deep = [1, 0, 0, 0, 0, 0, 0, 0, 0, 3];
    for (let level = 0; level < 100_000; level++) deep.push(0, 2, 3);
    expect(() => decodeEntry(Uint8Array.from(deep))).toThrow(/nested/);
  });

  test('what a request may nest, an entry can hold', () => {
    let deepest: TxnOperation = { kind: 'txn', compare: [], success: [], failure: [] };
    for (let level = 0; level < MAX_TXN_DEPTH; level++) {
      deepest = { kind: 'txn', compare: [], success: [deepest], failure: [] };
    }
    let { operation } = decodeEntry(encodeEntry(1, 2, deepest));
    let depth = 0;
    for (; operation.kind === 'txn' && operation.success.length > 0; depth++) {
      operation = operation.success[0] as TxnOperation;
    }
    expect(depth).toBe(MAX_TXN_DEPTH);
  });
});
