import { constants } from 'node:buffer';
import { RangeResponse, ResponseOp, TxnResponse } from '@quorate/proto';
import { expect, test } from 'vitest';
import { rangeReport, txnReport } from './kv.ts';
import { render } from './report.ts';

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

test.each(['simple', 'json'])('an answer may be longer than a string can be: %s', (writeOut) => {
  const value = Buffer.alloc(4 * 1024 * 1024, 'v');
  const kv = { key: Buffer.from('k'), value, createRevision: 1n, modRevision: 1n, version: 1n, lease: 0n };
  const count = Math.ceil(constants.MAX_STRING_LENGTH / value.length) + 1;
  const response = { ...RangeResponse.empty(), kvs: Array.from({ length: count }, () => kv) };
  let length = 0;
  render(rangeReport(response, false), writeOut, { hex: false }, (piece) => {
    length += piece.length;
  });
  expect(length).toBeGreaterThan(constants.MAX_STRING_LENGTH);
});

test('values of any length are whole in JSON', () => {
  for (const length of [0, 1, 2, 3, 3 * 2 ** 20 - 1, 3 * 2 ** 20, 3 * 2 ** 20 + 1]) {
    const value = Buffer.alloc(length, 'abcdefg');
    const kv = { key: Buffer.from('k'), value, createRevision: 1n, modRevision: 1n, version: 1n, lease: 0n };
    const pieces: Uint8Array[] = [];
    const report = rangeReport({ ...RangeResponse.empty(), kvs: [kv] }, false);
    render(report, 'json', { hex: false }, (piece) => void pieces.push(piece));
    const [found] = JSON.parse(Buffer.concat(pieces).toString()).kvs;
    expect(Buffer.from(found.value ?? '', 'base64').equals(value)).toBe(true);
  }
});
