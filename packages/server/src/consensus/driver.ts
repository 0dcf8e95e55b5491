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
 * Snapshots: `snapshot-images.ts` has what leaves, `snapshot-receiver.ts` what arrives. While one is being installed no
 * `Ready` is taken: what raft wants to say or to write meanwhile waits until the state it speaks of is here.
 *
 * Everything here is synchronous callbacks; a failing log or an error in any of it ends the member through `onFatal`.
 * Read next: `proposals.ts`, `reads.ts`, `../apply/apply-loop.ts`.
 */
import type { ImageSink, Store } from '@quorate/mvcc';
import {
  ConfChangeError,
  type ConfState,
  decodeConfChange,
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
  type Snapshot,
  type SnapshotMeta,
  type SoftState,
  type Status,
} from '@quorate/raft';
import type { Wal, WalFailedError } from '@quorate/wal';
import type { Env, Timer } from '../env.ts';
import type { Failpoint } from '../failpoints.ts';
import { exponentialBuckets, Histogram } from '../histogram.ts';
import type { MessageKind, Network, PeerReport } from '../network.ts';
import type { Proposals } from './proposals.ts';
import type { Reads } from './reads.ts';
import type { SnapshotImages } from './snapshot-images.ts';
import { type ReceivedSnapshot, SnapshotReceiver } from './snapshot-receiver.ts';
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

/** Something that waits for the log, or for those before it. */
interface Step {
  readonly sequence: number;
  readonly messages: readonly Message[];
  durable: boolean;
}

/** A change of the configuration that waits to be proposed or applied. */
interface PendingChange {
  readonly sequence: number;
  /** When it was last handed to the leader; null while nobody has it. */
  sentMs: number | null;
}

/** A change passed on to the leader that was not applied by then is passed on again: it may have been dropped there. */
const CHANGE_RETRY_MS = 1_000;

export class Driver {
  /** From handing a batch to the log until it is durable: etcd's buckets. */
  readonly syncSeconds = new Histogram(exponentialBuckets(0.001, 2, 14));
  readonly #parts: DriverParts;
  readonly #options: DriverOptions;
  readonly #host: DriverHost;
  /** Sequences of proposals that raft has not taken yet, oldest first. */
  #unsubmitted: number[] = [];
  /** Changes of the configuration, oldest first; the first is under way. Applying one twice is refused, so sending it twice does no harm. */
  #changes: PendingChange[] = [];
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
  readonly #receiver: SnapshotReceiver;
  /** A snapshot with its content that raft has not taken up yet. */
  #offered: (ReceivedSnapshot & { readonly done: (error: Error | null) => void }) | null = null;
  #installing = false;
  #installed: ((error: Error | null) => void) | null = null;
  #ended = false;

