/**
 * Watchers that follow the whole run, on every member, across all its lives: they tell what was committed (compaction
 * never passes them), and are themselves judged by the watch rules. Beside them each member has watchers of the usual
 * kinds: with previous records, without deletes.
 */
import type { HistoryWatch } from '../checkers/history.ts';
import type { HistoryRecorder } from '../checkers/recorder.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ClusterMember } from '../cluster/member.ts';
import { Watcher } from './watcher.ts';

export class Story {
  readonly #recorder: HistoryRecorder;
  readonly #whole = new Map<string, Watcher>();
  readonly #others: Watcher[] = [];
  /** Of members that were removed: what they said still has to be true. */
  readonly #left: Watcher[] = [];

  readonly #askProgress: boolean;

  constructor(cluster: Cluster, recorder: HistoryRecorder, askProgress = true) {
    this.#recorder = recorder;
    this.#askProgress = askProgress;
    for (const member of cluster.members) {
      this.follow(member);
      const common = { startRevision: 0, nowNs: () => recorder.nowNs(), askProgress };
      this.#others.push(
        new Watcher(member.name, member.endpoint, { ...common, key: 'k', end: 'l', withPrevious: true }),
        new Watcher(member.name, member.endpoint, { ...common, key: 'k1', end: '', withoutDeletes: true }),
      );
    }
  }

  /** From revision 1, or from where the others are when that is compacted. */
  follow(member: ClusterMember): void {
    const startRevision = Math.max(1, this.compactRevision() + 1);
    const nowNs = () => this.#recorder.nowNs();
    const options = { key: '\0', end: '\0', startRevision, nowNs, askProgress: this.#askProgress };
    this.#whole.set(member.name, new Watcher(member.name, member.directEndpoint, options));
  }

  leave(member: ClusterMember): void {
    const watcher = this.#whole.get(member.name);
    if (watcher === undefined) return;
    this.#whole.delete(member.name);
    watcher.close();
    this.#left.push(watcher);
  }

  /** Greatest revision that a compaction was asked for; -1: none. */
  compactRevision(): number {
    const asked = this.#recorder
      .history()
      .calls.flatMap(({ call }) => (call.kind === 'compact' ? [call.revision] : []));
    return Math.max(-1, ...asked);
  }

  seenByAll(): number {
    return Math.min(...[...this.#whole.values(), ...this.#others].map((watcher) => watcher.reached));
  }

  /** Members whose watcher has not reached `revision`. Of a part of the keys only progress tells how far it is. */
  behind(revision: number): string[] {
    return [...this.#whole.values(), ...(this.#askProgress ? this.#others : [])]
      .filter((watcher) => watcher.reached < revision && watcher.ended === null)
      .map((watcher) => `${watcher.member} at ${watcher.reached}`);
  }

  ended(): string[] {
    return [...this.#whole.values(), ...this.#others].flatMap((watcher) =>
      watcher.ended === null ? [] : [`${watcher.member}: ${watcher.ended}`],
    );
  }

  resumes(): number {
    return [...this.#whole.values(), ...this.#others].reduce((sum, watcher) => sum + watcher.resumes, 0);
  }

  /** Recordings of everything, complete up to `revision`: those that began at the beginning first. */
  whole(revision: number): HistoryWatch[] {
    return [...this.#whole.values()].map((watcher) => watcher.recording(revision));
  }

  rest(revision: number): HistoryWatch[] {
    return [
      ...this.#others.map((watcher) => watcher.recording(revision)),
      ...this.#left.map((watcher) => watcher.recording()),
    ];
  }

  close(): void {
    for (const watcher of [...this.#whole.values(), ...this.#others, ...this.#left]) watcher.close();
  }
}
