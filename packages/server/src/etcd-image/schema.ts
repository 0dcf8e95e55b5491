/**
 * What an etcd server keeps in its bbolt file: the buckets, and how their rows translate to our small tables.
 *
 *   key               revision key -> mvccpb.KeyValue (of a tombstone: its key alone)
 *   meta              consistent_index, term, confState (JSON), scheduledCompactRev, finishedCompactRev, storageVersion
 *   lease             id, 8 bytes -> leasepb.Lease
 *   alarm             etcdserverpb.AlarmMember -> nothing
 *   members           id in hex -> JSON
 *   members_removed   id in hex -> "removed"
 *   cluster           clusterVersion, downgrade
 *   auth, authUsers, authRoles
 *
 * `term` and `confState` came with 3.5, `storageVersion` with 3.6; older servers ignore them.
 * Source: the schema and mvcc packages of etcd 3.4 to 3.7, and files that 3.4.23 made.
 */
import { AlarmMember } from '@quorate/proto';
import type { ConfState } from '@quorate/raft';
import { LEASES_TABLE, Lease, leaseKey, leaseRow, readLease } from '../lease/lease.ts';
import { decodeMember } from '../membership/members.ts';

export const Bucket = {
  alarm: 'alarm',
  auth: 'auth',
  authRoles: 'authRoles',
  authUsers: 'authUsers',
  cluster: 'cluster',
  key: 'key',
  lease: 'lease',
  members: 'members',
  membersRemoved: 'members_removed',
  meta: 'meta',
} as const;

/** Rows that our tables hold exactly as etcd does, so that they survive a way in and back. */
export const VERBATIM_TABLES = [Bucket.auth, Bucket.authRoles, Bucket.authUsers] as const;

export const MetaKey = {
  confState: 'confState',
  consistentIndex: 'consistent_index',
  finishedCompact: 'finishedCompactRev',
  scheduledCompact: 'scheduledCompactRev',
  storageVersion: 'storageVersion',
  term: 'term',
} as const;

/** The oldest storage version with all of these rows: every server from it on takes an image, and older ones ignore the row. */
export const STORAGE_VERSION = '3.6.0';

const REVISION_KEY_BYTES = 17;
const TOMBSTONE_MARK = 0x74;
const TWO_32 = 2 ** 32;

/** 8 bytes main, "_", 8 bytes sub, big-endian; "t" behind it marks a tombstone (sem-184). */
export function encodeRevisionKey(main: number, sub: number, tombstone: boolean): Uint8Array {
  const key = Buffer.allocUnsafe(REVISION_KEY_BYTES + (tombstone ? 1 : 0));
  key.writeUInt32BE(Math.floor(main / TWO_32), 0);
  key.writeUInt32BE(main % TWO_32, 4);
  key[8] = 0x5f;
  key.writeUInt32BE(Math.floor(sub / TWO_32), 9);
  key.writeUInt32BE(sub % TWO_32, 13);
  if (tombstone) key[REVISION_KEY_BYTES] = TOMBSTONE_MARK;
  return key;
}

export interface RevisionKey {
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
}

/** @returns null for bytes that are none */
export function decodeRevisionKey(key: Uint8Array): RevisionKey | null {
  const tombstone = key.length === REVISION_KEY_BYTES + 1;
  if (key.length !== REVISION_KEY_BYTES && !tombstone) return null;
  if (key[8] !== 0x5f || (tombstone && key[REVISION_KEY_BYTES] !== TOMBSTONE_MARK)) return null;
  const from = new DataView(key.buffer, key.byteOffset, key.length);
  const main = from.getUint32(0) * TWO_32 + from.getUint32(4);
  const sub = from.getUint32(9) * TWO_32 + from.getUint32(13);
  return Number.isSafeInteger(main) && Number.isSafeInteger(sub) ? { main, sub, tombstone } : null;
}

