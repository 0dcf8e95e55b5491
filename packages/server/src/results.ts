/**
 * What applying an operation gives: domain results that services encode as responses. No bytes, no gRPC.
 */
import type { KeyRecord } from '@quorate/mvcc';

/** Filtered, sorted and cut; `revision` is the store revision for the header. */
export interface RangeOutcome {
  readonly kind: 'range';
  readonly records: readonly KeyRecord[];
  readonly count: number;
  readonly more: boolean;
  readonly revision: number;
}

export interface PutOutcome {
  readonly kind: 'put';
  readonly revision: number;
  readonly previous: KeyRecord | null;
}

export interface DeleteRangeOutcome {
  readonly kind: 'delete-range';
  readonly revision: number;
  readonly deleted: number;
  /** Present only when asked for. */
  readonly previous: readonly KeyRecord[];
}

export interface TxnOutcome {
  readonly kind: 'txn';
  readonly revision: number;
  readonly succeeded: boolean;
  readonly responses: readonly (RangeOutcome | PutOutcome | DeleteRangeOutcome | TxnOutcome)[];
}

export interface CompactOutcome {
  readonly kind: 'compact';
  readonly revision: number;
}

export interface LeaseGrantOutcome {
  readonly kind: 'lease-grant';
  readonly id: bigint;
  readonly ttlSec: number;
}

export interface AlarmOutcome {
  readonly kind: 'alarm';
  readonly alarms: readonly { readonly memberId: bigint; readonly alarm: number }[];
}

/** Operations whose success says nothing more. */
export interface DoneOutcome {
  readonly kind: 'done';
}

export type Outcome =
  | PutOutcome
  | DeleteRangeOutcome
  | TxnOutcome
  | CompactOutcome
  | LeaseGrantOutcome
  | AlarmOutcome
  | DoneOutcome;