  constructor(parts: DriverParts, options: DriverOptions, host: DriverHost) {
    this.#parts = parts;
    this.#options = options;
    this.#host = host;
    const status = parts.node.status();
    this.#term = status.hardState.term;
    this.#committedIndex = options.committedIndex;
    this.#appliedIndex = status.applied;
    this.#receiver = new SnapshotReceiver(parts.store, parts.env.log, {
      wants: (index, atTerm) => !this.#ended && index > this.#committedIndex && atTerm >= this.#term,
      step: (message) => this.#step(message),
      deliver: (received, done) => this.#deliverSnapshot(received, done),
    });
    parts.images.onReady(() => {
      parts.node.storageAvailable();
      this.#schedule();
    });
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
    network.onSnapshot((from, bytes, content, done) => this.#receiver.receive(from, bytes, content, done));
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

  /** Queues a change of the configuration that is already among `proposals`. */
  proposeConfChange(sequence: number): void {
    this.#changes.push({ sequence, sentMs: null });
    this.#schedule();
  }

  /** Raft's state: who follows how far, while this member leads. Not for every request: it is copied. */
  status(): Status {
    return this.#parts.node.status();
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
    this.#receiver.close();
    this.#parts.images.close();
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
      const { node, reads, env, storage, images } = this.#parts;
      if (storage.renew()) node.storageAvailable();
      this.#submitProposals();
      this.#submitChange();
      reads.ask(env.monotonicMs(), (context) => node.readIndex(context).accepted);
      do {
        while (!this.#ended && !this.#installing && node.hasReady()) this.#perform(node.ready());
      } while (this.#maybeCampaign());
      images.turned();
      if (storage.exhausted) this.#schedule();
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

  /** One change at a time (thesis §4.1), whoever proposed it: what the leader cannot take now is offered again. */
  #submitChange(): void {
    const { node, proposals, env } = this.#parts;
    for (let change = this.#changes[0]; change !== undefined; change = this.#changes[0]) {
      const data = proposals.dataOf(change.sequence);
      if (data !== null) {
        const nowMs = env.monotonicMs();
        if (change.sentMs !== null && nowMs - change.sentMs < CHANGE_RETRY_MS) return;
        if (!node.proposeConfChange(decodeConfChange(data)).accepted) return;
        change.sentMs = nowMs;
        proposals.submitted(change.sequence);
        return;
      }
      // Applied, or its caller has given up.
      this.#changes.shift();
    }
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
    const step: Step = { sequence: ready.sequence, messages: ready.messagesAfterPersist, durable: false };
    this.#steps.push(step);
    if (ready.hardState !== null) this.#unsavedHardState = ready.hardState;
    if (!ready.mustSync) {
      step.durable = true;
      this.#confirmSteps();
      return;
    }
    if (ready.snapshot === null) this.#append(step, ready.entries, null);
    else this.#install(step, ready.entries, ready.snapshot);
  }

  #append(step: Step, entries: readonly Entry[], snapshot: Snapshot | null): void {
    const { wal, failpoint, env } = this.#parts;
    failpoint('raftBeforeSave');
    this.#appendsUnderWay++;
    const hardState = this.#unsavedHardState;
    this.#unsavedHardState = null;
    const batch = { entries, hardState, mustSync: true, snapshotMarker: snapshot?.meta ?? null };
    const startedMs = env.monotonicMs();
    wal.append(batch, (error) => {
      this.syncSeconds.observe((env.monotonicMs() - startedMs) / 1000);
      this.#saved(step, error, snapshot);
    });
  }

  /** First the state, then the log: until the log begins anew, the old one still fits what the store may be after a crash. */
  #install(step: Step, entries: readonly Entry[], snapshot: Snapshot): void {
    const offered = this.#offered;
    if (offered?.snapshot !== snapshot) throw new Error('raft took up a snapshot without content');
    this.#offered = null;
    this.#installing = true;
    this.#installed = offered.done;
    this.#host.onInstall(snapshot.meta, offered.sink, (error) => {
      if (error !== null) this.#fail(error);
      if (this.#ended) {
        offered.done(error ?? new Error('the member is stopping'));
        return;
      }
      try {
        this.#append(step, entries, snapshot);
      } catch (failure) {
        this.#fail(failure as Error);
      }
    });
  }

  #saved(step: Step, error: WalFailedError | null, snapshot: Snapshot | null): void {
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
      if (snapshot !== null) this.#finishInstall(snapshot.meta);
    } catch (failure) {
      this.#fail(failure as Error);
      return;
    }
    this.#turn();
  }

  #finishInstall(meta: SnapshotMeta): void {
    this.#installing = false;
    this.#committedIndex = Math.max(this.#committedIndex, meta.index);
    this.#host.onInstalled(meta);
    this.applied(meta.index);
    const done = this.#installed;
    this.#installed = null;
    done?.(null);
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
    for (const message of messages) {
      if (message.type === MessageType.snapshot) this.#sendSnapshot(message);
      else this.#parts.network.send(message.to, encodeMessage(message), kindOf(message));
    }
  }

  #sendSnapshot(message: Message): void {
    const { network, images, env } = this.#parts;
    if (images.isSending(message.to)) return;
    const content = message.snapshot === null ? null : images.send(message.snapshot, message.to);
    if (content === null) throw new Error('raft sends a snapshot that was not taken from an image');
    env.log.log('info', 'sending a snapshot', {
      to: message.to.toString(16),
      index: message.snapshot?.meta.index,
    });
    network.sendSnapshot(message.to, encodeMessage(message), content);
  }

  #receive(from: NodeId, bytes: Uint8Array): void {
    if (this.#ended) return;
    try {
      const message = decodeMessage(bytes);
      if (message.from !== from) throw new ProtocolError('message names another sender');
      // Content comes with `onSnapshot` alone.
      if (message.type === MessageType.snapshot) throw new ProtocolError('a snapshot without its content');
      if (message.type === MessageType.propose) this.#host.checkPassedOn?.(message.entries);
      this.#parts.node.step(message);
    } catch (error) {
      this.#blame(from, error as Error);
    }
    this.#schedule();
  }

  #step(message: Message): void {
    if (this.#ended) return;
    try {
      this.#parts.node.step(message);
    } catch (error) {
      this.#blame(message.from, error as Error);
    }
    this.#schedule();
  }

  /** @param error the sender's fault, or else ours */
  #blame(from: NodeId, error: Error): void {
    if (!isPeersFault(error)) {
      this.#fail(error);
      return;
    }
    const { log } = this.#parts.env;
    log.log('warn', 'dropped a message that no correct peer sends', { from: from.toString(16), error });
  }

  /** The content is here and whole: raft decides whether it is news. */
  #deliverSnapshot(received: ReceivedSnapshot, done: (error: Error | null) => void): void {
    if (this.#ended || this.#installing || this.#turning) {
      received.sink.abort();
      done(new Error('the member cannot take a snapshot now'));
      return;
    }
    this.#offered = { ...received, done };
    this.#step(received.message);
    this.#turn();
    if (this.#offered === null) return;
    // It was not: older than what is here, or from a leader of the past.
    this.#offered = null;
    received.sink.abort();
    done(null);
  }

  #report({ to, what }: PeerReport): void {
    if (this.#ended) return;
    const { node, images } = this.#parts;
    if (what === 'unreachable') node.reportUnreachable(to);
    else {
      const outcome = what === 'snapshot-ok' ? 'delivered' : 'failed';
      images.reported(to, outcome);
      node.reportSnapshot(to, outcome);
    }
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

/** Votes, heartbeats and the log travel apart, so that none of them waits behind a larger one. */
function kindOf(message: Message): MessageKind {
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
    default:
      return 'append';
  }
}
