/** What answers look like to users of the client, made from the messages of the wire. */
import type * as wire from '@quorate/proto';
import { toCount, toText } from './bytes.ts';

/** Who answered, and at which revision of the store. */
export interface Header {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Revision of the store when the answer was made; 0 for calls that do not concern the store. */
  readonly revision: number;
  readonly raftTerm: number;
}

export function toHeader(header: wire.ResponseHeader | undefined): Header {
  return {
    clusterId: header?.clusterId ?? 0n,
    memberId: header?.memberId ?? 0n,
    revision: toCount(header?.revision ?? 0n),
    raftTerm: toCount(header?.raftTerm ?? 0n),
  };
}

/** One key at one revision. */
export class KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Revision at which the key came into being (again, after a deletion). */
  readonly createRevision: number;
  /** Revision of its last change. */
  readonly modRevision: number;
  /** Number of puts since it was created. */
  readonly version: number;
  /** The lease it hangs on; 0 for none. */
  readonly lease: bigint;

  constructor(kv: wire.KeyValue) {
    this.key = kv.key;
    this.value = kv.value;
    this.createRevision = toCount(kv.createRevision);
    this.modRevision = toCount(kv.modRevision);
    this.version = toCount(kv.version);
    this.lease = kv.lease;
  }

  /** The key as UTF-8 text. */
  get name(): string {
    return toText(this.key);
  }

  /** The value as UTF-8 text. */
  get text(): string {
    return toText(this.value);
  }

  /** The value parsed as JSON. The type is the caller's claim: nothing checks it. */
  json<T>(): T {
    return JSON.parse(this.text) as T;
  }
}

export function toKeyValue(kv: wire.KeyValue | undefined): KeyValue | null {
  return kv === undefined ? null : new KeyValue(kv);
}

export interface RangeResult {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
  /** Keys in the whole range, whatever the limit. */
  readonly count: number;
  /** The limit cut some off. */
  readonly more: boolean;
}

export interface PutResult {
  readonly header: Header;
  /** What the key was before, when asked for and when it was there. */
  readonly previous: KeyValue | null;
}

export interface DeleteResult {
  readonly header: Header;
  readonly deleted: number;
  readonly previous: readonly KeyValue[];
}

export interface TxnResult {
  readonly header: Header;
  /** Whether all conditions held, and so the `do` branch ran. */
  readonly succeeded: boolean;
  /** One answer for each operation of the branch that ran, in its order. */
  readonly responses: readonly OpResult[];
}

export type OpResult =
  | ({ readonly kind: 'range' } & RangeResult)
  | ({ readonly kind: 'put' } & PutResult)
  | ({ readonly kind: 'delete' } & DeleteResult)
  | ({ readonly kind: 'txn' } & TxnResult);

export function toRangeResult(response: wire.RangeResponse): RangeResult {
  return {
    header: toHeader(response.header),
    kvs: response.kvs.map((kv) => new KeyValue(kv)),
    count: toCount(response.count),
    more: response.more,
  };
}

export function toPutResult(response: wire.PutResponse): PutResult {
  return { header: toHeader(response.header), previous: toKeyValue(response.prevKv) };
}

export function toDeleteResult(response: wire.DeleteRangeResponse): DeleteResult {
  return {
    header: toHeader(response.header),
    deleted: toCount(response.deleted),
    previous: response.prevKvs.map((kv) => new KeyValue(kv)),
  };
}

export function toTxnResult(response: wire.TxnResponse): TxnResult {
  return {
    header: toHeader(response.header),
    succeeded: response.succeeded,
    responses: response.responses.map(toOpResult),
  };
}

function toOpResult(op: wire.ResponseOp): OpResult {
  if (op.responsePut) return { kind: 'put', ...toPutResult(op.responsePut) };
  if (op.responseDeleteRange) return { kind: 'delete', ...toDeleteResult(op.responseDeleteRange) };
  if (op.responseTxn) return { kind: 'txn', ...toTxnResult(op.responseTxn) };
  const empty = { header: undefined, kvs: [], more: false, count: 0n };
  return { kind: 'range', ...toRangeResult(op.responseRange ?? empty) };
}
