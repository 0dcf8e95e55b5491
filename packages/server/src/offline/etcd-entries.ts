/**
 * What an entry of etcd's log does, as one of our operations.
 *
 * An entry holds an `etcdserverpb.InternalRaftRequest`: a union of requests as clients sent them. Entries of the version 2 API (and member attributes
 * and cluster versions, which 3.4 sends that way) are of another kind; they change nothing that is migrated.
 */
import {
  AlarmRequest,
  DecodeError,
  LeaseCheckpointRequest,
  LeaseGrantRequest,
  LeaseRevokeRequest,
} from '@quorate/proto';
import {
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeTxnRequest,
} from '../codec/requests.ts';
import { WireError, WireReader } from '../codec/wire-reader.ts';
import type { Operation } from '../operations.ts';

export type EntryMeaning =
  | { readonly kind: 'operation'; readonly operation: Operation }
  /** Nothing that is migrated depends on it. */
  | { readonly kind: 'nothing' }
  /** Etcd 3.4 does not note it as applied: the database may have it although the log seems to be ahead. */
  | { readonly kind: 'auth-enable' }
  /** It changes something, and cannot be replayed. */
  | { readonly kind: 'unknown'; readonly what: string };

const NOTHING: EntryMeaning = { kind: 'nothing' };

/** Fields of InternalRaftRequest, by number. */
const Field = {
  id: 1,
  v2: 2,
  range: 3,
  put: 4,
  deleteRange: 5,
  txn: 6,
  compaction: 7,
  leaseGrant: 8,
  leaseRevoke: 9,
  alarm: 10,
  leaseCheckpoint: 11,
  header: 100,
  authEnable: 1000,
  authenticate: 1012,
  authStatus: 1013,
  authUserGet: 1102,
  authUserList: 1106,
  authRoleList: 1107,
  authRoleGet: 1202,
  clusterVersionSet: 1300,
  memberAttributesSet: 1301,
  downgradeInfoSet: 1302,
} as const;

/** Requests that change nothing, or only what a new cluster decides anew. */
const WITHOUT_EFFECT: ReadonlySet<number> = new Set([
  Field.v2,
  Field.range,
  Field.authenticate,
  Field.authStatus,
  Field.authUserGet,
  Field.authUserList,
  Field.authRoleList,
  Field.authRoleGet,
  Field.clusterVersionSet,
  Field.memberAttributesSet,
  Field.downgradeInfoSet,
]);

const LENGTH_DELIMITED = 2;
/** Shortest lease of a server with etcd's default election timeout: it raises shorter ones when it applies them. */
const MIN_TTL_SEC = 2n;

export function meaningOf(data: Uint8Array): EntryMeaning {
  if (data.length === 0) return NOTHING;
  const union = readUnion(data);
  if (union === null) return NOTHING;
  const { field, bytes } = union;
  if (WITHOUT_EFFECT.has(field)) return NOTHING;
  if (field === Field.authEnable) return { kind: 'auth-enable' };
  try {
    const operation = operationOf(field, bytes);
    if (operation !== null) return { kind: 'operation', operation };
  } catch (error) {
    if (!(error instanceof WireError || error instanceof DecodeError)) throw error;
    return { kind: 'unknown', what: `a request of kind ${field} that cannot be read (${error.message})` };
  }
  return { kind: 'unknown', what: `a request of kind ${field}` };
}

/** @returns the one request in it; null for an entry of the version 2 API, which is another message */
function readUnion(data: Uint8Array): { field: number; bytes: Uint8Array } | null {
  let found: { field: number; bytes: Uint8Array } | null = null;
  const reader = new WireReader(data);
  try {
    while (reader.more) {
      const tag = reader.tag('InternalRaftRequest');
      const field = Math.floor(tag / 8);
      if (tag % 8 !== LENGTH_DELIMITED) {
        reader.other(tag, []);
        continue;
      }
      const bytes = reader.bytes();
      // In a version 2 request the second field is the method.
      if (field === Field.v2) return null;
      if (field !== Field.header) found = { field, bytes };
    }
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
  return found;
}

function operationOf(field: number, bytes: Uint8Array): Operation | null {
  switch (field) {
    case Field.put:
      return decodePutRequest(bytes);
    case Field.deleteRange:
      return decodeDeleteRangeRequest(bytes);
    case Field.txn:
      // The limit on the number of operations was checked before the entry was made.
      return decodeTxnRequest(bytes, Number.MAX_SAFE_INTEGER);
    case Field.compaction:
      return decodeCompactionRequest(bytes);
    case Field.leaseGrant: {
      const { ID: id, TTL: ttl } = LeaseGrantRequest.decode(bytes);
      return { kind: 'lease-grant', id, ttlSec: Number(ttl < MIN_TTL_SEC ? MIN_TTL_SEC : ttl) };
    }
    case Field.leaseRevoke:
      return { kind: 'lease-revoke', id: LeaseRevokeRequest.decode(bytes).ID };
    case Field.leaseCheckpoint: {
      const { checkpoints } = LeaseCheckpointRequest.decode(bytes);
      return {
        kind: 'lease-checkpoint',
        term: 0,
        checkpoints: checkpoints.map(({ ID: id, remainingTTL }) => ({
          id,
          grantIndex: 0,
          remainingTtlSec: Number(remainingTTL),
        })),
      };
    }
    case Field.alarm: {
      const { action, memberID: memberId, alarm } = AlarmRequest.decode(bytes);
      return { kind: 'alarm', action, memberId, alarm };
    }
    default:
      return null;
  }
}
