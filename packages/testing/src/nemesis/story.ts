/**
 * Watchers that follow the whole run, on every member, across all its lives: they tell what was committed (compaction
 * never passes them), and are themselves judged by the watch rules. Beside them each member has watchers of the usual
 * kinds: with previous records, without deletes.
 */
import { storyOf } from '../checkers/committed.ts';
import type { HistoryWatch } from '../checkers/history.ts';
import type { HistoryRecorder } from '../checkers/recorder.ts';
import { wants } from '../checkers/watch-record.ts';
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

  /** Without progress nobody knows how far a watch of a few keys is: then compaction may end it. */
  #judged(): Watcher[] {
    return [...this.#whole.values(), ...(this.#askProgress ? this.#others : [])];
  }

  seenByAll(): number {
    return Math.min(...this.#judged().map((watcher) => watcher.reached));
  }

  /** Watchers that still lack something of what there is up to `revision`. */
  behind(revision: number): string[] {
    const [longest] = this.whole(revision).sort((a, b) => startOf(a) - startOf(b));
    const story = longest === undefined ? [] : storyOf(longest);
    const lacks = (watcher: Watcher) => {
      if (watcher.ended !== null) return false;
      const { record } = watcher.recording();
      const last = story.findLast(({ events }) => events.some((event) => wants(record, event)));
      return watcher.reached < (this.#others.includes(watcher) ? (last?.revision ?? 0) : revision);
    };
    return [...this.#whole.values(), ...this.#others]
      .filter(lacks)
      .map((watcher) => `${watcher.member} at ${watcher.reached}`);
  }

  ended(): string[] {
    return this.#judged().flatMap((watcher) =>
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

function startOf({ record }: HistoryWatch): number {
  return record.sessions[0]?.startRevision ?? Number.POSITIVE_INFINITY;
}
