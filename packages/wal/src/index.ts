/** `@quorate/wal`: the public names, by topic. */

export { DISK_CONTRACT, type DiskContractCase } from './disk.contract.ts';
// Disk
export { type Disk, DiskError, type DiskFile } from './disk.ts';
// Errors
export {
  type CorruptionKind,
  WalCorruptionError,
  WalFailedError,
  WalMetadataError,
  WalMissingError,
} from './errors.ts';
// Faults
export { type Failpoint, WAL_FAILPOINTS, type WalFailpointName } from './failpoints.ts';
// Looking at it offline
export {
  type DumpLine,
  type DumpOptions,
  describeVerification,
  dumpWal,
  verifyWal,
  type WalVerification,
} from './inspect.ts';
export { nodeDisk } from './node/disk.ts';
export { lockShared } from './node/lock.ts';
// Opening
export { openWal, openWalInline, WAL_DEFAULTS } from './open.ts';
// The log
export {
  MAX_ENTRY_BYTES,
  type OpenedWal,
  type Recovered,
  type SegmentInfo,
  type Wal,
  type WalBatch,
  type WalDone,
  type WalOptions,
  type WalRepair,
} from './wal.ts';