export function encodeUint64(value: number | bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** @returns null for bytes that are no counter */
export function decodeCounter(bytes: Uint8Array): number | null {
  if (bytes.length !== 8) return null;
  const value = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : null;
}

/** Raft's configuration as etcd's JSON has it: 64-bit ids are plain numbers there. */
export function encodeConfState(conf: ConfState): Uint8Array {
  const parts: string[] = [];
  const list = (name: string, ids: readonly bigint[]): void => {
    if (ids.length > 0) parts.push(`"${name}":[${ids.join(',')}]`);
  };
  list('voters', conf.voters);
  list('learners', conf.learners);
  list('voters_outgoing', conf.votersOutgoing);
  list('learners_next', conf.learnersNext);
  parts.push(`"auto_leave":${conf.autoLeave}`);
  return Buffer.from(`{${parts.join(',')}}`);
}

export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** A row of our `members` table as one of etcd's. */
export function memberRow(key: Uint8Array, value: Uint8Array): Row {
  const id = Buffer.from(key).readBigUInt64BE(0);
  const { name, peerUrls, clientUrls, isLearner } = decodeMember(value);
  const fields = [
    `"id":${id}`,
    `"peerURLs":${JSON.stringify(peerUrls)}`,
    ...(isLearner ? ['"isLearner":true'] : []),
    ...(name === '' ? [] : [`"name":${JSON.stringify(name)}`]),
    ...(clientUrls.length === 0 ? [] : [`"clientURLs":${JSON.stringify(clientUrls)}`]),
  ];
  return { key: Buffer.from(id.toString(16)), value: Buffer.from(`{${fields.join(',')}}`) };
}

export function removedMemberRow(key: Uint8Array): Row {
  const id = Buffer.from(key).readBigUInt64BE(0);
  return { key: Buffer.from(id.toString(16)), value: Buffer.from('removed') };
}

/** A row of our `alarms` table as one of etcd's, ... */
export function alarmRow(key: Uint8Array): Row {
  const bytes = Buffer.from(key);
  const alarm = { memberID: bytes.readBigUInt64BE(0), alarm: bytes.readInt32BE(8) };
  return { key: AlarmMember.encode(alarm), value: NOTHING };
}

/** ... and back. */
export function alarmFromRow(row: Row): Row {
  const { memberID, alarm } = AlarmMember.decode(row.key);
  const key = Buffer.alloc(12);
  key.writeBigUInt64BE(memberID, 0);
  key.writeInt32BE(alarm | 0, 8);
  return { key, value: NOTHING };
}

export const ALARMS_TABLE = 'alarms';
export { LEASES_TABLE };

/** A row of our `leases` table as one of etcd's: `leasepb.Lease { ID 1, TTL 2, RemainingTTL 3 }`. */
export function leaseRowOfEtcd(key: Uint8Array, value: Uint8Array): Row {
  const lease = readLease(key, value);
  const out: number[] = [];
  field(out, 0x08, BigInt.asUintN(64, lease.id));
  field(out, 0x10, BigInt(lease.ttlSec));
  field(out, 0x18, BigInt(lease.remainingSec));
  return { key, value: Uint8Array.from(out) };
}

/** @returns null for bytes that are no lease */
export function leaseFromRow(row: Row): Row | null {
  const numbers = [0n, 0n, 0n];
  let at = 0;
  while (at < row.value.length) {
    const tag = row.value[at++]!;
    const index = [0x08, 0x10, 0x18].indexOf(tag);
    if (index < 0) return null;
    let shift = 0n;
    let number = 0n;
    for (;;) {
      const byte = row.value[at++];
      if (byte === undefined || shift > 63n) return null;
      number |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
      shift += 7n;
    }
    numbers[index] = BigInt.asIntN(64, number);
  }
  const [id, ttlSec, remainingSec] = numbers as [bigint, bigint, bigint];
  const bound = BigInt(Number.MAX_SAFE_INTEGER);
  if (id === 0n || ttlSec < 0n || ttlSec > bound || remainingSec < 0n || remainingSec > bound) return null;
  const lease = new Lease(id, Number(ttlSec), Number(remainingSec));
  return { key: leaseKey(lease.id), value: leaseRow(lease) };
}

function field(out: number[], tag: number, value: bigint): void {
  if (value === 0n) return;
  out.push(tag);
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
}
