/**
 * The state of one node, shared by the files that hold its behaviour.
 *
 * `Raft` itself decides nothing: it keeps the fields, sends messages with the right term, and names the transitions
 * common to all roles. Behaviour is in `step.ts` (the term gate), `roles/*` (what each role does with a message or a
 * tick), `election.ts`, `replication.ts`, `read-index.ts`, `membership.ts`, `leader-transfer.ts`, `proposals.ts`.
 */
import { canonicalConf, checkConf } from './confchange/conf.ts';
import { ConfLag } from './confchange/lag.ts';
import { type RaftConfig, type ResolvedConfig, resolveConfig } from './config.ts';
import { assert } from './errors.ts';
import { Persistence } from './log/persistence.ts';
import { RaftLog } from './log/raft-log.ts';
import { type Message, makeMessage } from './message.ts';
import { Outbox } from './outbox.ts';
import { ForwardedReads } from './reads/forwarded-reads.ts';
import { LeaderReads } from './reads/leader-reads.ts';
import type { ReadState } from './ready.ts';
import { RepeatedProposals } from './repeated-proposals.ts';
import type { Rules } from './rules.ts';
import { Tracker } from './tracker/tracker.ts';
import { type ConfState, type Entry, NONE, type NodeId, type Role } from './types.ts';

export class Raft {
  readonly id: NodeId;
  readonly config: ResolvedConfig;
  readonly rules: Rules;
  readonly log: RaftLog;
  readonly tracker: Tracker;
  readonly outbox = new Outbox();
  readonly persistence = new Persistence();
  /** Reads this leader has to confirm (thesis §6.4). */
  readonly reads: LeaderReads;
  /** Reads this node sent to its leader. */
  readonly forwardedReads: ForwardedReads;
  /** Answers for the host, to go out with the next `Ready`. */
  readStates: ReadState[] = [];

  /** Never decreases. Changed only by `enterTerm`. */
  term: number;
  /** The newest term that is on the disk. */
  durableTerm: number;
  /** Whom this node voted for in `term`. */
  vote: NodeId;
  role: Role = 'follower';
  leader: NodeId = NONE;

  /** Ticks since the last sign of a leader, or since a leader last checked its quorum. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Drawn from `[electionTicks, 2 * electionTicks)` at each change of role, against split votes (thesis §3.4). */
  electionTimeout = 0;
  /**
   * With lease reads: ticks in which this node owes a leader its silence, whatever it hears of higher terms meanwhile. Each
   * answer to a heartbeat promises an election timeout of it; a restarted node may have promised just before. A node whose
   * disk knows of no term yet owes none: its first answer to a leader waits for the disk (`replication/follower.ts`).
   */
  embargoTicks: number;

  /** A candidate whose vote for itself is not durable yet: it does not count until then. */
  ownVotePending = false;
  /** Target of a leadership transfer under way (thesis §3.10). */
  transferee: NodeId = NONE;
  /** Ticks since that transfer was asked for. */
  transferElapsed = 0;
  /** Leader: index of the change that ended its own membership; 0 while it is a voter. */
  departure = 0;
  /** Index of the newest configuration change that may not be applied yet; no other is proposed until it is. */
  pendingConfIndex = 0;
  /** For a state machine that still applies what a snapshot covers already. */
  readonly confLag = new ConfLag();
  /** Configuration entries before this index were looked through; see `membership.ts`. */
  confScannedTo: number;
  /** Leader: there may be something to send to followers. */
  replicationDue = false;
  /** Follower: proposals to pass on with the next `Ready`. */
  forwarding: Entry[] = [];
  /** Follower: number of the last message of proposals passed on. */
  proposalNumber: bigint;
  /** Leader: messages of proposals taken in this term. */
  readonly repeatedProposals = new RepeatedProposals();

  constructor(config: RaftConfig, rules: Rules) {
    this.config = resolveConfig(config);
    this.id = this.config.id;
    this.rules = rules;
    const { hardState, conf } = this.config.storage.initialState();
    const start = canonicalConf(config.conf ?? conf);
    checkConf(start);
    this.term = hardState.term;
    this.durableTerm = hardState.term;
    this.vote = hardState.vote;
    this.log = new RaftLog({
      storage: this.config.storage,
      rules,
      commit: hardState.commit,
      applied: config.applied,
      maxTailBytes: this.config.maxTailBytes,
    });
    assert(this.term >= this.log.lastTerm, 'storage: no entry is newer than the term of its node', this.term);
    this.confScannedTo = this.log.applied;
    this.tracker = new Tracker(start, {
      maxCount: this.config.maxInflightMessages,
      maxBytes: this.config.maxInflightBytes,
    });
    this.reads = new LeaderReads(this.config);
    const life = BigInt(this.config.random(2 ** 32));
    this.forwardedReads = new ForwardedReads(this.config, life);
    this.proposalNumber = life << 32n;
    this.embargoTicks = this.config.readOnly === 'lease' && this.term > 0 ? this.config.electionTicks : 0;
    this.drawElectionTimeout();
  }

  get conf(): ConfState {
    return this.tracker.conf;
  }

  get leading(): boolean {
    return this.role === 'leader';
  }

  /** Whether this node is the only voter, and so a quorum by itself. */
  get alone(): boolean {
    const { voters, votersOutgoing } = this.conf;
    return votersOutgoing.length === 0 && voters.length === 1 && voters[0] === this.id;
  }

  /** Whether a lease may rest on this node's support for the leader it heard last. */
  get owesSilence(): boolean {
    return this.rules.owesSilence(this.embargoTicks) && !this.alone;
  }

  drawElectionTimeout(): void {
    this.electionTimeout = this.config.electionTicks + this.config.random(this.config.electionTicks);
  }

  /**
   * Common to every change of role. A new term forgets the vote, the votes received and every promise of leadership;
   * the same term keeps the vote (thesis §3.4: one vote a term).
   */
  enterTerm(term: number): void {
    if (term !== this.term) {
      this.term = term;
      this.vote = NONE;
    }
    this.leader = NONE;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.drawElectionTimeout();
    this.ownVotePending = false;
    this.transferee = NONE;
    this.departure = 0;
    this.pendingConfIndex = 0;
    this.replicationDue = false;
    this.tracker.resetVotes();
    this.tracker.resetProgress(this.log.lastIndex + 1);
    this.reads.reset();
    this.forwardedReads.dropAll();
    this.repeatedProposals.reset();
  }

  /** A message of the current term unless `fields` says otherwise. */
  compose(to: NodeId, fields: Pick<Message, 'type'> & Partial<Message>): Message {
    return makeMessage({ from: this.id, to, term: this.term, ...fields });
  }

  send(to: NodeId, fields: Pick<Message, 'type'> & Partial<Message>): void {
    this.outbox.send(this.compose(to, fields));
  }

  /** For promises: leaves once everything decided so far is durable. */
  sendAfterPersist(to: NodeId, fields: Pick<Message, 'type'> & Partial<Message>): void {
    if (this.rules.answersBeforePersisting()) this.send(to, fields);
    else this.outbox.sendAfterPersist(this.compose(to, fields));
  }
}
