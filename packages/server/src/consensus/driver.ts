/**
 * The consensus driver: one loop per member between raft, the log, the network and the applier.
 *
 * Raft decides, this performs (`@quorate/raft` `ready.ts` is the contract). One *turn*:
 *
 *     hand over what was proposed and asked since the last turn
 *     while raft has work: send messages, append to the log, apply what is committed, answer reads
 *
 * Turns run after a poll phase, so that everything the sockets brought travels as one batch: one append, one sync, one
 * message per follower. While an append is under way new proposals wait, and the whole lot forms the next batch: under
 * load batches grow by themselves (group commit), and a lone request waits for nobody.
 *
 * What the disk must confirm is kept in `#steps`, in order of `Ready.sequence`: messages that promise durability leave,
 * and raft hears of it, only when everything up to there is durable.
 *
 * Time: a tick that comes late counts once, and only after the events that were waiting have been handled, so that news
 * which arrived during a pause is heard before an election timer acts on its absence.
 *
 * Everything here is synchronous callbacks; a failing log or an error in any of it ends the member through `onFatal`.
 * Read next: `proposals.ts`, `reads.ts`, `../apply/apply-loop.ts`.
 */
import {
  ConfChangeError,
  type ConfState,
  decodeMessage,
  type Entry,
  encodeMessage,
  type HardState,
  type Message,
  MessageType,
  NONE,
  type NodeId,
  ProtocolError,
  type RawNode,
  type Ready,
  type Role,
  type SoftState,
} from '@quorate/raft';
import type { Wal, WalFailedError } from '@quorate/wal';
import type { Env, Timer } from '../env.ts';
import type { Failpoint } from '../failpoints.ts';
import type { Network } from '../network.ts';
import type { Proposals } from './proposals.ts';
import type { Reads } from './reads.ts';

export interface DriverParts {
  readonly node: RawNode;
  readonly wal: Wal;
  readonly network: Network;
  readonly env: Env;
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
  /** Committed entries, in order, each once. Calls `applied` when done, now or later. */
  onCommitted(entries: readonly Entry[]): void;
  /** The leader or the own role changed. */
  onSoftState(state: SoftState, previous: SoftState): void;
  /** Once per tick, after raft's. */
  onTick(nowMs: number): void;
  onFatal(error: Error): void;
}

/** Something that waits for the log, or for those before it. */
interface Step {
  readonly sequence: number;
  readonly messages: readonly Message[];
  durable: boolean;
}

export class Driver {
  readonly #parts: DriverParts;
  readonly #options: DriverOptions;
  readonly #host: DriverHost;
  /** Sequences of proposals that raft has not taken yet, oldest first. */
  #unsubmitted: number[] = [];
  readonly #steps: Step[] = [];
  #appendsUnderWay = 0;
  /** A commit index that was not worth an append of its own: goes with the next one. */
  #unsavedHardState: HardState | null = null;
  #softState: SoftState = { leader: NONE, role: 'follower' };
  #term: number;
  #committedIndex: number;
  #appliedIndex: number;
  #scheduled = false;
  #turning = false;
  #tick: Timer | null = null;
  #mayCampaign = true;
  #ended = false;

  constructor(parts: DriverParts, options: DriverOptions, host: DriverHost) {
    this.#parts = parts;
    this.#options = options;
    this.#host = host;
    const status = parts.node.status();
    this.#term = status.hardState.term;
    this.#committedIndex = options.committedIndex;
    this.#appliedIndex = status.applied;
  }

  get leader(): NodeId {
    return this.#softState.leader;
  }

  get role(): Role {
    return this.#softState.role;
  }

  get term(): number {
    return this.#term;
  }

  get committedIndex(): number {
    return this.#committedIndex;
  }

  /** Proposals that wait for a leader or for the append under way. */
  get unsubmittedCount(): number {
    return this.#unsubmitted.length;
  }

