/**
 * Puts a received state in the place of the own one, on this member's side of the log.
 *
 *     entries that wait are dropped -> note -> store replaced -> mirrors reloaded     (then the driver restarts the log)
 *     the log has begun anew -> note removed
 *
 * See `install-intent.ts` for what a crash in between leaves behind.
 */
import type { ImageSink, Store } from '@quorate/mvcc';
import type { SnapshotMeta } from '@quorate/raft';
import type { Disk } from '@quorate/wal';
import type { Failpoint } from '../failpoints.ts';
import { clearIntent, writeIntent } from './install-intent.ts';

export interface InstallerParts {
  readonly store: Pick<Store, 'install' | 'appliedIndex'>;
  readonly disk: Disk;
  readonly dataDirectory: string;
  readonly failpoint: Failpoint;
  /** The applier must not touch the store from here on. */
  readonly pauseApplying: () => void;
  /** Everything that mirrors the store reads it again. */
  readonly reload: (meta: SnapshotMeta) => void;
}

export class Installer {
  readonly #parts: InstallerParts;
  #closed = false;
  #isInstalling = false;

  constructor(parts: InstallerParts) {
    this.#parts = parts;
  }

  /** From the note to the log's new begin; a failure in between ends the member. */
  get isInstalling(): boolean {
    return this.#isInstalling;
  }

  /** @param done when the new state is durable and visible; never after `close` */
  install(meta: SnapshotMeta, sink: ImageSink, done: (error: Error | null) => void): void {
    const { store, disk, dataDirectory, failpoint, pauseApplying, reload } = this.#parts;
    this.#isInstalling = true;
    failpoint('installBeforeIntent');
    pauseApplying();
    writeIntent(disk, dataDirectory, { index: meta.index, term: meta.term });
    failpoint('installBeforeStore');
    store.install(sink, (error) => {
      if (this.#closed) return;
      if (error !== null) {
        done(error);
        return;
      }
      try {
        failpoint('installBeforeLog');
        if (store.appliedIndex !== meta.index)
          throw new Error('the installed state is not the one announced');
        reload(meta);
      } catch (failure) {
        done(failure as Error);
        return;
      }
      done(null);
    });
  }

  /** The log begins after the new state, durably. */
  finished(): void {
    const { disk, dataDirectory, failpoint } = this.#parts;
    failpoint('installAfterLog');
    clearIntent(disk, dataDirectory);
    this.#isInstalling = false;
  }

  close(): void {
    this.#closed = true;
  }
}
