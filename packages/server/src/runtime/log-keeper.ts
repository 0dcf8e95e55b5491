/**
 * Lets go of the log and of images for followers, by what this member knows of the others. Looked at once a tick.
 *
 * Read next: `../consensus/log-release.ts`, `../consensus/snapshot-images.ts`.
 */
import type { ProgressStatus } from '@quorate/raft';
import { LogRelease } from '../consensus/log-release.ts';
import type { MemberParts } from './parts.ts';

export class LogKeeper {
  readonly #parts: MemberParts;
  readonly #release: LogRelease;

  constructor(parts: MemberParts) {
    this.#parts = parts;
    this.#release = new LogRelease(parts.wal, parts.store, parts.config, parts.failpoint);
  }

  confChanged(index: number): void {
    this.#release.confChanged(index);
  }

  /** The log begins anew after `index`. */
  restartAt(index: number): void {
    this.#release.restartAt(index);
  }

  /** @param progressOf how far each follower is, asked when this member leads; null when it does not */
  tick(nowMs: number, progressOf: (() => readonly ProgressStatus[]) | null): void {
    const { images, confs, store, memberId } = this.#parts;
    const conf = confs.current;
    if (conf === null) return;
    const alone = conf.voters.length + conf.learners.length <= 1;
    const progress = alone || progressOf === null ? [] : progressOf();
    images.tick(nowMs, progress);
    confs.forgetBefore(store.durableIndex);
    // A leader knows how far each of them is; the others keep what they may be asked for as the next leader.
    let wantedAfter = alone || progress.length > 0 ? Number.POSITIVE_INFINITY : 0;
    for (const { id, match } of progress) if (id !== memberId) wantedAfter = Math.min(wantedAfter, match);
    this.#release.tick(conf, wantedAfter, images.heldIndex);
  }
}
