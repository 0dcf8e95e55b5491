/** Transactions by example. The first two answers are those of etcd 3.4.23 to the same requests. */
import { describe, expect, test } from 'vitest';
import { getStep } from '../src/api/concurrency/operations.ts';
import { rangeOptions, shapeRange } from '../src/apply/range.ts';
import type { Compare, RangeOperation, TxnOperation, TxnStep } from '../src/operations.ts';
import type { TxnOutcome } from '../src/results.ts';
import { appliedState } from './support/applied-state.ts';
import { put } from './support/sim-member.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

const range = (key: string, rest: Partial<RangeOperation> = {}): RangeOperation => ({
  ...getStep(bytes(key)),
  ...rest,
});
const remove = (key: string, end = ''): TxnStep => ({
  kind: 'delete-range',
  key: bytes(key),
  rangeEnd: bytes(end),
  prevKv: false,
});
const txn = (
  success: readonly TxnStep[],
  compare: readonly Compare[] = [],
  failure: readonly TxnStep[] = [],
) => ({ kind: 'txn', compare, success, failure }) as const satisfies TxnOperation;
const versionIs = (key: string, version: bigint): Compare => ({
  result: 0,
  target: 0,
  key: bytes(key),
  rangeEnd: bytes(''),
  number: version,
  value: bytes(''),
});

function outcome(state: ReturnType<typeof appliedState>, operation: TxnOperation): TxnOutcome {
  const applied = state.apply(operation);
  if (applied.outcome?.kind !== 'txn') throw applied.refusal ?? new Error('no txn');
  return applied.outcome;
}

/** Revisions in the headers, nested ones in brackets. */
function revisions(one: TxnOutcome): unknown[] {
  return [
    one.revision,
    ...one.responses.map((each) => (each.kind === 'txn' ? revisions(each) : each.revision)),
  ];
}

describe('transactions', () => {
  test('sem-002 sem-052 sem-067 one revision for all changes, and each header says where its operation stood', () => {
    const state = appliedState();
    state.apply(put('a', '1'));
    const answer = outcome(
      state,
      txn([range('a'), put('b', '2'), range('b'), txn([put('c', ''), remove('zz')]), remove('zz')]),
    );
    expect(revisions(answer)).toEqual([3, 2, 3, 3, [0, 3, 3], 3]);
    expect(state.store.revision).toBe(3);
    const { batches } = state.store.readEvents(3, 1 << 20);
    const places = batches[0]!.events.map(({ record }) => [record.modRevision, record.sub]);
    expect(places).toEqual([
      [3, 0],
      [3, 1],
    ]);
  });

  test('sem-053 a txn that changes nothing takes no revision', () => {
    const state = appliedState();
    state.apply(put('a', '1'));
    expect(revisions(outcome(state, txn([txn([range('a')]), remove('zz')])))).toEqual([2, [0, 2], 2]);
    expect(state.store.revision).toBe(2);
  });

  test('sem-066 nested conditions look at the state before the whole txn', () => {
    const state = appliedState();
    const nested = txn([put('seen', 'the old state')], [versionIs('a', 0n)], [put('seen', 'the new state')]);
    outcome(state, txn([put('a', '1'), nested]));
    expect(Buffer.from(state.store.get(bytes('seen'))!.value).toString()).toBe('the old state');
  });

  test('sem-061 sem-068 what is refused is refused before anything is written', () => {
    const state = appliedState();
    for (const value of ['1', '2', '3']) state.apply(put('a', value));
    state.apply({ kind: 'compact', revision: 3, physical: false });
    const refusals: [string, TxnStep][] = [
      ['LEASE_NOT_FOUND', put('b', '', { lease: 5n })],
      ['KEY_NOT_FOUND', put('b', '', { ignoreValue: true })],
      ['KEY_NOT_FOUND', put('b', '', { ignoreLease: true, lease: 0n })],
      ['FUTURE_REVISION', range('a', { revision: 5 })],
      ['COMPACTED', range('a', { revision: 2 })],
      ['COMPACTED', range('a', { revision: -1 })],
      ['LEASE_NOT_FOUND', txn([put('b', '', { lease: 5n })])],
    ];
    for (const [code, step] of refusals) {
      const { refusal, events } = state.apply(txn([put('c', ''), remove('a'), step]));
      expect([refusal?.code, events]).toEqual([code, null]);
      expect(state.store.revision).toBe(4);
    }
    expect(state.store.get(bytes('c'))).toBe(null);
    // Puts are checked before ranges, wherever they stand.
    const both = txn([range('a', { revision: 99 }), put('x', '', { lease: 77n })]);
    expect(state.apply(both).refusal?.code).toBe('LEASE_NOT_FOUND');
    // A key that is to be kept is looked for before the lease; alone, the lease comes first.
    const kept = put('none', '', { ignoreValue: true, lease: 7n });
    expect(state.apply(txn([kept])).refusal?.code).toBe('KEY_NOT_FOUND');
    expect(state.apply(kept).refusal?.code).toBe('LEASE_NOT_FOUND');
  });

  test('sem-026 records that sort alike stay in key order, ascending and descending', () => {
    const state = appliedState();
    for (const key of ['c', 'a', 'b', 'd']) state.apply(put(key, ''));
    state.apply(put('d', ''));
    const keys = (sortOrder: number) => {
      const request = range('a', { rangeEnd: bytes('\0'), sortOrder, sortTarget: 1 });
      const { records } = shapeRange(request, state.store.rangeSync(rangeOptions(request)));
      return records.map(({ key }) => Buffer.from(key).toString()).join('');
    };
    expect([keys(1), keys(2)]).toEqual(['abcd', 'dabc']);
  });
});
