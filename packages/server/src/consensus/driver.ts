import {
  ConfChangeError,
  type ConfState,
  decodeMessage,
  type Entry,
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
import type { WalFailedError } from '@quorate/wal';
import type { Timer } from '../env.ts';
import { exponentialBuckets, Histogram } from '../histogram.ts';
import type { PeerReport } from '../network.ts';
import { ConfigChanges } from './config-changes.ts';
import type { DriverHost, DriverOptions, DriverParts } from './driver-contract.ts';
import { Gathering } from './gathering.ts';
import { PassedOn } from './passed-on.ts';
import { Sender } from './sender.ts';
import { type ReceivedSnapshot, SnapshotReceiver } from './snapshot-receiver.ts';

/** Something that waits for the log, or for those before it. */
interface Step {
  readonly sequence: number;
  readonly messages: readonly Message[];
  durable: boolean;
}

/** Proposals of one append: enough to amortise a sync, and less than the log's ring takes in one piece. */
const APPEND_BYTES = 4 * 1024 * 1024;
/** Entries of a batch whose turn may end at once: what answers more callers than this is worth a look at the sockets before. */
const FEW_ENTRIES = 8;

export class Driver {
  /** From handing a batch to the log until it is durable: etcd's buckets. */
  readonly syncSeconds = new Histogram(exponentialBuckets(0.001, 2, 14));
  readonly #parts: DriverParts;
  readonly #options: DriverOptions;
  readonly #host: DriverHost;
  /** Sequences of proposals that raft has not taken yet, oldest first. */
  #unsubmitted: number[] = [];
  readonly #passedOn = new PassedOn();
  readonly #gathering: Gathering;
  readonly #changes: ConfigChanges;
  readonly #sender: Sender;
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
    this.#gathering = new Gathering(parts.env, {
      count: () => this.#unsubmitted.length + this.#passedOn.count,
      hasCompany: () => parts.proposals.size + this.#passedOn.count > 1,
      done: () => this.#turn(),
    });
    this.#changes = new ConfigChanges(parts.node, parts.proposals, parts.env);
    this.#sender = new Sender(parts.network, parts.images, parts.env.log);
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

  /** Proposals that wait for a leader, for the append under way, or for others. */
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
    if (this.#appendsUnderWay === 0) this.#gathering.begin();
  }

  /** Queues a change of the configuration that is already among `proposals`. */
  proposeConfChange(sequence: number): void {
    this.#changes.add(sequence);
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
      this.#changes.submit();
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
    if (this.#gathering.isOpen || this.#appendsUnderWay > 0) return;
    for (const message of this.#passedOn.take()) this.#take(message);
    if (this.#unsubmitted.length === 0) return;
    const { node, proposals } = this.#parts;
    const queue = this.#unsubmitted;
    let taken = 0;
    // What goes beyond is the next append: a batch of any size would be in memory four times on its way to the disk.
    for (let bytes = 0; taken < queue.length && bytes < APPEND_BYTES; taken++) {
      const data = proposals.dataOf(queue[taken]!);
      if (data === null) continue; // Its caller has given up.
      // Nobody to take it, or too much under way: all that follows waits as well, in order, until it times out.
      if (!node.propose(data).accepted) break;
      proposals.submitted(queue[taken]!);
      bytes += data.length;
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
      this.#sender.send(ready.messages);
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
    if (ready.snapshot === null) this.#append(step, ready.entries, null, this.#isAllThereIs(ready));
    else this.#install(step, ready.entries, ready.snapshot);
  }

  /**
   * Whether nobody waits for anything but this batch: then this thread may write it itself. A leader's followers wait for their
   * messages, which leave after this turn.
   */
  #isAllThereIs({ entries, messages }: Ready): boolean {
    const { proposals, reads } = this.#parts;
    return messages.length === 0 && proposals.size <= entries.length && reads.size === 0;
  }

  #append(step: Step, entries: readonly Entry[], snapshot: Snapshot | null, mayBlock: boolean): void {
    const { wal, failpoint, env, turnEnd } = this.#parts;
    failpoint('raftBeforeSave');
    this.#appendsUnderWay++;
    const hardState = this.#unsavedHardState;
    this.#unsavedHardState = null;
    const batch = { entries, hardState, mustSync: true, snapshotMarker: snapshot?.meta ?? null, mayBlock };
    const isAlone = mayBlock && entries.length <= FEW_ENTRIES;
    const startedMs = env.monotonicMs();
    wal.append(batch, (error) => {
      this.syncSeconds.observe((env.monotonicMs() - startedMs) / 1000);
      if (isAlone) turnEnd.closeWith(() => this.#saved(step, error, snapshot));
      else this.#saved(step, error, snapshot);
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
        this.#append(step, entries, snapshot, false);
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
        this.#sender.send(step.messages);
      }
      last = step.sequence;
    }
    if (last > 0) this.#parts.node.persisted(last);
  }

  #receive(from: NodeId, bytes: Uint8Array): void {
    if (this.#ended) return;
    try {
      const message = decodeMessage(bytes);
      if (message.from !== from) throw new ProtocolError('message names another sender');
      // Content comes with `onSnapshot` alone.
      if (message.type === MessageType.snapshot) throw new ProtocolError('a snapshot without its content');
      if (message.type === MessageType.propose) {
        this.#host.checkPassedOn?.(message.entries);
        this.#passOn(message);
        return;
      }
      this.#parts.node.step(message);
    } catch (error) {
      this.#blame(from, error as Error);
    }
    this.#schedule();
  }

  #passOn(message: Message): void {
    this.#passedOn.add(message);
    if (this.#passedOn.bytes > APPEND_BYTES) {
      // What raft takes it bounds, and drops beyond.
      for (const one of this.#passedOn.take()) this.#step(one);
    } else if (this.#appendsUnderWay === 0) this.#gathering.begin();
  }

  #step(message: Message): void {
    if (this.#ended) return;
    this.#take(message);
    this.#schedule();
  }

  #take(message: Message): void {
    try {
      this.#parts.node.step(message);
    } catch (error) {
      this.#blame(message.from, error as Error);
    }
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
