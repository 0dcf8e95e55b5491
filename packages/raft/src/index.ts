export { type Message, MessageType } from './message.ts';
export type { ReadState, Ready, SoftState } from './ready.ts';
export { CompactedError, type Storage, StorageUnavailableError } from './storage.ts';
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
