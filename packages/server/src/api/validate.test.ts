import {
  type Compare,
  DeleteRangeRequest,
  errorFacts,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
} from '@quorate/proto';
import { describe, expect, test } from 'vitest';
import {
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
} from '../codec/requests.ts';
import { checkDeleteRange, checkPut, checkRange, checkRangeStream, checkTxn } from './validate.ts';

const text = (value: string) => Buffer.from(value, 'latin1');
const range = (message: Parameters<typeof RangeRequest.encode>[0]) =>
  decodeRangeRequest(RangeRequest.encode(message));

type Step = Parameters<typeof RequestOp.encode>[0];
const put = (key: string): Step => ({ requestPut: { key: text(key) } });
const del = (key: string, end = ''): Step => ({
  requestDeleteRange: { key: text(key), rangeEnd: text(end) },
});
const get = (key: string): Step => ({ requestRange: { key: text(key) } });
const nest = (success: Step[], failure: Step[] = []): Step => ({ requestTxn: { success, failure } });

function txn(success: Step[], failure: Step[] = [], compare: Parameters<typeof Compare.encode>[0][] = []) {
  return checkTxn(decodeTxnRequest(TxnRequest.encode({ compare, success, failure }), 128), 128);
}

describe('single requests', () => {
  test('sem-019 err-ErrGRPCEmptyKey: the key comes before the enumerations', () => {
    expect(checkRange(range({}))).toBe('EMPTY_KEY');
    expect(checkRange(range({ sortOrder: 7 }))).toBe('EMPTY_KEY');
    expect(errorFacts.EMPTY_KEY.message).toBe('etcdserver: key is not provided');
  });

  test('sem-019 err-ErrGRPCInvalidSortOption for numbers that no enumeration has', () => {
    const key = text('a');
    for (const wrong of [3, -1, 2 ** 31 - 1, -(2 ** 31)]) {
      expect(checkRange(range({ key, sortOrder: wrong }))).toBe('INVALID_SORT_OPTION');
    }
    expect(checkRange(range({ key, sortTarget: 5 }))).toBe('INVALID_SORT_OPTION');
    expect(checkRange(range({ key, sortTarget: 4, sortOrder: 2 }))).toBe(null);
    expect(errorFacts.INVALID_SORT_OPTION.message).toBe('etcdserver: invalid sort option');
  });

  test('sem-042 err-ErrGRPCValueProvided err-ErrGRPCLeaseProvided', () => {
    const check = (message: Parameters<typeof PutRequest.encode>[0]) =>
      checkPut(decodePutRequest(PutRequest.encode(message)));
    const key = text('a');
    expect(check({ ignoreValue: true, value: text('v') })).toBe('EMPTY_KEY');
    expect(check({ key, ignoreValue: true, value: text('v'), ignoreLease: true, lease: 1n })).toBe(
      'VALUE_PROVIDED',
    );
    expect(check({ key, ignoreLease: true, lease: -1n })).toBe('LEASE_PROVIDED');
    expect(check({ key, ignoreLease: true, ignoreValue: true })).toBe(null);
    expect(errorFacts.VALUE_PROVIDED.message).toBe('etcdserver: value is provided');
    expect(errorFacts.LEASE_PROVIDED.message).toBe('etcdserver: lease is provided');
  });

  test('a delete needs a key', () => {
    const check = (message: Parameters<typeof DeleteRangeRequest.encode>[0]) =>
      checkDeleteRange(decodeDeleteRangeRequest(DeleteRangeRequest.encode(message)));
    expect(check({ rangeEnd: text('b') })).toBe('EMPTY_KEY');
    expect(check({ key: text('b'), rangeEnd: text('a') })).toBe(null);
  });

  test('sem-036 err-(RangeStream sort) err-(RangeStream filter): what cannot be streamed', () => {
    const check = (message: Parameters<typeof RangeRequest.encode>[0]) => checkRangeStream(range(message));
    const key = text('a');
    expect(check({})).toBe('EMPTY_KEY');
    expect(check({ key, sortOrder: 3 })).toBe('INVALID_SORT_OPTION');
    expect(check({ key, sortOrder: 2 })).toBe('RANGE_STREAM_SORT');
    expect(check({ key, sortOrder: 1, sortTarget: 3, minModRevision: 1n })).toBe('RANGE_STREAM_SORT');
    expect(check({ key, maxCreateRevision: -1n })).toBe('RANGE_STREAM_FILTER');
    // No order, whatever the target, and ascending keys are the order there is.
    expect(check({ key, sortTarget: 3 })).toBe(null);
    expect(check({ key, sortOrder: 1 })).toBe(null);
  });
});

