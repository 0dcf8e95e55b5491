/** Calls and answers of the history as messages of the protocol: text there is Latin-1 here, so that every byte has a character. */
import type {
  Compare,
  DeleteRangeRequest,
  DeleteRangeResponse,
  Init,
  KeyValue,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from '@quorate/proto';
import type { CompareClause, RecordedAnswer, RecordedKeyValue, TxnCall, TxnStep } from './history.ts';

export const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
export const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1');
export function rangeOf(call: Extract<TxnStep, { kind: 'range' }>): Init<RangeRequest> {
  return {
    key: bytes(call.key),
    rangeEnd: bytes(call.end),
    limit: BigInt(call.limit ?? 0),
    revision: BigInt(call.revision ?? 0),
    serializable: call.serializable ?? false,
    keysOnly: call.keysOnly ?? false,
    countOnly: call.countOnly ?? false,
  };
}

export function putOf(call: Extract<TxnStep, { kind: 'put' }>): Init<PutRequest> {
  return {
    key: bytes(call.key),
    value: bytes(call.value),
    lease: call.lease ?? 0n,
    prevKv: call.prevKv ?? false,
  };
}

export function deleteOf(call: Extract<TxnStep, { kind: 'delete' }>): Init<DeleteRangeRequest> {
  return { key: bytes(call.key), rangeEnd: bytes(call.end), prevKv: call.prevKv ?? false };
}

export function txnOf(call: TxnCall): Init<TxnRequest> {
  return {
    compare: call.compare.map(compareOf),
    success: call.success.map(stepOf),
    failure: call.failure.map(stepOf),
  };
}

function stepOf(step: TxnStep): Init<RequestOp> {
  switch (step.kind) {
    case 'range':
      return { requestRange: rangeOf(step) };
    case 'put':
      return { requestPut: putOf(step) };
    case 'delete':
      return { requestDeleteRange: deleteOf(step) };
    case 'txn':
      return { requestTxn: txnOf(step) };
  }
}

const RESULTS = { equal: 0, greater: 1, less: 2, 'not-equal': 3 } as const;
const TARGETS = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const;
function compareOf(clause: CompareClause): Init<Compare> {
  const common = {
    key: bytes(clause.key),
    result: RESULTS[clause.result],
    target: TARGETS[clause.target],
  };
  switch (clause.target) {
    case 'version':
      return { ...common, version: BigInt(clause.operand) };
    case 'create':
      return { ...common, createRevision: BigInt(clause.operand) };
    case 'mod':
      return { ...common, modRevision: BigInt(clause.operand) };
    case 'lease':
      return { ...common, lease: BigInt(clause.operand) };
    case 'value':
      return { ...common, value: bytes(String(clause.operand)) };
  }
}

export function rangeAnswer(response: RangeResponse): RecordedAnswer {
  return {
    kind: 'range',
    kvs: response.kvs.map(recordOf),
    count: Number(response.count),
    more: response.more,
  };
}

export function putAnswer({ prevKv }: PutResponse): RecordedAnswer {
  return { kind: 'put', previous: prevKv === undefined ? null : recordOf(prevKv) };
}

export function deleteAnswer({ deleted, prevKvs }: DeleteRangeResponse): RecordedAnswer {
  return { kind: 'delete', deleted: Number(deleted), previous: prevKvs.map(recordOf) };
}

export function txnAnswer({ succeeded, responses }: TxnResponse): RecordedAnswer {
  return { kind: 'txn', succeeded, responses: responses.map(stepAnswer) };
}

function stepAnswer(response: ResponseOp): RecordedAnswer {
  if (response.responseRange !== undefined) return rangeAnswer(response.responseRange);
  if (response.responsePut !== undefined) return putAnswer(response.responsePut);
  if (response.responseDeleteRange !== undefined) return deleteAnswer(response.responseDeleteRange);
  if (response.responseTxn !== undefined) return txnAnswer(response.responseTxn);
  throw new Error('an answer of a txn is one of four kinds');
}

export function recordOf(kv: KeyValue): RecordedKeyValue {
  return {
    key: text(kv.key),
    value: text(kv.value),
    createRevision: Number(kv.createRevision),
    modRevision: Number(kv.modRevision),
    version: Number(kv.version),
    lease: kv.lease,
  };
}
