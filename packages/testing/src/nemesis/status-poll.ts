/**
 * Asks every member a few times a second what it believes: who leads in which term, how far it is. Feeds the rules on terms,
 * leaders and revisions, and counts leader changes.
 */
import type { HistoryRecorder } from '../checkers/recorder.ts';
import type { Cluster } from '../cluster/cluster.ts';

const EVERY_MS = 150;

export class StatusPoll {
  readonly #cluster: Cluster;
  readonly #recorder: HistoryRecorder;
  readonly #timer: NodeJS.Timeout;
  readonly #busy = new Set<string>();
  #term = 0;
  #leader = '';
  readonly leaderChangesNs: number[] = [];

  constructor(cluster: Cluster, recorder: HistoryRecorder) {
    this.#cluster = cluster;
    this.#recorder = recorder;
    this.#timer = setInterval(() => this.#ask(), EVERY_MS);
  }

  #ask(): void {
    for (const member of this.#cluster.members) {
      // One question at a time for each member, so that its answers are in order.
      if (this.#busy.has(member.name) || !member.isRunning || member.isPaused) continue;
      this.#busy.add(member.name);
      const { incarnation } = member;
      void this.#cluster.status(member, 1000).then((status) => {
        this.#busy.delete(member.name);
        // An answer that crossed a restart could be of either life.
        if (status === null || member.incarnation !== incarnation) return;
        this.#recorder.statuses.push({ atNs: this.#recorder.nowNs(), incarnation, ...status });
        if (status.leader !== '') this.#note(status.term, status.leader);
      });
    }
  }

  #note(term: number, leader: string): void {
    if (term <= this.#term) return;
    const changed = this.#leader !== '';
    this.#term = term;
    this.#leader = leader;
    if (!changed) return;
    this.leaderChangesNs.push(this.#recorder.nowNs());
    this.#recorder.fault('leader-change', `term ${term}: ${leader}`);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
