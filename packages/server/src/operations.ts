/**
 * What goes through the log: the replicated operations, decoded.
 *
 * Services decode a request once, check it, and hand the operation to `Member.propose`, which encodes it at once
 * (`consensus/entry-codec.ts`); every member, this one included, applies what the entry's bytes say. One way for all:
 * an operation is data, and applying it is a function of (state, operation) alone.
 *
 * 64-bit numbers that clients choose are narrowed where they are decoded (`codec/int64.ts`): everything that is
 * compared with revisions, versions and limits saturates to the safe integers, which compares the same way; leases
 * and ids stay `bigint`.
 */

export interface RangeOperation {
  readonly kind: 'range';
  readonly key: Uint8Array;
  /** Empty: the single key. */
  readonly rangeEnd: Uint8Array;
  readonly limit: number;
  readonly revision: number;
  /** 0 none, 1 ascend, 2 descend; other values are refused before. */
  readonly sortOrder: number;
  /** 0 key, 1 version, 2 create, 3 mod, 4 value. */
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

export interface PutOperation {
  readonly kind: 'put';
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: bigint;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export interface DeleteRangeOperation {
  readonly kind: 'delete-range';
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly prevKv: boolean;
}

export interface Compare {
  /** 0 equal, 1 greater, 2 less, 3 not equal; any other counts as true. */
  readonly result: number;
  /** 0 version, 1 create, 2 mod, 3 value, 4 lease. */
  readonly target: number;
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  /** The number compared with when the member of the union fits the target, else 0. Lease and the rest are exact as bigint. */
  readonly number: bigint;
  /** The bytes compared with when the target is the value and the union holds one, else empty. */
  readonly value: Uint8Array;
}

export interface TxnOperation {
  readonly kind: 'txn';
  readonly compare: readonly Compare[];
  readonly success: readonly TxnStep[];
  readonly failure: readonly TxnStep[];
}

/** `none` is a request op without any member set: refused before it is proposed. */
export type TxnStep =
  | RangeOperation
  | PutOperation
  | DeleteRangeOperation
  | TxnOperation
  | { readonly kind: 'none' };

export interface CompactOperation {
  readonly kind: 'compact';
  readonly revision: number;
  readonly physical: boolean;
}

export interface LeaseGrantOperation {
  readonly kind: 'lease-grant';
  readonly id: bigint;
  /** Effective TTL, already raised to the minimum. */
  readonly ttlSec: number;
}

export interface LeaseRevokeOperation {
  readonly kind: 'lease-revoke';
  readonly id: bigint;
}

/**
 * The primary found that a lease's time is over. Ends only what it meant: in the term in which it was found, since a later leader
 * counts anew, and only while the id was not revoked and granted again.
 */
export interface LeaseExpireOperation {
  readonly kind: 'lease-expire';
  readonly id: bigint;
  /** Log index of the lease's grant; 0 for leases from before that was noted. */
  readonly grantIndex: number;
  readonly term: number;
}

/** What the primary of `term` counted as left, for later primaries. */
export interface LeaseCheckpointOperation {
  readonly kind: 'lease-checkpoint';
  /** 0: from before that was noted; valid in every term. */
  readonly term: number;
  readonly checkpoints: readonly {
    readonly id: bigint;
    /** As in `LeaseExpireOperation`; 0 here: whatever lease has the id. */
    readonly grantIndex: number;
    /** 0: its full time counts again. */
    readonly remainingTtlSec: number;
  }[];
}

export interface AlarmOperation {
  readonly kind: 'alarm';
  /** 1 activate, 2 deactivate (reads do not go through the log). */
  readonly action: number;
  readonly memberId: bigint;
  readonly alarm: number;
}

/** Name and client URLs of a member, published by itself once it has started. */
export interface MemberAttributesOperation {
  readonly kind: 'member-attributes';
  readonly memberId: bigint;
  readonly name: string;
  readonly clientUrls: readonly string[];
}

/** Other addresses between members (etcd's MemberUpdate). */
export interface MemberUpdateOperation {
  readonly kind: 'member-update';
  readonly memberId: bigint;
  readonly peerUrls: readonly string[];
}

/** Begins or ends a downgrade of the cluster. */
export interface DowngradeOperation {
  readonly kind: 'downgrade';
  /** Release to go to (`3.6.0`); null: no further. */
  readonly target: string | null;
}

export interface ClusterVersionOperation {
  readonly kind: 'cluster-version';
  readonly version: string;
}

export type Operation =
  | PutOperation
  | DeleteRangeOperation
  | TxnOperation
  | CompactOperation
  | LeaseGrantOperation
  | LeaseRevokeOperation
  | LeaseExpireOperation
  | LeaseCheckpointOperation
  | AlarmOperation
  | MemberAttributesOperation
  | MemberUpdateOperation
  | ClusterVersionOperation
  | DowngradeOperation;
