/**
 * The applier against a plain model of the store, through random operations; and against itself, by another road.
 */

import type { KeyRecord } from '@quorate/mvcc';
import { EtcdModel, type ModelKeyValue } from '@quorate/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { getStep } from '../src/api/concurrency/operations.ts';
import { rangeOptions, shapeRange } from '../src/apply/range.ts';
import { decodeEntry, encodeEntry } from '../src/consensus/entry-codec.ts';
import type { Operation, RangeOperation } from '../src/operations.ts';
import type { Outcome, RangeOutcome } from '../src/results.ts';
import { type AppliedState, appliedState } from './support/applied-state.ts';
import { operation, range } from './support/operations.ts';

function plain(record: KeyRecord): ModelKeyValue {
  return {
    key: Buffer.from(record.key).toString('latin1'),
    value: Buffer.from(record.value).toString('latin1'),
    createRevision: record.createRevision,
    modRevision: record.modRevision,
    version: record.version,
    lease: record.lease,
  };
}

/** An outcome in the model's words. */
function outcome(result: Outcome | RangeOutcome): unknown {
  switch (result.kind) {
    case 'range': {
      const { records, ...rest } = result;
      return { ...rest, kvs: records.map(plain) };
    }
    case 'put':
      return { ...result, previous: result.previous === null ? null : plain(result.previous) };
    case 'delete-range':
      return { ...result, previous: result.previous.map(plain) };
    case 'txn':
      return { ...result, responses: result.responses.map(outcome) };
    default:
      return result;
  }
}

function read(state: AppliedState, request: RangeOperation): unknown {
  try {
    return { outcome: outcome(shapeRange(request, state.store.rangeSync(rangeOptions(request)))) };
  } catch (error) {
    return { error: (error as { code: string }).code };
  }
}

/** Ties have no promised order, except that the model and we both leave them in key order. */
function check(state: AppliedState, model: EtcdModel, step: Operation | RangeOperation): void {
  if (step.kind === 'range') {
    expect(read(state, step)).toEqual(model.range(step));
    return;
  }
  const { outcome: got, refusal } = state.apply(step);
  const expected = model.apply(step as Parameters<EtcdModel['apply']>[0]);
  expect(refusal === null ? { outcome: outcome(got!) } : { error: refusal.code }).toEqual(expected);
  expect([state.store.revision, state.store.compactRevision]).toEqual([
    model.revision,
    model.compactRevision,
  ]);
}

const steps = fc.array(fc.oneof({ weight: 3, arbitrary: operation }, { weight: 1, arbitrary: range }), {
  minLength: 1,
  maxLength: 40,
});

const everything: RangeOperation = { ...getStep(Buffer.from([0])), rangeEnd: Buffer.from([0]) };

describe('the applier', () => {
  test('sem-019..sem-073 answers like the model, whatever comes', () => {
    fc.assert(
      fc.property(steps, fc.boolean(), (given, flushesOften) => {
        const state = appliedState(flushesOften ? { flushBytes: 200 } : {});
        const model = new EtcdModel();
        for (const step of given) {
          check(state, model, step);
          if (flushesOften) state.env.settle();
        }
        expect(read(state, everything)).toEqual(model.range(everything));
        for (const id of model.leases.keys()) {
          const keys = state.store.leaseKeys(id).map((key) => Buffer.from(key).toString('latin1'));
          expect(keys).toEqual(model.leaseKeys(id));
        }
      }),
      { numRuns: 1500 },
    );
  });

  test('sem-186 the same entries give the same HashKV and state, decoded again and flushed at other moments', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 40 }), (given) => {
        const one = appliedState();
        const other = appliedState({ flushBytes: 150 });
        for (const step of given) {
          const first = one.apply(step);
          const second = other.apply(decodeEntry(encodeEntry(1, 2, step)).operation);
          expect(second.refusal?.code).toBe(first.refusal?.code);
          other.env.settle();
        }
        expect(other.hashKv()).toEqual(one.hashKv());
        expect(read(other, everything)).toEqual(read(one, everything));
        expect(other.store.appliedIndex).toBe(one.store.appliedIndex);
      }),
      { numRuns: 300 },
    );
  });

  test('case-09 an error in the middle of a txn goes up, and nothing of the txn is visible', () => {
    const put = (key: string) =>
      ({
        kind: 'put',
        key: Buffer.from(key),
        value: Buffer.from('1'),
        lease: 0n,
        prevKv: false,
        ignoreValue: false,
        ignoreLease: false,
      }) as const;
    for (let nth = 1; nth <= 5; nth++) {
      let visits = 0;
      const state = appliedState({
        failpoint: (name) => {
          if (name === 'beforeApplyStep' && ++visits === nth) throw new Error('injected');
        },
      });
      state.apply(put('before'));
      const nested = { kind: 'txn', compare: [], success: [put('d'), put('e')], failure: [] } as const;
      const txn = { kind: 'txn', compare: [], success: [put('a'), put('b'), nested], failure: [] } as const;
      const index = state.store.appliedIndex;
      expect(() => state.apply(txn)).toThrow('injected');
      expect([state.store.revision, state.store.appliedIndex]).toEqual([2, index]);
      expect(state.store.get(Buffer.from('a'))).toBe(null);
    }
  });
});
