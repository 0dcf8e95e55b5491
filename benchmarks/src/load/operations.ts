/**
 * What a client may ask, as data that crosses process borders, and its way to bytes.
 *
 * Keys are `bench/` and eight hexadecimal digits, so that they sort by number and a range of `span` keys is known by
 * its first one. Values are the same random bytes again and again.
 */
import {
  CompactionRequest,
  Compare_CompareResult,
  Compare_CompareTarget,
  DefragmentRequest,
  LeaseGrantRequest,
  PutRequest,
  RangeRequest,
  SnapshotRequest,
  TxnRequest,
} from '@quorate/proto';
import { Random } from '@quorate/testing';
import { KEY_DIGITS } from './prepared.ts';

export const KEY_PREFIX = 'bench/';
/** First key past all of ours: the prefix with its last byte increased. */
export const PREFIX_END = 'bench0';

export type Operation =
  | { readonly kind: 'put'; readonly valueBytes: number }
  /** Always the same key: history grows, keys do not. */
  | { readonly kind: 'put-one-key'; readonly valueBytes: number }
  | { readonly kind: 'get'; readonly serializable: boolean }
  /** `span` keys from a key on. */
  | { readonly kind: 'range'; readonly span: number }
  /** From a key to the end of the prefix, at most `limit`, as of `revision`: one page of a list. */
  | { readonly kind: 'page'; readonly limit: number; readonly revision: number }
  | { readonly kind: 'count' }
  /** All keys of the prefix as of `revision` (0: now). */
  | { readonly kind: 'list-at'; readonly revision: number }
  /** If the key exists, put it; otherwise get it. */
  | { readonly kind: 'compare-and-put'; readonly valueBytes: number }
  /** `puts` consecutive keys in one transaction: for loading. */
  | { readonly kind: 'put-many'; readonly puts: number; readonly valueBytes: number }
  | { readonly kind: 'lease-grant' }
  /** `physical`: the answer comes when everything was removed. */
  | { readonly kind: 'compact'; readonly revision: number; readonly physical: boolean }
  | { readonly kind: 'defragment' }
  | { readonly kind: 'snapshot' };

export interface OperationBytes {
  /** gRPC path. */
  readonly path: string;
  readonly message: Uint8Array;
  /** For each key digit place of the message, what is added to the key. */
  readonly slots: readonly number[];
}

const text = (value: string) => Buffer.from(value, 'latin1');
const KEY = text(KEY_PREFIX + KEY_DIGITS);

export function value(bytes: number): Uint8Array {
  // Nothing below 0x20: the digits' place must not occur by chance.
  return new Random('value').bytes(bytes).map((byte) => byte | 0x20);
}

export function toBytes(operation: Operation): OperationBytes {
  switch (operation.kind) {
    case 'put':
      return {
        path: PUT,
        message: PutRequest.encode({ key: KEY, value: value(operation.valueBytes) }),
        slots: [0],
      };
    case 'put-one-key': {
      const request = { key: text(`${KEY_PREFIX}one`), value: value(operation.valueBytes) };
      return { path: PUT, message: PutRequest.encode(request), slots: [] };
    }
    case 'get': {
      const { serializable } = operation;
      return { path: RANGE, message: RangeRequest.encode({ key: KEY, serializable }), slots: [0] };
    }
    case 'range':
      return {
        path: RANGE,
        message: RangeRequest.encode({ key: KEY, rangeEnd: KEY }),
        slots: [0, operation.span],
      };
    case 'page': {
      const { limit, revision } = operation;
      const request = { key: KEY, rangeEnd: text(PREFIX_END), limit, revision };
      return { path: RANGE, message: RangeRequest.encode(request), slots: [0] };
    }
    case 'count': {
      const request = { key: text(KEY_PREFIX), rangeEnd: text(PREFIX_END), countOnly: true };
      return { path: RANGE, message: RangeRequest.encode(request), slots: [] };
    }
    case 'list-at': {
      const request = { key: text(KEY_PREFIX), rangeEnd: text(PREFIX_END), revision: operation.revision };
      return { path: RANGE, message: RangeRequest.encode(request), slots: [] };
    }
    case 'compare-and-put':
      return { path: TXN, message: compareAndPut(operation.valueBytes), slots: [0, 0, 0] };
    case 'put-many': {
      const requestPut = { key: KEY, value: value(operation.valueBytes) };
      const success = Array.from({ length: operation.puts }, () => ({ requestPut }));
      return { path: TXN, message: TxnRequest.encode({ success }), slots: success.map((_, i) => i) };
    }
    case 'lease-grant':
      return { path: GRANT, message: LeaseGrantRequest.encode({ TTL: 3600 }), slots: [] };
    case 'compact': {
      const { revision, physical } = operation;
      return { path: COMPACT, message: CompactionRequest.encode({ revision, physical }), slots: [] };
    }
    case 'defragment':
      return { path: DEFRAGMENT, message: DefragmentRequest.encode({}), slots: [] };
    case 'snapshot':
      return { path: SNAPSHOT, message: SnapshotRequest.encode({}), slots: [] };
  }
}

const PUT = '/etcdserverpb.KV/Put';
const RANGE = '/etcdserverpb.KV/Range';
const TXN = '/etcdserverpb.KV/Txn';
const COMPACT = '/etcdserverpb.KV/Compact';
const DEFRAGMENT = '/etcdserverpb.Maintenance/Defragment';
const SNAPSHOT = '/etcdserverpb.Maintenance/Snapshot';
const GRANT = '/etcdserverpb.Lease/LeaseGrant';

function compareAndPut(valueBytes: number): Uint8Array {
  return TxnRequest.encode({
    compare: [
      {
        key: KEY,
        target: Compare_CompareTarget.VERSION,
        result: Compare_CompareResult.GREATER,
        version: 0,
      },
    ],
    success: [{ requestPut: { key: KEY, value: value(valueBytes) } }],
    failure: [{ requestRange: { key: KEY } }],
  });
}
