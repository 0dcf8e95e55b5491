import { SimEnv } from '@quorate/testing';
import { describe, expect, test } from 'vitest';
import type { Env } from './env.ts';
import type { PutOperation, TxnOperation } from './operations.ts';
import { costBytes, Quota } from './quota.ts';

const put: PutOperation = {
  kind: 'put',
  key: Buffer.from('key'),
  value: Buffer.from('value'),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
};
const txn = (success: TxnOperation['success'], failure: TxnOperation['failure']): TxnOperation => ({
  kind: 'txn',
  compare: [],
  success,
  failure,
});

describe('quota', () => {
  test('sem-175 costs: puts, leases, the dearer branch of a txn with nested puts counted, the rest free', () => {
    expect(costBytes(put)).toBe(256 + 3 + 5);
    expect(costBytes({ kind: 'lease-grant', id: 1n, ttlSec: 5 })).toBe(64);
    expect(costBytes(txn([put], [put, put]))).toBe(2 * 264);
    expect(costBytes(txn([txn([put], []), put], []))).toBe(2 * 264);
    const free = { kind: 'delete-range', key: put.key, rangeEnd: put.key, prevKv: false } as const;
    expect(costBytes(txn([free], []))).toBe(0);
    expect(costBytes({ kind: 'compact', revision: 3, physical: true })).toBe(0);
    expect(costBytes({ kind: 'lease-revoke', id: 1n })).toBe(0);
  });

  test('sem-176 size and cost together must stay below the limit; what costs nothing always fits', () => {
    const quota = new Quota(1000, new SimEnv(1) as unknown as Env, () => 800);
    expect([quota.fits(199), quota.fits(200), quota.fits(0)]).toEqual([true, false, true]);
    expect(new Quota(1000, new SimEnv(1) as unknown as Env, () => 5000).fits(0)).toBe(true);
  });

  test('sem-174 no limit when it is zero or less', () => {
    expect(new Quota(-1, new SimEnv(1) as unknown as Env, () => 1e15).fits(1e9)).toBe(true);
  });

  test('the size is asked again when it is old', () => {
    const env = new SimEnv(1);
    let size = 0;
    const quota = new Quota(1000, env as unknown as Env, () => size);
    expect(quota.fits(10)).toBe(true);
    size = 2000;
    expect(quota.fits(10)).toBe(true);
    env.advance(100);
    expect(quota.fits(10)).toBe(true);
    env.advance(1);
    expect(quota.fits(10)).toBe(false);
  });
});
