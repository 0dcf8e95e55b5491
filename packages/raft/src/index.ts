/** `@quorate/raft`: the public names, by topic. */

// Bytes
export {
  decodeConf,
  decodeEntry,
  decodeMessage,
  encodeConf,
  encodeEntry,
  encodeMessage,
} from './codec/codec.ts';
// Membership
export { decodeConfChange, encodeConfChange } from './confchange/codec.ts';
export { EMPTY_CONF, isJoint, isMember, members } from './confchange/conf.ts';
export {
  type ConfChange,
  type ConfChangeKind,
  type ConfChangeStep,
  LEAVE_JOINT,
  MAX_CONF_CHANGE_STEPS,
} from './confchange/types.ts';
// The node
export { DEFAULTS, type RaftConfig } from './config.ts';
// Words
export {
  describeConf,
  describeEntries,
  describeEntry,
  describeMessage,
  describeReady,
  describeSnapshot,
  describeStatus,
} from './describe.ts';
// A host, ready made
export {
  DriverError,
  type DriverErrorCode,
  type DriverStorage,
  type SaveStep,
  type StateMachine,
  type Transport,
} from './driver/contracts.ts';
export { type DriverConfig, RaftDriver } from './driver/driver.ts';
export { MemoryDriverStorage } from './driver/memory.ts';
// Errors
export { CodecError, ConfChangeError, InvariantError, ProtocolError } from './errors.ts';
// Storage
export { MemoryStorage } from './log/memory-storage.ts';
export { type Message, MessageType, makeMessage } from './message.ts';
export { describeReached } from './quorum/describe.ts';
export { RawNode } from './raw-node.ts';
export type { ReadState, Ready, SoftState } from './ready.ts';
export type { ProposeDropReason, ProposeResult, ReadIndexResult, TransferResult } from './results.ts';
export type { ProgressStatus, Status } from './status.ts';
export { CompactedError, type Storage, StorageUnavailableError } from './storage.ts';
// Vocabulary
export {
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  NONE,
  type NodeId,
  type Role,
  type Snapshot,
  type SnapshotMeta,
} from './types.ts';
