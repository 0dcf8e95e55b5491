/**
 * Recorded calls as requests on the wire, and answers back.
 *
 * Requests are encoded and answers decoded by the generated codecs of `@quorate/proto`, which share no code with the server's
 * hand-written ones.
 */
import {
  CompactionRequest,
  CompactionResponse,
  type Compare,
  DeleteRangeRequest,
  DeleteRangeResponse,
  type Init,
  type KeyValue,
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  type RequestOp,
  type ResponseHeader,
  type ResponseOp,
  services,
  TxnRequest,
  TxnResponse,
} from '@quorate/proto';
import type {
  CompareClause,
  RecordedAnswer,
  RecordedCall,
  RecordedKeyValue,
  TxnCall,
  TxnStep,
} from '../checkers/history.ts';
import type { AnswerHeader } from '../checkers/recorder.ts';

export interface WireCall {
  readonly path: string;
  readonly request: Uint8Array;
  readonly decode: (response: Uint8Array) => {
    readonly answer: RecordedAnswer;
    readonly header: AnswerHeader;
  };
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1');

const KV = services['etcdserverpb.KV'];
const Lease = services['etcdserverpb.Lease'];

/** Everything but keep-alives, which are a stream. */
export function toWire(call: Exclude<RecordedCall, { kind: 'lease-keepalive' }>): WireCall {
  switch (call.kind) {
    case 'range':
      return wire(KV.Range.path, RangeRequest.encode(rangeOf(call)), (response) => {
        const decoded = RangeResponse.decode(response);
        return [rangeAnswer(decoded), decoded.header];
      });
    case 'put':
      return wire(KV.Put.path, PutRequest.encode(putOf(call)), (response) => {
        const decoded = PutResponse.decode(response);
        return [putAnswer(decoded), decoded.header];
      });
    case 'delete':
      return wire(KV.DeleteRange.path, DeleteRangeRequest.encode(deleteOf(call)), (response) => {
        const decoded = DeleteRangeResponse.decode(response);
        return [deleteAnswer(decoded), decoded.header];
      });
    case 'txn':
      return wire(KV.Txn.path, TxnRequest.encode(txnOf(call)), (response) => {
        const decoded = TxnResponse.decode(response);
        return [txnAnswer(decoded), decoded.header];
      });
    case 'compact':
      return wire(
        KV.Compact.path,
        CompactionRequest.encode({ revision: BigInt(call.revision) }),
        (response) => [{ kind: 'compact' }, CompactionResponse.decode(response).header],
      );
    case 'lease-grant':
      return wire(
        Lease.LeaseGrant.path,
        LeaseGrantRequest.encode({ ID: call.lease, TTL: BigInt(call.ttlSec) }),
        (response) => {
          const { ID, TTL, header } = LeaseGrantResponse.decode(response);
          return [{ kind: 'lease-grant', lease: ID, ttlSec: Number(TTL) }, header];
        },
      );
    case 'lease-revoke':
      return wire(Lease.LeaseRevoke.path, LeaseRevokeRequest.encode({ ID: call.lease }), (response) => [
        { kind: 'lease-revoke' },
        LeaseRevokeResponse.decode(response).header,
      ]);
    case 'lease-time-to-live':
      return wire(
        Lease.LeaseTimeToLive.path,
        LeaseTimeToLiveRequest.encode({ ID: call.lease, keys: true }),
        (response) => {
          const { TTL, grantedTTL, keys, header } = LeaseTimeToLiveResponse.decode(response);
          const answer = {
            kind: 'lease-time-to-live' as const,
            ttlSec: Number(TTL),
            grantedTtlSec: Number(grantedTTL),
            keys: keys.map(text),
          };
          return [answer, header];
        },
      );
  }
}

export function headerOf(header: ResponseHeader | undefined): AnswerHeader {
  return {
    member: (header?.memberId ?? 0n).toString(16),
    revision: Number(header?.revision ?? 0n),
    term: Number(header?.raftTerm ?? 0n),
  };
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

function wire(
  path: string,
  request: Uint8Array,
  decode: (response: Uint8Array) => [RecordedAnswer, ResponseHeader | undefined],
): WireCall {
  return {
    path,
    request,
    decode: (response) => {
      const [answer, header] = decode(response);
      return { answer, header: headerOf(header) };
    },
  };
}

function rangeOf(call: Extract<TxnStep, { kind: 'range' }>): Init<RangeRequest> {
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

function putOf(call: Extract<TxnStep, { kind: 'put' }>): Init<PutRequest> {
  return {
    key: bytes(call.key),
    value: bytes(call.value),
    lease: call.lease ?? 0n,
    prevKv: call.prevKv ?? false,
  };
}

function deleteOf(call: Extract<TxnStep, { kind: 'delete' }>): Init<DeleteRangeRequest> {
  return { key: bytes(call.key), rangeEnd: bytes(call.end), prevKv: call.prevKv ?? false };
}

function txnOf(call: TxnCall): Init<TxnRequest> {
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

function rangeAnswer(response: RangeResponse): RecordedAnswer {
  return {
    kind: 'range',
    kvs: response.kvs.map(recordOf),
    count: Number(response.count),
    more: response.more,
  };
}

function putAnswer({ prevKv }: PutResponse): RecordedAnswer {
  return { kind: 'put', previous: prevKv === undefined ? null : recordOf(prevKv) };
}

function deleteAnswer({ deleted, prevKvs }: DeleteRangeResponse): RecordedAnswer {
  return { kind: 'delete', deleted: Number(deleted), previous: prevKvs.map(recordOf) };
}

function txnAnswer({ succeeded, responses }: TxnResponse): RecordedAnswer {
  return { kind: 'txn', succeeded, responses: responses.map(stepAnswer) };
}

function stepAnswer(response: ResponseOp): RecordedAnswer {
  if (response.responseRange !== undefined) return rangeAnswer(response.responseRange);
  if (response.responsePut !== undefined) return putAnswer(response.responsePut);
  if (response.responseDeleteRange !== undefined) return deleteAnswer(response.responseDeleteRange);
  if (response.responseTxn !== undefined) return txnAnswer(response.responseTxn);
  throw new Error('an answer of a txn is one of four kinds');
}
