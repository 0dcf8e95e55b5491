/** What the driver is made of, and what it asks of the member around it. Read next: `driver.ts`. */
import type { ImageSink, Store } from '@quorate/mvcc';
import type { Entry, RawNode, SnapshotMeta, SoftState } from '@quorate/raft';
import type { Wal } from '@quorate/wal';
import type { Env } from '../env.ts';
import type { Failpoint } from '../failpoints.ts';
import type { Network } from '../network.ts';
import type { TurnEnd } from '../turn-end.ts';
import type { Proposals } from './proposals.ts';
import type { Reads } from './reads.ts';
import type { SnapshotImages } from './snapshot-images.ts';
import type { WalStorage } from './wal-storage.ts';

export interface DriverParts {
  readonly node: RawNode;
  readonly wal: Wal;
  /** What `node` reads from. */
  readonly storage: Pick<WalStorage, 'renew' | 'exhausted'>;
  readonly images: SnapshotImages;
  readonly store: Pick<Store, 'receiveImage'>;
  readonly network: Network;
  readonly env: Env;
  readonly turnEnd: TurnEnd;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly failpoint: Failpoint;
}

export interface DriverOptions {
  readonly tickMs: number;
  /** As recovered; decides when a cluster of one may campaign. */
  readonly committedIndex: number;
}

export interface DriverHost {
  /** Another member's proposals, before raft takes them. @throws ProtocolError for what must not get into the log */
  checkPassedOn?(entries: readonly Entry[]): void;
  /** Committed entries, in order, each once. Calls `applied` when done, now or later. */
  onCommitted(entries: readonly Entry[]): void;
  /**
   * Puts a received state in the place of the own one; no committed entry is handed out before `done`. What was handed out
   * and is not applied yet is part of that state.
   * @param done when it is durable and visible
   */
  onInstall(meta: SnapshotMeta, sink: ImageSink, done: (error: Error | null) => void): void;
  /** The log begins after that state, durably; the installation is complete. */
  onInstalled(meta: SnapshotMeta): void;
  /** The leader or the own role changed. */
  onSoftState(state: SoftState, previous: SoftState): void;
  /** Once per tick, after raft's. */
  onTick(nowMs: number): void;
  onFatal(error: Error): void;
}
