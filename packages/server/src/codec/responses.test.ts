import type { KeyRecord } from '@quorate/mvcc';
import {
  DeleteRangeResponse,
  ResponseHeader as HeaderMessage,
  KeyValue,
  PutResponse,
  RangeResponse,
  RangeStreamResponse,
  TxnResponse,
} from '@quorate/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ResponseHeader } from '../api/header.ts';
import type { RangeOutcome, TxnOutcome } from '../results.ts';
import {
  encodeDeleteRangeResponse,
  encodeHeaderResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeRangeResponseSliced,
  encodeRangeStreamResponse,
  encodeTxnResponse,
} from './responses.ts';
import { sizeUint64, sizeVarint, WireWriter } from './wire-writer.ts';

const revision = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.maxSafeNat());
const uint64 = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constantFrom(0n, 1n, 127n, 128n));

/** Also what `KeyValue.decode` gives, so that both sides are compared as messages. */
const keyValue = fc.record({
  key: fc.uint8Array({ minLength: 1, maxLength: 20 }),
  createRevision: revision.map(BigInt),
  modRevision: revision.map(BigInt),
  version: fc.bigInt({ min: 1n, max: 1000n }),
  value: fc.uint8Array({ maxLength: 300 }),
  lease: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
});

const record = keyValue.map(
  (message): KeyRecord => ({
    key: message.key,
    createRevision: Number(message.createRevision),
    modRevision: Number(message.modRevision),
    sub: 0,
    version: Number(message.version),
    lease: message.lease,
    tombstone: false,
    value: message.value,
    encoded: KeyValue.encode(message),
  }),
);

const rangeOutcome = fc.record({
  kind: fc.constant('range' as const),
  records: fc.array(record, { maxLength: 5 }),
  count: revision,
  more: fc.boolean(),
  revision,
});
const putOutcome = fc.record({
  kind: fc.constant('put' as const),
  revision,
  previous: fc.option(record),
});
const deleteOutcome = fc.record({
  kind: fc.constant('delete-range' as const),
  revision,
  deleted: revision,
  previous: fc.array(record, { maxLength: 4 }),
});
const { txn: txnOutcome } = fc.letrec<{ txn: TxnOutcome }>((tie) => ({
  txn: fc.record({
    kind: fc.constant('txn' as const),
    revision,
    succeeded: fc.boolean(),
    responses: fc.array(
      fc.oneof({ depthSize: 'small' }, rangeOutcome, putOutcome, deleteOutcome, tie('txn')),
      { maxLength: 4 },
    ),
  }),
}));

const identity = fc.tuple(uint64, uint64, revision);
const headerOf = ([cluster, member, term]: [bigint, bigint, number]) =>
  new ResponseHeader(cluster, member, { term });
const headerMessage = ([cluster, member, term]: [bigint, bigint, number], at: number) => ({
  clusterId: cluster,
  memberId: member,
  revision: BigInt(at),
  raftTerm: BigInt(term),
});

// What the generated codec makes of the same outcome.
const kv = (from: KeyRecord) => KeyValue.decode(from.encoded);

function txnMessage(outcome: TxnOutcome): { succeeded: boolean; responses: object[] } {
  return {
    succeeded: outcome.succeeded,
    responses: outcome.responses.map((response) => {
      const header = { revision: BigInt(response.revision) };
      switch (response.kind) {
        case 'range': {
          const { count, more, records } = response;
          return { responseRange: { header, kvs: records.map(kv), more, count } };
        }
        case 'put':
          return {
            responsePut: { header, prevKv: response.previous === null ? undefined : kv(response.previous) },
          };
        case 'delete-range': {
          const { deleted, previous } = response;
          return { responseDeleteRange: { header, deleted, prevKvs: previous.map(kv) } };
        }
        case 'txn':
          return { responseTxn: { header: {}, ...txnMessage(response) } };
        default:
          throw new Error('no other kinds');
      }
    }),
  };
}

function equalBytes(ours: Uint8Array, theirs: Uint8Array): void {
  expect(Buffer.from(ours).toString('hex')).toBe(Buffer.from(theirs).toString('hex'));
}

