/** @quorate/client: a typed client for etcd-compatible servers. */

export { type Bytes, toBytes, toText } from './bytes.ts';
export type { Cluster, Member } from './cluster.ts';
export { campaign, Leadership, leader, observe } from './concurrency/election.ts';
export { LeaseSession, type LeaseSessionOptions, openLeaseSession } from './concurrency/lease-session.ts';
export { Place } from './concurrency/line.ts';
export { HeldLock, lock, tryLock } from './concurrency/lock.ts';
export { type Client, connect } from './connect.ts';
export {
  ClientError,
  type ClientErrorCode,
  type ConnectionFailure,
  type LocalCode,
  WatchCanceledError,
} from './errors.ts';
export type { KeepAlive, Renewal } from './keep-alive.ts';
export type { Kv } from './kv.ts';
export type { LeaseGrant, LeaseInfo, Leases } from './lease.ts';
export type { Alarm, AlarmKind, HashKv, Maintenance, SnapshotPart, Status } from './maintenance.ts';
export { type MirrorOptions, type MirrorStep, mirror } from './mirror.ts';
export { type CallOptions, type ConnectOptions, defaults, type TlsOptions } from './options.ts';
export {
  allKeys,
  between,
  fromKey,
  type KeyRange,
  type KeySelector,
  oneKey,
  prefix,
  prefixEnd,
} from './range.ts';
export type { DeleteOptions, PutOptions, RangeOptions } from './request.ts';
export type {
  DeleteResult,
  Header,
  KeyValue,
  OpResult,
  PutResult,
  RangeResult,
  TxnResult,
} from './response.ts';
export type { CallKind } from './session.ts';
export { type Comparison, compare, type Op, op, type Relation, type Txn } from './txn.ts';
export type { Watch, WatchBatch, WatchEvent, WatchOptions } from './watch.ts';