describe('the shape of a transaction', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => get(`k${index}`));

  test('sem-054 err-ErrGRPCTooManyOps: each list holds at most max-txn-ops', () => {
    const compare = (count: number) => Array.from({ length: count }, () => ({ key: text('a') }));
    expect(txn(many(128), many(128), compare(128))).toBe(null);
    expect(txn(many(129))).toBe('TOO_MANY_OPERATIONS');
    expect(txn([], many(129))).toBe('TOO_MANY_OPERATIONS');
    expect(txn([], [], compare(129))).toBe('TOO_MANY_OPERATIONS');
    expect(errorFacts.TOO_MANY_OPERATIONS.message).toBe('etcdserver: too many operations in txn request');
  });

  test('sem-054: a nested txn has what its parents leave', () => {
    expect(txn([nest(many(127))])).toBe(null);
    expect(txn([nest(many(128))])).toBe('TOO_MANY_OPERATIONS');
    expect(txn([get('a'), nest(many(126))])).toBe(null);
    expect(txn([get('a'), nest(many(127))])).toBe('TOO_MANY_OPERATIONS');
  });

  test('sem-054: as deep as etcd goes and one deeper', () => {
    const deep = (levels: number) => {
      let step = get('a');
      for (let level = 0; level < levels; level++) step = nest([step]);
      return txn([step]);
    };
    expect(deep(127)).toBe(null);
    expect(deep(128)).toBe('TOO_MANY_OPERATIONS');
    expect(deep(150)).toBe('TOO_MANY_OPERATIONS');
  });

  test('sem-055: empty lists are fine', () => {
    expect(txn([])).toBe(null);
    expect(txn([nest([])])).toBe(null);
  });

  test('sem-056 err-ErrGRPCKeyNotFound: compares need keys, operations need to be something', () => {
    expect(txn([], [], [{}])).toBe('EMPTY_KEY');
    expect(txn([{}])).toBe('KEY_NOT_FOUND');
    expect(txn([put('')])).toBe('EMPTY_KEY');
    expect(txn([nest([{ requestPut: { key: text('a'), ignoreLease: true, lease: 1n } }])])).toBe(
      'LEASE_PROVIDED',
    );
    expect(errorFacts.KEY_NOT_FOUND.message).toBe('etcdserver: key not found');
  });

  test('sem-059: both branches are checked, the first fault in order counts', () => {
    expect(txn([get('a')], [put('')])).toBe('EMPTY_KEY');
    expect(txn([{}], [put('')])).toBe('KEY_NOT_FOUND');
    // Shape before overlaps, also when the overlap comes first in the request.
    expect(txn([put('a'), put('a')], [put('')])).toBe('EMPTY_KEY');
    expect(txn([], [put('a'), put('a')])).toBe('DUPLICATE_KEY');
  });
});

describe('overlaps within a branch', () => {
  const duplicate = 'DUPLICATE_KEY';

  test('sem-057 err-ErrGRPCDuplicateKey: no key twice, no put inside a deletion, in any order', () => {
    expect(txn([put('a'), put('a')])).toBe(duplicate);
    expect(txn([put('a'), del('a')])).toBe(duplicate);
    expect(txn([del('a'), put('a')])).toBe(duplicate);
    expect(txn([del('a', 'c'), put('b')])).toBe(duplicate);
    expect(txn([del('a', 'c'), put('c')])).toBe(null);
    expect(txn([del('b', 'c'), put('a')])).toBe(null);
    expect(txn([put('a')], [put('a')])).toBe(null);
    expect(errorFacts.DUPLICATE_KEY.message).toBe('etcdserver: duplicate key given in txn request');
  });

  test('sem-057: keys are bytes', () => {
    expect(txn([del('\x7f', '\xff'), put('\x80')])).toBe(duplicate);
    expect(txn([put('\xe9'), put('e')])).toBe(null);
    expect(txn([del('a'), put('a\0')])).toBe(null);
  });

  test('sem-057: a deletion without a proper end covers nothing here, as in etcd 3.4.23', () => {
    expect(txn([del('a', '\0'), put('b')])).toBe(null);
    expect(txn([del('z', 'b'), put('b')])).toBe(null);
  });

  test('sem-057 reaches into nested txns', () => {
    expect(txn([put('a'), nest([put('a')])])).toBe(duplicate);
    expect(txn([nest([], [put('a')]), put('a')])).toBe(duplicate);
    expect(txn([del('a', 'c'), nest([nest([put('b')])])])).toBe(duplicate);
    expect(txn([nest([del('a', 'c')]), put('b')])).toBe(duplicate);
    expect(txn([nest([put('a')]), nest([put('a')])])).toBe(duplicate);
  });

  test('sem-058: branches of one nested txn exclude each other; deletions and ranges never collide', () => {
    expect(txn([nest([put('a')], [put('a')])])).toBe(null);
    expect(txn([put('b'), nest([put('a')], [put('a')])])).toBe(null);
    expect(txn([del('a', 'c'), del('b', 'd')])).toBe(null);
    expect(txn([get('a'), put('a'), get('a')])).toBe(null);
  });

  test('sem-060: deletions of a later nested txn do not meet puts of an earlier one', () => {
    expect(txn([nest([put('a')]), nest([del('a')])])).toBe(null);
    expect(txn([nest([del('a')]), nest([put('a')])])).toBe(duplicate);
  });

  test('what would cost too much to compare is refused, soon', () => {
    // 60 x 60 puts against 60 x 60 deletions: thirteen million comparisons.
    const wide = (step: (name: string) => Step) =>
      Array.from({ length: 60 }, (_, outer) =>
        nest(Array.from({ length: 60 }, (_unused, inner) => step(`${outer}/${inner}`))),
      );
    expect(txn([nest(wide((name) => del(`d${name}`))), nest(wide((name) => put(`p${name}`)))])).toBe(
      'TOO_MANY_OPERATIONS',
    );
  });
});
