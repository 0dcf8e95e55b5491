/**
 * Named places where a test may crash, throw or pause the writer.
 *
 * The hook is injected: on the caller's thread as a function, in the writer thread as a module. It costs one call of an
 * empty function otherwise. What a hook throws ends the log the way a failed write does.
 */
export type Failpoint = (name: WalFailpointName) => void;

export const WAL_FAILPOINTS = [
  /** A group is encoded; nothing of it is on disk. */
  'walBeforeWrite',
  /** A group is written (visible), not durable. */
  'walBeforeSync',
  /** A group is durable, not acknowledged. */
  'walAfterSync',
  /** A new segment is needed; the old one is complete. */
  'walBeforeSegmentCut',
  /** The new segment's header is durable under its spare name. */
  'walBeforeSegmentRename',
  /** The new segment has its name; the folder is not synced. */
  'walBeforeSegmentDirectorySync',
  /** The new segment is durable and empty. */
  'walAfterSegmentCut',
  /** Segments may go; all are still there. */
  'walBeforeRelease',
  /** One segment was renamed or removed; the folder is not synced. */
  'walBeforeReleaseDirectorySync',
  /** All releasable segments are gone, durably. */
  'walAfterRelease',
  /** Recovery is about to clear an unfinished last write. */
  'walBeforeRepair',
] as const;
export type WalFailpointName = (typeof WAL_FAILPOINTS)[number];

export const NO_FAILPOINTS: Failpoint = () => {};
