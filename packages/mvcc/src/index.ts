export {
  type AdoptPlace,
  type Backend,
  type BackendCopy,
  BackendError,
  type BackendReader,
  type BackendTransaction,
  type BackendWriter,
  type FreshDatabase,
} from './backend/backend.ts';
export { type MemoryBackend, memoryBackend } from './backend/memory.ts';
export { MVCC_FAILPOINTS, type MvccFailpoint } from './failpoints.ts';
export { DEFAULT_LIMITS, mapSizeFor, type StoreLimits, type StoreOptions } from './options.ts';
export { MvccStore, openStore } from './store.ts';
export { RefusedRecordError } from './transfer/build-core.ts';
export { DamagedImageError } from './transfer/chunks.ts';
export { type BuildOptions, buildStore } from './transfer/store-builder.ts';
export type {
  ImageInfo,
  ImageRecord,
  ImageSink,
  ImageSource,
  StoreBuilder,
  StoreImage,
} from './transfer/types.ts';
export {
  CompactedError,
  type EventBatch,
  FutureRevisionError,
  type KeyRange,
  type KeyRecord,
  type PageOptions,
  type RangeOptions,
  type RangePage,
  type RangeResult,
  type Revision,
  type Store,
  StoreBusyError,
  StoreClosedError,
  type StoreEvent,
  StoreReplacedError,
  type WriteTransaction,
} from './types.ts';
export {
  EventGroup,
  WATCH_DEFAULTS,
  Watch,
  type WatchConsumer,
  WatchHub,
  type WatchHubOptions,
  type WatchId,
  type WatchOptions,
  type WatchRefusal,
  type WatchRuntime,
  type WatchSource,
  type WatchState,
  type WatchStats,
  WatchStream,
} from './watch/index.ts';