describe('hand-written encoders give the bytes of the generated ones', () => {
  test('sem-001 the header, ids and term of any size', () => {
    fc.assert(
      fc.property(identity, revision, (id, at) => {
        equalBytes(headerOf(id).encode(at), HeaderMessage.encode(headerMessage(id, at)));
        equalBytes(
          encodeHeaderResponse(headerOf(id), at),
          PutResponse.encode({ header: headerMessage(id, at) }),
        );
      }),
    );
  });

  test('RangeResponse, in one go and in slices', () => {
    fc.assert(
      fc.property(identity, rangeOutcome, (id, outcome) => {
        const { records, more, count } = outcome;
        const theirs = RangeResponse.encode({
          header: headerMessage(id, outcome.revision),
          kvs: records.map(kv),
          more,
          count,
        });
        equalBytes(encodeRangeResponse(headerOf(id), outcome), theirs);
        const sliced = encodeRangeResponseSliced(headerOf(id), outcome);
        let step = sliced.next();
        while (step.done !== true) step = sliced.next();
        equalBytes(step.value, theirs);
      }),
    );
  });

  test('RangeStreamResponse with and without a header', () => {
    fc.assert(
      fc.property(identity, rangeOutcome, fc.boolean(), (id, outcome, last) => {
        const { records, more, count } = outcome;
        equalBytes(
          encodeRangeStreamResponse(last ? headerOf(id) : null, outcome),
          RangeStreamResponse.encode({
            rangeResponse: {
              header: last ? headerMessage(id, outcome.revision) : undefined,
              kvs: records.map(kv),
              more,
              count,
            },
          }),
        );
      }),
    );
  });

  test('PutResponse', () => {
    fc.assert(
      fc.property(identity, putOutcome, (id, outcome) => {
        const prevKv = outcome.previous === null ? undefined : kv(outcome.previous);
        equalBytes(
          encodePutResponse(headerOf(id), outcome),
          PutResponse.encode({ header: headerMessage(id, outcome.revision), prevKv }),
        );
      }),
    );
  });

  test('DeleteRangeResponse', () => {
    fc.assert(
      fc.property(identity, deleteOutcome, (id, outcome) => {
        const { deleted, previous } = outcome;
        const header = headerMessage(id, outcome.revision);
        equalBytes(
          encodeDeleteRangeResponse(headerOf(id), outcome),
          DeleteRangeResponse.encode({ header, deleted, prevKvs: previous.map(kv) }),
        );
      }),
    );
  });

  test('sem-002 TxnResponse: inner headers with the revision alone, nested ones empty', () => {
    fc.assert(
      fc.property(identity, txnOutcome, (id, outcome) => {
        const header = headerMessage(id, outcome.revision);
        equalBytes(
          encodeTxnResponse(headerOf(id), outcome),
          TxnResponse.encode({ header, ...txnMessage(outcome) }),
        );
      }),
    );
  });
});

describe('numbers', () => {
  test('measured as written, below zero and around every power of two', () => {
    for (let power = 0; power <= 53; power++) {
      for (const value of [2 ** power - 1, 2 ** power, -(2 ** power) + 1]) {
        if (!Number.isSafeInteger(value)) continue;
        const writer = new WireWriter(16);
        writer.varint(value);
        expect(writer.position, `${value}`).toBe(sizeVarint(value));
        const other = new WireWriter(16);
        other.uint64(BigInt.asUintN(64, BigInt(value)));
        expect(other.position).toBe(sizeUint64(BigInt.asUintN(64, BigInt(value))));
        equalBytes(writer.buffer.subarray(0, writer.position), other.buffer.subarray(0, other.position));
      }
    }
  });
});

describe('large answers', () => {
  test('are encoded in steps, and the header is of one term', () => {
    const one: RangeOutcome['records'][number] = {
      key: Uint8Array.of(1),
      createRevision: 2,
      modRevision: 2,
      sub: 0,
      version: 1,
      lease: 0n,
      tombstone: false,
      value: new Uint8Array(0),
      encoded: KeyValue.encode({ key: Uint8Array.of(1), createRevision: 2, modRevision: 2, version: 1 }),
    };
    const records = Array.from({ length: 10_000 }, () => one);
    const raft = { term: 3 };
    const task = encodeRangeResponseSliced(new ResponseHeader(1n, 2n, raft), {
      kind: 'range',
      records,
      count: records.length,
      more: false,
      revision: 9,
    });
    let steps = 0;
    let step = task.next();
    while (step.done !== true) {
      raft.term = 2 ** 40;
      steps++;
      step = task.next();
    }
    expect(steps).toBeGreaterThan(10);
    const decoded = RangeResponse.decode(step.value);
    expect(decoded.kvs).toHaveLength(10_000);
    expect(decoded.header?.raftTerm).toBe(3n);
  });
});
