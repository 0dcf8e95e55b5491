/**
 * Named places where a test may make the store crash, throw or pause.
 *
 * The store only calls the function it is given (`StoreOptions.failpoint`); what a name does is decided outside. Places
 * that lie in the writer thread are visited from there: the thread waits until the main thread's function returned,
 * and throws when it threw. Without a function nothing is asked and nothing waits.
 */
export const MVCC_FAILPOINTS = [
  /** A write transaction made its changes visible in memory. */
  'mvccAfterCommit',
  /** The active memtable was sealed and is about to go to the writer. */
  'mvccAfterSeal',
  /** The sealed memtable is durable, the reader has moved, the memtable is about to be dropped. */
  'mvccBeforeDropSealed',
  /** Writer: inside the transaction, records and state are written, not committed. */
  'mvccBeforeLogCommit',
  'mvccAfterLogCommit',
  /** Writer: the same for one part of a flush of heads. */
  'mvccBeforeHeadCommit',
  'mvccAfterHeadCommit',
  /** Writer: physical removal, around each slice; the last slice holds the finished mark. */
  'mvccBeforeRemoveCommit',
  'mvccAfterRemoveCommit',
  'mvccBeforeRemoveFinish',
  'mvccAfterRemoveFinish',
  /** Writer: defragmentation. */
  'mvccBeforeCopy',
  'mvccAfterCopy',
  'mvccBeforeRename',
  'mvccBeforeDirectorySync',
  'mvccAfterDirectorySync',
  /** An image came whole: its files are durable beside those in use. */
  'mvccAfterReceive',
  /** Writer: another member's image takes this store's place. */
  'mvccBeforeInstall',
  'mvccBeforeInstallRename',
  'mvccBeforeInstallSync',
  'mvccAfterInstallSync',
  /** The new state is durable; readers still have the old one. */
  'mvccBeforeInstallSwap',
] as const;

export type MvccFailpoint = (typeof MVCC_FAILPOINTS)[number];
