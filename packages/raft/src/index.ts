/** `@quorate/raft`: the public names, by topic. */

// Membership
export {
  type ConfChange,
  type ConfChangeKind,
  type ConfChangeStep,
  LEAVE_JOINT,
  MAX_CONF_CHANGE_STEPS,
} from './confchange/types.ts';
// The node
export { DEFAULTS, type RaftConfig } from './config.ts';
// Errors
export { CodecError, ConfChangeError, InvariantError, ProtocolError } from './errors.ts';
export { type Message, MessageType } from './message.ts';
export { RawNode } from './raw-node.ts';
export type { ReadState, Ready, SoftState } from './ready.ts';
export type { ProposeDropReason, ProposeResult, ReadIndexResult, TransferResult } from './results.ts';
export type { ProgressStatus, Status } from './status.ts';
// Storage
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
