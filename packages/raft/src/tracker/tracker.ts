/**
 * The configuration in force, with what is known of each member and the votes of the election under way.
 *
 * Knows nothing of messages. The configuration changes only by `reconfigure`, which keeps the progress of members
 * that stay. Read next: `progress.ts`, `../confchange/changer.ts`.
 */
import { isJoint, isMember, members } from '../confchange/conf.ts';
import type { ConfState, NodeId } from '../types.ts';
import { Inflights } from './inflights.ts';
import { Progress } from './progress.ts';

export class Tracker {
  readonly #limits: { maxCount: number; maxBytes: number };
  #conf: ConfState;
  #progress = new Map<NodeId, Progress>();
  #votes = new Map<NodeId, boolean>();

  constructor(conf: ConfState, limits: { maxCount: number; maxBytes: number }) {
    this.#limits = limits;
    this.#conf = conf;
    this.reconfigure(conf, 1);
  }

  get conf(): ConfState {
    return this.#conf;
  }

  get joint(): boolean {
    return isJoint(this.#conf);
  }

  /** Progress of each member, in order of id. */
  get progress(): ReadonlyMap<NodeId, Progress> {
    return this.#progress;
  }

  isMember(id: NodeId): boolean {
    return isMember(this.#conf, id);
  }

  /** Whether `id` counts in elections and commitment, in either half of a joint configuration. */
  isVoter(id: NodeId): boolean {
    return this.#conf.voters.includes(id) || this.#conf.votersOutgoing.includes(id);
  }

  /**
   * Puts `conf` into force. New members start at `next` and count as recently active: they had no chance yet to say
   * anything, and a quorum check just now would remove the leader for it.
   */
  reconfigure(conf: ConfState, next: number): void {
    const before = this.#progress;
    this.#conf = conf;
    this.#progress = new Map();
    for (const id of members(conf)) {
      const learner = !this.isVoter(id);
      const kept = before.get(id);
      if (kept !== undefined) {
        kept.learner = learner;
        this.#progress.set(id, kept);
      } else {
        const fresh = this.#fresh(next, learner);
        fresh.recentlyActive = true;
        this.#progress.set(id, fresh);
      }
    }
  }

  /** Forgets what was known of each member: a new term begins. */
  resetProgress(next: number): void {
    for (const [id, progress] of this.#progress) {
      this.#progress.set(id, this.#fresh(next, progress.learner));
    }
  }

  resetVotes(): void {
    this.#votes = new Map();
  }

  /** The first answer of a voter counts; repeated messages change nothing. */
  recordVote(id: NodeId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  readonly vote = (id: NodeId): boolean | undefined => this.#votes.get(id);

  readonly active = (id: NodeId): boolean => this.#progress.get(id)?.recentlyActive ?? false;

  readonly matched = (id: NodeId): number => this.#progress.get(id)?.match ?? 0;

  readonly knownCommit = (id: NodeId): number => this.#progress.get(id)?.knownCommit ?? 0;

  readonly answeredRound = (id: NodeId): number => this.#progress.get(id)?.ackedRound ?? 0;

  #fresh(next: number, learner: boolean): Progress {
    return new Progress({ next, learner, inflights: new Inflights(this.#limits) });
  }
}
