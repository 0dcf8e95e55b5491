import { RangeResponse, ResponseOp, TxnResponse } from '@quorate/proto';
import { expect, test } from 'vitest';
import { txnReport } from './kv.ts';

test('a transaction prints answers of any length', () => {
  const kv = { key: Buffer.from('k'), value: Buffer.from('v') };
  const kvs = Array.from({ length: 200_000 }, () => ({
    ...kv,
    createRevision: 1n,
    modRevision: 1n,
    version: 1n,
    lease: 0n,
  }));
  const response = {
    ...TxnResponse.empty(),
    responses: [
      { ...ResponseOp.empty(), responseRange: { ...RangeResponse.empty(), kvs } },
      ResponseOp.empty(),
    ],
  };
  const chunks = txnReport(response).simple({ hex: false });
  expect(chunks.length).toBe(3 + 4 * kvs.length);
  expect(chunks.slice(0, 4)).toEqual(['FAILURE\n', '\n', kv.key, '\n']);
});
