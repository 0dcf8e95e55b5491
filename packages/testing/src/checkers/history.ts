/**
 * A history: everything that clients saw of a cluster, written down by one process with one monotonic clock.
 *
 * It is the only thing the checkers look at, so it holds no words of any server: real processes and the simulator write
 * the same lines. A client is sequential; when the outcome of its call is unknown (time-out, lost connection) it goes on
 * under a new name, so that the open call may take effect at any later time. Values are unique (`client-number`), by
 * which an unknown write is found again in what was committed.
 *
 * Keys and values are text (latin1 for bytes), 64-bit ids `bigint`, revisions and times `number`; times are nanoseconds
 * of the writer's clock. One line of the file is one `HistoryLine`. Next: `recorder.ts` writes them, `linearizable.ts`
 * and its neighbours judge them.
 */
import type { ModelKeyValue } from '../model/etcd-model.ts';
import type { WatchRecord } from './watch-record.ts';

/** A key-value as answers carry it. */
export type RecordedKeyValue = ModelKeyValue;

/** `end` as on the wire: empty for one key, `\0` for all from `key` on, else the key after the last. */
export interface RangeCall {
  readonly kind: 'range';
  readonly key: string;
  readonly end: string;
  readonly limit?: number;
  /** 0 or absent: the newest. */
  readonly revision?: number;
  /** Answered by the member alone, from what it has. */
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
}

export interface PutCall {
  readonly kind: 'put';
  readonly key: string;
  readonly value: string;
  readonly lease?: bigint;
  readonly prevKv?: boolean;
}

export interface DeleteCall {
  readonly kind: 'delete';
  readonly key: string;
  readonly end: string;
  readonly prevKv?: boolean;
}

export type CompareTarget = 'version' | 'create' | 'mod' | 'value' | 'lease';

export interface CompareClause {
  readonly key: string;
  readonly target: CompareTarget;
  readonly result: 'equal' | 'greater' | 'less' | 'not-equal';
  /** Text for `value`, else a number (a `bigint` for `lease`). */
  readonly operand: string | number | bigint;
}

export type TxnStep = RangeCall | PutCall | DeleteCall | TxnCall;

export interface TxnCall {
  readonly kind: 'txn';
  readonly compare: readonly CompareClause[];
  readonly success: readonly TxnStep[];
  readonly failure: readonly TxnStep[];
}

export type RecordedCall =
  | RangeCall
  | PutCall
  | DeleteCall
  | TxnCall
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'lease-grant'; readonly lease: bigint; readonly ttlSec: number }
  | { readonly kind: 'lease-revoke'; readonly lease: bigint }
  | { readonly kind: 'lease-keepalive'; readonly lease: bigint }
  | { readonly kind: 'lease-time-to-live'; readonly lease: bigint };

export type RecordedAnswer =
  | {
      readonly kind: 'range';
      readonly kvs: readonly RecordedKeyValue[];
      readonly count: number;
      readonly more: boolean;
    }
  | { readonly kind: 'put'; readonly previous: RecordedKeyValue | null }
  | { readonly kind: 'delete'; readonly deleted: number; readonly previous: readonly RecordedKeyValue[] }
  | { readonly kind: 'txn'; readonly succeeded: boolean; readonly responses: readonly RecordedAnswer[] }
  | { readonly kind: 'compact' }
  | { readonly kind: 'lease-grant'; readonly lease: bigint; readonly ttlSec: number }
  | { readonly kind: 'lease-revoke' }
  /** `ttlSec` 0 or less: the lease is not there. */
  | { readonly kind: 'lease-keepalive'; readonly ttlSec: number }
  | {
      readonly kind: 'lease-time-to-live';
      /** Left; -1: no such lease. */
      readonly ttlSec: number;
      readonly grantedTtlSec: number;
      readonly keys: readonly string[];
    };

/** `failed`: it certainly had no effect. `unknown`: it may take effect at any time after the call. */
export type RecordedOutcome =
  | { readonly kind: 'ok'; readonly answer: RecordedAnswer }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'unknown'; readonly error: string };

export interface HistoryCall {
  readonly client: string;
  readonly call: RecordedCall;
  readonly callNs: number;
  /** When the outcome was seen; null: never (or unknown). */
  readonly returnNs: number | null;
  readonly outcome: RecordedOutcome;
  /** What the client was connected to: `host:port`, or a name of the simulator. */
  readonly endpoint: string;
  /** Of the answer's header: id in hex (empty without an answer), revision and term (0 without). */
  readonly member: string;
  readonly revision: number;
  readonly term: number;
  /** Which life of the answering process it was, from 0; absent where nobody knows. */
  readonly incarnation?: number;
}

/** What one member says of itself at one moment. */
export interface HistoryStatus {
  readonly atNs: number;
  /** Id in hex. */
  readonly member: string;
  /** Which life of the process it was, from 0. */
  readonly incarnation: number;
  /** Id of the leader it knows, in hex; empty: none. */
  readonly leader: string;
  readonly term: number;
  readonly revision: number;
  readonly appliedIndex: number;
}

/** One member's hash of all records up to `revision`, above `compactRevision`. */
export interface HistoryHash {
  readonly atNs: number;
  readonly member: string;
  readonly revision: number;
  readonly compactRevision: number;
  readonly hash: number;
}

/** One watcher's whole recording, over all its connections. */
export interface HistoryWatch {
  readonly member: string;
  readonly endpoint: string;
  readonly record: WatchRecord;
}

/** Something that was done to the cluster, or that was seen to happen because of it. */
export interface HistoryFault {
  readonly atNs: number;
  /** `kill`, `pause`, `partition`, `heal`, `leader-change`, ... */
  readonly kind: string;
  readonly detail: string;
}

export type HistoryLine =
  | ({ readonly line: 'call' } & HistoryCall)
  | ({ readonly line: 'status' } & HistoryStatus)
  | ({ readonly line: 'hash' } & HistoryHash)
  | ({ readonly line: 'watch' } & HistoryWatch)
  | ({ readonly line: 'fault' } & HistoryFault);

export interface History {
  readonly calls: readonly HistoryCall[];
  readonly statuses: readonly HistoryStatus[];
  readonly hashes: readonly HistoryHash[];
  readonly watches: readonly HistoryWatch[];
  readonly faults: readonly HistoryFault[];
}

/** True for calls that can change keys or leases when they succeed. */
export function isWrite(call: RecordedCall): boolean {
  switch (call.kind) {
    case 'range':
    case 'lease-keepalive':
    case 'lease-time-to-live':
      return false;
    case 'txn':
      return [...call.success, ...call.failure].some(isWrite);
    default:
      return true;
  }
}
