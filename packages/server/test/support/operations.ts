/** Random operations over few keys, revisions and leases, so that they meet each other. */
import fc from 'fast-check';
import type {
  Compare,
  DeleteRangeOperation,
  Operation,
  PutOperation,
  RangeOperation,
  TxnOperation,
  TxnStep,
} from '../../src/operations.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const key = fc.constantFrom('a', 'a\0', 'ab', 'b', 'c', 'd', '\xff', '\0').map(bytes);
const rangeEnd = fc.oneof(
  { weight: 3, arbitrary: fc.constant(bytes('')) },
  { weight: 1, arbitrary: fc.constantFrom('\0', 'a', 'b', 'c', 'z', '\xff').map(bytes) },
);
const value = fc.constantFrom('', '1', '2', '22').map(bytes);
const lease = fc.constantFrom(0n, 0n, 0n, 1n, 2n, -3n);
const revision = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: -2, max: 30 }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER) },
);
const bound = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -1, max: 20 }) },
);
const limit = fc.oneof(fc.constant(0), fc.integer({ min: -1, max: 4 }), fc.constant(Number.MAX_SAFE_INTEGER));
const seldom = fc.integer({ min: 0, max: 4 }).map((n) => n === 0);

export const range: fc.Arbitrary<RangeOperation> = fc.record({
  kind: fc.constant('range' as const),
  key,
  rangeEnd,
  limit,
  revision,
  sortOrder: fc.integer({ min: 0, max: 2 }),
  sortTarget: fc.integer({ min: 0, max: 4 }),
  serializable: fc.boolean(),
  keysOnly: seldom,
  countOnly: seldom,
  minModRevision: bound,
  maxModRevision: bound,
  minCreateRevision: bound,
  maxCreateRevision: bound,
});

export const put: fc.Arbitrary<PutOperation> = fc.record({
  kind: fc.constant('put' as const),
  key,
  value,
  lease,
  prevKv: fc.boolean(),
  ignoreValue: seldom,
  ignoreLease: seldom,
});

const deleteRange: fc.Arbitrary<DeleteRangeOperation> = fc.record({
  kind: fc.constant('delete-range' as const),
  key,
  rangeEnd,
  prevKv: fc.boolean(),
});

const compare: fc.Arbitrary<Compare> = fc.record({
  result: fc.integer({ min: 0, max: 4 }),
  target: fc.integer({ min: 0, max: 5 }),
  key,
  rangeEnd,
  number: fc.bigInt({ min: -1n, max: 12n }),
  value,
});

const { txn } = fc.letrec<{ txn: TxnOperation; step: TxnStep }>((tie) => ({
  txn: fc.record({
    kind: fc.constant('txn' as const),
    compare: fc.array(compare, { maxLength: 2 }),
    success: fc.array(tie('step'), { maxLength: 4 }),
    failure: fc.array(tie('step'), { maxLength: 4 }),
  }),
  step: fc.oneof(
    { maxDepth: 3, depthSize: 'medium' },
    put,
    range,
    deleteRange,
    fc.constant({ kind: 'none' as const }),
    tie('txn'),
  ),
}));

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 8, arbitrary: put },
  { weight: 3, arbitrary: deleteRange },
  { weight: 6, arbitrary: txn },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      revision: fc.integer({ min: -1, max: 25 }),
      physical: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('lease-grant' as const),
      id: fc.constantFrom(1n, 2n, -3n),
      ttlSec: fc.integer({ min: 2, max: 100 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('lease-revoke' as const), id: fc.constantFrom(1n, 2n, -3n) }),
  },
);

export { txn };