  start(): void {
    const { network } = this.#parts;
    network.onMessage((from, bytes) => this.#receive(from, bytes));
    network.onReport((report) => this.#report(report));
    this.#armTick();
    this.#turn();
  }

  /** Queues a proposal that is already among `proposals`. */
  propose(sequence: number): void {
    this.#unsubmitted.push(sequence);
    // While an append is under way its completion begins the next turn.
    if (this.#appendsUnderWay === 0) this.#schedule();
  }

  /** Reads were added to `reads`. */
  readsWait(): void {
    this.#schedule();
  }

  /** Everything up to `index` is applied. */
  applied(index: number): void {
    this.#appliedIndex = index;
    this.#parts.node.applied(index);
    this.#parts.reads.applied(index);
    // Within a turn the loop there looks again by itself.
    if (!this.#turning) this.#schedule();
  }

  /** Part of applying a configuration change. @returns null when it does not fit the configuration in force */
  applyConfChange(entry: Entry): ConfState | null {
    try {
      return this.#parts.node.applyConfChange(entry);
    } catch (error) {
      if (error instanceof ConfChangeError) return null;
      throw error;
    }
  }

  transferLeadership(to: NodeId): ReturnType<RawNode['transferLeadership']> {
    const result = this.#parts.node.transferLeadership(to);
    this.#schedule();
    return result;
  }

  /** No more turns, ticks or messages. What was appended still becomes durable. */
  end(): void {
    this.#ended = true;
    this.#tick?.cancel();
  }

  #schedule(): void {
    if (this.#scheduled || this.#ended) return;
    this.#scheduled = true;
    this.#parts.env.afterPoll(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#ended || this.#turning) return;
    this.#turning = true;
    try {
      const { node, reads, env } = this.#parts;
      this.#submitProposals();
      reads.ask(env.monotonicMs(), (context) => node.readIndex(context).accepted);
      do {
        while (!this.#ended && node.hasReady()) this.#perform(node.ready());
      } while (this.#maybeCampaign());
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      this.#turning = false;
    }
  }

  /**
   * A cluster of one has nobody to wait for: it campaigns once everything that was committed is applied again.
   * @returns whether it does so now
   */
  #maybeCampaign(): boolean {
    if (this.#ended || !this.#mayCampaign || this.#appliedIndex < this.#options.committedIndex) return false;
    const { node } = this.#parts;
    const { conf, id } = node.status();
    if (conf.voters.length === 0) return false;
    this.#mayCampaign = false;
    const alone = conf.voters.length === 1 && conf.voters[0] === id && conf.votersOutgoing.length === 0;
    if (alone) node.campaign();
    return alone;
  }

  #submitProposals(): void {
    if (this.#appendsUnderWay > 0 || this.#unsubmitted.length === 0) return;
    const { node, proposals } = this.#parts;
    const queue = this.#unsubmitted;
    let taken = 0;
    for (; taken < queue.length; taken++) {
      const data = proposals.dataOf(queue[taken]!);
      if (data === null) continue; // Its caller has given up.
      // Nobody to take it, or too much under way: all that follows waits as well, in order, until it times out.
      if (!node.propose(data).accepted) break;
      proposals.submitted(queue[taken]!);
    }
    this.#unsubmitted = taken === queue.length ? [] : queue.slice(taken);
  }

  #perform(ready: Ready): void {
    const { reads, failpoint } = this.#parts;
    if (ready.hardState !== null) {
      this.#term = ready.hardState.term;
      this.#committedIndex = Math.max(this.#committedIndex, ready.hardState.commit);
    }
    if (ready.softState !== null) this.#moveTo(ready.softState);
    if (ready.messages.length > 0) {
      failpoint('raftBeforeLeaderSend');
      this.#send(ready.messages);
    }
    this.#persist(ready);
    if (ready.committedEntries.length > 0) this.#host.onCommitted(ready.committedEntries);
    for (const context of ready.droppedReads) reads.dropped(context);
    for (const { context, index } of ready.readStates) reads.confirmed(context, index);
    if (ready.readStates.length > 0) reads.applied(this.#appliedIndex);
    failpoint('raftBeforeAdvance');
  }

  #moveTo(state: SoftState): void {
    const previous = this.#softState;
    this.#softState = state;
    if (state.leader !== previous.leader && previous.leader !== NONE) this.#parts.reads.leaderChanged();
    this.#host.onSoftState(state, previous);
  }

  #persist(ready: Ready): void {
    if (ready.snapshot !== null) throw new Error('a snapshot arrived and nothing here can install it');
    const step: Step = { sequence: ready.sequence, messages: ready.messagesAfterPersist, durable: false };
    this.#steps.push(step);
    if (ready.hardState !== null) this.#unsavedHardState = ready.hardState;
    if (!ready.mustSync) {
      step.durable = true;
      this.#confirmSteps();
      return;
    }
    const { wal, failpoint } = this.#parts;
    failpoint('raftBeforeSave');
    this.#appendsUnderWay++;
    const hardState = this.#unsavedHardState;
    this.#unsavedHardState = null;
    wal.append({ entries: ready.entries, hardState, mustSync: true }, (error) => this.#saved(step, error));
  }

  #saved(step: Step, error: WalFailedError | null): void {
    this.#appendsUnderWay--;
    if (error !== null) {
      this.#fail(error);
      return;
    }
    if (this.#ended) return;
    try {
      this.#parts.failpoint('raftAfterSave');
      step.durable = true;
      this.#confirmSteps();
    } catch (failure) {
      this.#fail(failure as Error);
      return;
    }
    this.#turn();
  }

  /** Releases every step that is durable together with all before it. */
  #confirmSteps(): void {
    let last = 0;
    while (this.#steps[0]?.durable) {
      const step = this.#steps.shift()!;
      if (step.messages.length > 0) {
        this.#parts.failpoint('raftBeforeFollowerSend');
        this.#send(step.messages);
      }
      last = step.sequence;
    }
    if (last > 0) this.#parts.node.persisted(last);
  }

  #send(messages: readonly Message[]): void {
    const { network } = this.#parts;
    for (const message of messages) network.send(message.to, encodeMessage(message), kindOf(message));
  }

  #receive(from: NodeId, bytes: Uint8Array): void {
    if (this.#ended) return;
    try {
      const message = decodeMessage(bytes);
      if (message.from !== from) throw new ProtocolError('message names another sender');
      this.#parts.node.step(message);
    } catch (error) {
      if (!isPeersFault(error)) {
        this.#fail(error as Error);
        return;
      }
      const { log } = this.#parts.env;
      log.log('warn', 'dropped a message that no correct peer sends', { from: from.toString(16), error });
    }
    this.#schedule();
  }

  #report(report: { to: NodeId; what: 'unreachable' | 'snapshot-ok' | 'snapshot-failed' }): void {
    if (this.#ended) return;
    const { node } = this.#parts;
    if (report.what === 'unreachable') node.reportUnreachable(report.to);
    else node.reportSnapshot(report.to, report.what === 'snapshot-ok' ? 'delivered' : 'failed');
    this.#schedule();
  }

  #armTick(): void {
    const { env, node } = this.#parts;
    this.#tick = env.setTimer(this.#options.tickMs, () => {
      env.afterPoll(() => {
        if (this.#ended) return;
        this.#armTick();
        try {
          node.tick();
          this.#host.onTick(env.monotonicMs());
        } catch (error) {
          this.#fail(error as Error);
          return;
        }
        this.#turn();
      });
    });
  }

  #fail(error: Error): void {
    if (this.#ended) return;
    this.end();
    this.#host.onFatal(error);
  }
}

function isPeersFault(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === 'PROTOCOL' || code === 'CODEC';
}

/** Votes, heartbeats, the log and snapshots travel apart, so that none of them waits behind a larger one. */
function kindOf(message: Message): 'vote' | 'heartbeat' | 'append' | 'snapshot' {
  switch (message.type) {
    case MessageType.vote:
    case MessageType.voteResponse:
    case MessageType.preVote:
    case MessageType.preVoteResponse:
    case MessageType.timeoutNow:
      return 'vote';
    case MessageType.heartbeat:
    case MessageType.heartbeatResponse:
    case MessageType.readIndex:
    case MessageType.readIndexResponse:
      return 'heartbeat';
    case MessageType.snapshot:
      return 'snapshot';
    default:
      return 'append';
  }
}
