/**
 * A recorded call sent to a member, and its answer in the words of the history. Nothing is retried or corrected.
 */
import {
  type Compare,
  type DeleteRangeResponse,
  type Init,
  type KeyValue,
  type PutResponse,
  type RangeResponse,
  type RequestOp,
  type ResponseOp,
  services,
  type TxnResponse,
} from '@quorate/proto';
import type {
  CompareClause,
  DeleteCall,
  PutCall,
  RangeCall,
  RecordedAnswer,
  RecordedCall,
  RecordedKeyValue,
  TxnCall,
  TxnStep,
} from '../checkers/history.ts';
import type { AnswerHeader } from '../checkers/recorder.ts';
import { type CallResult, type Connection, headerOf } from '../cluster/connection.ts';

export type SentCall =
  | { readonly ok: true; readonly answer: RecordedAnswer; readonly header: AnswerHeader }
  | { readonly ok: false; readonly error: string };

const KV = services['etcdserverpb.KV'];
const LEASE = services['etcdserverpb.Lease'];

export async function sendCall(
  connection: Connection,
  call: RecordedCall,
  timeoutMs: number,
): Promise<SentCall> {
  switch (call.kind) {
    case 'range':
      return told(await connection.call(KV.Range, rangeRequest(call), timeoutMs), rangeAnswer);
    case 'put':
      return told(await connection.call(KV.Put, putRequest(call), timeoutMs), putAnswer);
    case 'delete':
      return told(await connection.call(KV.DeleteRange, deleteRequest(call), timeoutMs), deleteAnswer);
    case 'txn':
      return told(await connection.call(KV.Txn, txnRequest(call), timeoutMs), txnAnswer);
    case 'compact':
      return told(await connection.call(KV.Compact, { revision: call.revision }, timeoutMs), () => ({
        kind: 'compact',
      }));
    case 'lease-grant':
      return told(
        await connection.call(LEASE.LeaseGrant, { ID: call.lease, TTL: call.ttlSec }, timeoutMs),
        (granted) => ({
          kind: 'lease-grant',
          lease: granted.ID,
          ttlSec: Number(granted.TTL),
        }),
      );
    case 'lease-revoke':
      return told(await connection.call(LEASE.LeaseRevoke, { ID: call.lease }, timeoutMs), () => ({
        kind: 'lease-revoke',
      }));
    case 'lease-time-to-live':
      return told(
        await connection.call(LEASE.LeaseTimeToLive, { ID: call.lease, keys: true }, timeoutMs),
        (left) => ({
          kind: 'lease-time-to-live',
          ttlSec: Number(left.TTL),
          grantedTtlSec: Number(left.grantedTTL),
          keys: left.keys.map(text),
        }),
      );
    case 'lease-keepalive': {
      const result = await connection.keepAlive(call.lease, timeoutMs);
      if (!result.ok) return { ok: false, error: result.error };
      const { ttlSec, ...header } = result.response;
      return { ok: true, answer: { kind: 'lease-keepalive', ttlSec }, header };
    }
  }
}

function told<R extends { readonly header: Parameters<typeof headerOf>[0]['header'] }>(
  result: CallResult<R>,
  answer: (response: R) => RecordedAnswer,
): SentCall {
  if (!result.ok) return { ok: false, error: result.error };
  return { ok: true, answer: answer(result.response), header: headerOf(result.response) };
}

function rangeRequest(call: RangeCall) {
  return {
    key: bytes(call.key),
    rangeEnd: bytes(call.end),
    limit: call.limit ?? 0,
    revision: call.revision ?? 0,
    serializable: call.serializable ?? false,
    keysOnly: call.keysOnly ?? false,
    countOnly: call.countOnly ?? false,
  };
}

function putRequest(call: PutCall) {
  return {
    key: bytes(call.key),
    value: bytes(call.value),
    lease: call.lease ?? 0n,
    prevKv: call.prevKv ?? false,
  };
}

function deleteRequest(call: DeleteCall) {
  return { key: bytes(call.key), rangeEnd: bytes(call.end), prevKv: call.prevKv ?? false };
}

function txnRequest(call: TxnCall) {
  return {
    compare: call.compare.map(compareRequest),
    success: call.success.map(stepRequest),
    failure: call.failure.map(stepRequest),
  };
}

function stepRequest(step: TxnStep): Init<RequestOp> {
  switch (step.kind) {
    case 'range':
      return { requestRange: rangeRequest(step) };
    case 'put':
      return { requestPut: putRequest(step) };
    case 'delete':
      return { requestDeleteRange: deleteRequest(step) };
    case 'txn':
      return { requestTxn: txnRequest(step) };
  }
}

const RESULTS = { equal: 0, greater: 1, less: 2, 'not-equal': 3 } as const;

function compareRequest({ key, target, result, operand }: CompareClause): Init<Compare> {
  const base = { key: bytes(key), result: RESULTS[result] };
  const number = typeof operand === 'string' ? 0n : BigInt(operand);
  switch (target) {
    case 'version':
      return { ...base, target: 0, version: number };
    case 'create':
      return { ...base, target: 1, createRevision: number };
    case 'mod':
      return { ...base, target: 2, modRevision: number };
    case 'value':
      return { ...base, target: 3, value: bytes(String(operand)) };
    case 'lease':
      return { ...base, target: 4, lease: number };
  }
}

function rangeAnswer(response: RangeResponse): RecordedAnswer {
  return {
    kind: 'range',
    kvs: response.kvs.map(recordedKeyValue),
    count: Number(response.count),
    more: response.more,
  };
}

function putAnswer(response: PutResponse): RecordedAnswer {
  return { kind: 'put', previous: response.prevKv === undefined ? null : recordedKeyValue(response.prevKv) };
}

function deleteAnswer(response: DeleteRangeResponse): RecordedAnswer {
  return {
    kind: 'delete',
    deleted: Number(response.deleted),
    previous: response.prevKvs.map(recordedKeyValue),
  };
}

function txnAnswer(response: TxnResponse): RecordedAnswer {
  return { kind: 'txn', succeeded: response.succeeded, responses: response.responses.map(stepAnswer) };
}

function stepAnswer(response: ResponseOp): RecordedAnswer {
  if (response.responseRange !== undefined) return rangeAnswer(response.responseRange);
  if (response.responsePut !== undefined) return putAnswer(response.responsePut);
  if (response.responseDeleteRange !== undefined) return deleteAnswer(response.responseDeleteRange);
  if (response.responseTxn !== undefined) return txnAnswer(response.responseTxn);
  throw new Error('an answer without content');
}

export function recordedKeyValue(kv: KeyValue): RecordedKeyValue {
  return {
    key: text(kv.key),
    value: text(kv.value),
    createRevision: Number(kv.createRevision),
    modRevision: Number(kv.modRevision),
    version: Number(kv.version),
    lease: kv.lease,
  };
}

export function bytes(value: string): Buffer {
  return Buffer.from(value, 'latin1');
}

export function text(value: Uint8Array): string {
  return Buffer.from(value).toString('latin1');
}
