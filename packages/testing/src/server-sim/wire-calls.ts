/**
 * Recorded calls as requests on the wire, and answers back.
 *
 * Requests are encoded and answers decoded by the generated codecs of `@quorate/proto`, which share no code with the server's
 * hand-written ones.
 */
import {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
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
  type ResponseHeader,
  services,
  TxnRequest,
  TxnResponse,
} from '@quorate/proto';
import type { RecordedAnswer, RecordedCall } from '../checkers/history.ts';
import type { AnswerHeader } from '../checkers/recorder.ts';
import {
  deleteAnswer,
  deleteOf,
  putAnswer,
  putOf,
  rangeAnswer,
  rangeOf,
  text,
  txnAnswer,
  txnOf,
} from '../checkers/wire-messages.ts';

export interface WireCall {
  readonly path: string;
  readonly request: Uint8Array;
  readonly decode: (response: Uint8Array) => {
    readonly answer: RecordedAnswer;
    readonly header: AnswerHeader;
  };
}

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
