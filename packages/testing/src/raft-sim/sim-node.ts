/**
 * One simulated node: the real core, a disk that keeps only what was synced, and a state machine that is a hash.
 *
 * The node performs `Ready` as a good host does: messages leave at once, a persistence step goes to the disk and takes
 * its time, and only when it is durable do `messagesAfterPersist` leave. A crash forgets everything but the disk;
 * of the steps that were under way the disk keeps a random number, whole ones and in order, as the log promises, and
 * often a piece of the next one, which the disk has to recognise as torn when the node starts again (`torn-write.ts`).
 */
import {
  type ConfState,
  EMPTY_CONF,
  type Entry,
  EntryType,
  MemoryStorage,
  type Message,
  MessageType,
  type RawNode,
  type Ready,
  type Snapshot,
} from '@quorate/raft';
import { createMutant, type Rules } from '@quorate/raft/testing';
import type { Random } from '../sim/random.ts';
import type { Moment } from './ambush.ts';
import { MoodyStorage } from './host.ts';
import type { Invariants, Observed } from './invariants.ts';
import { requestOf } from './request.ts';
import type { Schedule } from './schedule.ts';
import { encodeFrame, readFrame, tear } from './torn-write.ts';

/** What a step makes durable. */
interface DiskStep {
  /** Sequence of the `Ready`; 0 for a snapshot of the node's own. */
  readonly sequence: number;
  readonly ready: Ready | null;
  readonly ownSnapshot: { readonly snapshot: Snapshot; readonly compactTo: number } | null;
}

/** What the world does for a node. */
export interface NodeHost {
  readonly now: number;
  readonly invariants: Invariants;
  send(message: Message): void;
  /** Calls `node.diskDone()` after the time the disk takes. */
  scheduleDisk(node: SimNode): void;
  /** Calls `node.applyNext()` after this time. */
  scheduleApply(node: SimNode, delayMs: number): void;
  /** The faults have ended. */
  readonly healed: boolean;
  count(what: string): void;
  /** Something happened that faults may have waited for; links may be cut before this returns. */
  moment(node: SimNode, moment: Moment): void;
  readonly nodes: ReadonlyMap<bigint, SimNode>;
}

export class SimNode implements Observed {
  readonly id: bigint;
  readonly number: number;
  readonly storage: MemoryStorage;
  readonly #host: NodeHost;
  readonly #schedule: Schedule;
  readonly #rules: Partial<Rules>;
  readonly #random: Random;
  readonly #tears: Random;
  readonly #habits: Random;
  readonly #trustsTornWrites: boolean;
  raft: RawNode | null = null;
  /** Rises with each start; events of an earlier life are ignored. */
  life = 0;
  pausedUntil = 0;
  slowUntil = 0;
  slowLatencyMs = 0;
  failNextWrite = false;
  /** The log as handed out to the host: durable part and what is on its way to the disk. Terms by index. */
  #terms = new Map<number, number>();
  #firstIndex = 1;
  #lastIndex = 0;
  #pending: DiskStep[] = [];
  /** What a write that was cut off has left behind the log. */
  #torn: Uint8Array | null = null;
  /** Of the pending steps, how many the sync under way covers. */
  #syncing = 0;
  /** The newest `Ready` that is durable with all before it. */
  #durableTo = 0;
  /** Handed out for application, oldest first. A snapshot waits in its place until it is durable. */
  #toApply: Ready[] = [];
  #applying = false;
  #applied = 0;
  #state = 0;
  /** The state machine as it survives the process. */
  #saved: { applied: number; state: number; conf: ConfState } | null = null;
  #term = 0;
  #commit = 0;
  /** In force: of the newest change applied, or of a snapshot that overtook the state machine. */
  conf: ConfState = EMPTY_CONF;
  /** The state machine's. */
  #stateConf: ConfState = EMPTY_CONF;
  leading = false;
  /** Contexts of reads asked here in this life, with what had been applied anywhere when they were asked. */
  readonly #reads = new Map<bigint, number>();

  constructor(
    host: NodeHost,
    options: {
      id: bigint;
      number: number;
      schedule: Schedule;
      rules: Partial<Rules>;
      random: Random;
      /** Decides where a write is cut off. */
      tears: Random;
      /** Decides how late the host is, and whether its log can be read just now. */
      habits: Random;
      /** A broken disk: it takes a torn write for a whole one. */
      trustsTornWrites: boolean;
      /** Configuration of a first member; null for a node that may join later. */
      bootstrap: ConfState | null;
    },
  ) {
    this.#host = host;
    this.id = options.id;
    this.number = options.number;
    this.#schedule = options.schedule;
    this.#rules = options.rules;
    this.#random = options.random;
    this.#tears = options.tears;
    this.#habits = options.habits;
    this.#trustsTornWrites = options.trustsTornWrites;
    this.storage = new MemoryStorage(EMPTY_CONF);
    if (options.bootstrap !== null) {
      // The first configuration is a snapshot, as if everything before had been compacted: who joins later gets it.
      const meta = { index: 1, term: 1, conf: options.bootstrap };
      this.storage.installSnapshot({ meta, data: new Uint8Array(4) });
      this.storage.setHardState({ term: 1, vote: 0n, commit: 1 });
    }
  }

  get running(): boolean {
    return this.raft !== null;
  }

  get appliedIndex(): number {
    return this.#applied;
  }

  start(): void {
    const { storage } = this;
    if (this.life > 0) this.#host.count('restarts');
    this.#repair();
    this.life++;
    this.#pending = [];
    this.#syncing = 0;
    this.#toApply = [];
    this.#applying = false;
    this.#durableTo = 0;
    this.#reads.clear();
    this.leading = false;
    const base = storage.firstIndex() - 1;
    const snapshot = base > 0 ? storage.snapshot() : null;
    this.#applied = 0;
    this.#state = 0;
    this.#stateConf = storage.initialState().conf;
    if (snapshot !== null) this.#restore(snapshot);
    if (this.#saved !== null && this.#saved.applied > this.#applied) {
      this.#host.count('restarts with a state machine on disk');
      this.#applied = this.#saved.applied;
      this.#state = this.#saved.state;
      this.#stateConf = this.#saved.conf;
    }
    this.conf = this.#stateConf;
    this.#terms = new Map();
    this.#firstIndex = storage.firstIndex();
    this.#lastIndex = storage.lastIndex();
    for (let index = base; index <= this.#lastIndex; index++) this.#terms.set(index, storage.term(index));
    const { hardState } = storage.initialState();
    this.#term = hardState.term;
    this.#commit = 0;
    this.raft = createMutant(
      {
        id: this.id,
        storage: new MoodyStorage(storage, () => this.#refusesToRead()),
        applied: this.#applied,
        conf: this.conf,
        random: (bound) => this.#random.int(bound),
        electionTicks: 10,
        heartbeatTicks: 1,
        ...this.#schedule.raft,
      },
      this.#rules,
    );
    this.perform();
  }

  /** The process dies. Steps that were under way may have reached the disk, in order, whole. @returns whether any was lost */
  crash(): boolean {
    this.raft = null;
    this.leading = false;
    const kept = this.#pending.length === 0 ? 0 : this.#random.int(this.#pending.length + 1);
    for (const step of this.#pending.slice(0, kept)) this.#write(step);
    this.#tear(this.#pending[kept]?.ready ?? null);
    const lost = this.#pending.slice(kept).some((step) => (step.ready?.entries.length ?? 0) > 0);
    this.#pending = [];
    this.life++;
    return lost;
  }

  /** The write of this step was under way. */
  #tear(ready: Ready | null): void {
    if (ready === null || ready.snapshot !== null) return;
    if (ready.entries.length === 0 && ready.hardState === null) return;
    this.#torn = tear(encodeFrame(ready), this.#tears);
    if (this.#torn !== null) this.#host.count('torn last writes');
  }

  /** What was torn was never acknowledged, and is as if it had not been written. */
  #repair(): void {
    const found = this.#torn === null ? null : readFrame(this.#torn, this.#trustsTornWrites);
    this.#torn = null;
    if (found === null) return;
    this.storage.append(found.entries);
    if (found.hardState !== null) this.storage.setHardState(found.hardState);
  }

  /** Whether the log holds a change of the configuration that is not applied here. */
  get changeUnderWay(): boolean {
    const { storage } = this;
    const low = Math.max(this.#applied + 1, storage.firstIndex());
    const high = storage.lastIndex() + 1;
    const durable = low < high ? storage.entries(low, high, Number.POSITIVE_INFINITY) : [];
    const pending = this.#pending.flatMap(({ ready }) => ready?.entries ?? []);
    return [...durable, ...pending].some(({ type }) => type === EntryType.confChange);
  }

  durableTerm(index: number): number | 'snapshot' | undefined {
    const { storage } = this;
    if (index < storage.firstIndex()) return 'snapshot';
    return index <= storage.lastIndex() ? storage.term(index) : undefined;
  }

  /** Takes and performs everything the core has to do. */
  perform(): void {
    const { raft } = this;
    if (raft === null) return;
    for (let rounds = 0; raft.hasReady(); rounds++) {
      if (rounds > 1000) throw new Error('the core always has more to do');
      this.#performOne(raft, raft.ready());
    }
  }

  #performOne(raft: RawNode, ready: Ready): void {
    const { invariants } = this.#host;
    const reigns =
      this.leading &&
      ready.softState === null &&
      (ready.hardState === null || ready.hardState.term === this.#term);
    if (reigns) {
      const changed = ready.snapshot?.meta.index ?? ready.entries[0]?.index;
      if (changed !== undefined) invariants.leaderAppends(this.id, this.#term, changed, this.#lastIndex);
    }
    if (ready.hardState !== null) {
      invariants.monotonic(this.id, 'term', this.#term, ready.hardState.term);
      this.#term = ready.hardState.term;
    }
    if (ready.snapshot !== null) {
      const { index, term } = ready.snapshot.meta;
      this.#terms = new Map([[index, term]]);
      this.#firstIndex = index + 1;
      this.#lastIndex = index;
      this.conf = ready.snapshot.meta.conf;
      this.#host.count('snapshots installed');
    }
    for (const entry of ready.entries) this.#appendToView(entry);
    if (ready.softState !== null) {
      const leads = ready.softState.role === 'leader';
      if (leads && invariants.leader(this.id, this.#term)) {
        this.#host.count('leader changes');
        if (this.conf.votersOutgoing.length > 0) this.#host.count('leaders elected in a joint configuration');
        invariants.leaderLog(this.id, this.#term, this.#firstIndex, (index) => this.#terms.get(index));
      }
      const won = leads && !this.leading;
      this.leading = leads;
      if (won) this.#host.moment(this, 'leads');
    }
    if (
      this.leading &&
      ready.committedEntries.some(({ type, data }) => type === EntryType.confChange && data.length > 0)
    ) {
      this.#host.moment(this, 'reshapes');
    }
    if (ready.hardState !== null && ready.hardState.commit !== this.#commit) {
      invariants.monotonic(this.id, 'commit', this.#commit, ready.hardState.commit);
      this.#commit = ready.hardState.commit;
      if (this.leading && this.#terms.get(this.#commit) === this.#term) {
        invariants.committedByLeader(this.id, this.#commit, this.conf, this.#host.nodes);
      }
    }
    for (const message of ready.messages) this.#host.send(message);
    if (
      ready.hardState !== null ||
      ready.snapshot !== null ||
      ready.entries.length > 0 ||
      ready.messagesAfterPersist.length > 0
    ) {
      this.#toDisk({ sequence: ready.sequence, ready, ownSnapshot: null });
    } else if (this.#pending.length === 0) {
      raft.persisted(ready.sequence);
      this.#durableTo = ready.sequence;
    } else {
      // Nothing to write, but acknowledging it would acknowledge the steps before.
      this.#toDisk({ sequence: ready.sequence, ready, ownSnapshot: null });
    }
    if (ready.snapshot !== null || ready.committedEntries.length > 0) this.#toApply.push(ready);
    this.#applyWhatIsDue();
    for (const { context, index } of ready.readStates) {
      const seen = this.#reads.get(context);
      if (seen === undefined) continue;
      this.#reads.delete(context);
      invariants.readAnswered(this.id, index, seen);
      this.#host.count('reads answered');
    }
  }

  #appendToView(entry: Entry): void {
    for (let index = entry.index; index <= this.#lastIndex; index++) this.#terms.delete(index);
    this.#host.invariants.appended(this.id, entry, this.#terms.get(entry.index - 1));
    this.#terms.set(entry.index, entry.term);
    this.#lastIndex = entry.index;
  }

  /** Applies at once, or plans to. A snapshot is not installed before it is durable, nor anything that comes after it. */
  #applyWhatIsDue(): void {
    const applyMs = this.#schedule.host.applyMs[this.number] ?? 0;
    while (!this.#applying) {
      const [head] = this.#toApply;
      if (head === undefined || (head.snapshot !== null && head.sequence > this.#durableTo)) return;
      if (applyMs === 0) this.#applyHead(head.committedEntries.length);
      else {
        this.#applying = true;
        this.#host.scheduleApply(this, this.#habits.int(applyMs + 1));
      }
    }
  }

  /** The state machine gets to the next of what it was given, or to a part of that. */
  applyNext(): void {
    this.#applying = false;
    const most = this.#toApply[0]?.committedEntries.length ?? 0;
    this.#applyHead(most === 0 ? 0 : 1 + this.#habits.int(most));
    this.#host.count('applied late');
    this.#applyWhatIsDue();
  }

  /** Applies the first of `#toApply`, up to `most` entries of it. */
  #applyHead(most: number): void {
    const { raft } = this;
    const head = this.#toApply.shift();
    if (raft === null || head === undefined) return;
    if (head.snapshot !== null) this.#restore(head.snapshot);
    for (const entry of head.committedEntries.slice(0, most)) this.#apply(raft, entry);
    const left = head.committedEntries.slice(most);
    if (left.length > 0) this.#toApply.unshift({ ...head, snapshot: null, committedEntries: left });
    // A store on disk writes when it likes, but never half an entry.
    if (this.#schedule.host.durableState && this.#habits.chance(0.5)) {
      this.#saved = { applied: this.#applied, state: this.#state, conf: this.#stateConf };
    }
    raft.applied(this.#applied);
  }

  #refusesToRead(): boolean {
    if (this.#host.healed || !this.#habits.chance(this.#schedule.host.unreadable)) return false;
    this.#host.count('reads of storage put off');
    return true;
  }

  #apply(raft: RawNode, entry: Entry): void {
    this.#state = this.#host.invariants.applied(this.id, entry, this.#state, this.#term);
    this.#applied = entry.index;
    const request = requestOf(entry);
    if (request !== null) this.#host.invariants.requested(request, entry.index);
    if (entry.type === EntryType.confChange && entry.data.length > 0) {
      try {
        this.#stateConf = raft.applyConfChange(entry);
        this.#host.count(
          this.#stateConf.votersOutgoing.length > 0 ? 'joint configurations' : 'configuration changes',
        );
        if (entry.index >= this.#firstIndex) this.conf = this.#stateConf;
        else this.#host.count('changes overtaken by a snapshot');
      } catch (error) {
        // Refused the same way by every node.
        if (!(error instanceof Error) || error.name !== 'ConfChangeError') throw error;
        this.#host.count('refused configuration changes');
      }
      this.#host.invariants.configured(this.id, entry.index, this.#stateConf);
    }
    this.#host.count('entries applied');
  }

  #restore(snapshot: Snapshot): void {
    const view = new DataView(snapshot.data.buffer, snapshot.data.byteOffset, snapshot.data.byteLength);
    this.#applied = snapshot.meta.index;
    this.#state = view.getUint32(0);
    this.#stateConf = snapshot.meta.conf;
    this.#host.invariants.installed(this.id, snapshot, this.#state);
  }

  /** Takes a snapshot of the state machine and lets the log before it go, but for `keep` entries. */
  compact(keep: number): void {
    if (this.raft === null || this.#applied <= this.storage.firstIndex() - 1) return;
    if (this.#applied > this.storage.lastIndex()) return; // still on its way to the disk
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, this.#state);
    const term = this.#terms.get(this.#applied);
    if (term === undefined) return;
    const snapshot: Snapshot = { meta: { index: this.#applied, term, conf: this.#stateConf }, data };
    this.#toDisk({ sequence: 0, ready: null, ownSnapshot: { snapshot, compactTo: this.#applied - keep } });
  }

  #toDisk(step: DiskStep): void {
    this.#pending.push(step);
    if (this.#syncing === 0) this.#sync();
  }

  /** Group commit: one sync covers every step that waits when it begins. */
  #sync(): void {
    this.#syncing = this.#pending.length;
    if (this.#syncing > 0) this.#host.scheduleDisk(this);
  }

  /** The sync under way has ended: its steps are durable. */
  diskDone(): void {
    const steps = this.#pending.splice(0, this.#syncing);
    for (const step of steps) this.#write(step);
    this.#sync();
    const last = steps.findLast((step) => step.ready !== null);
    let voted = false;
    for (const { ready } of steps) {
      for (const message of ready?.messagesAfterPersist ?? []) {
        this.#host.send(message);
        voted ||= message.type === MessageType.voteResponse && !message.reject;
      }
    }
    if (voted) this.#host.moment(this, 'voted');
    // Acknowledging a sequence acknowledges all before.
    if (last === undefined) return;
    this.raft?.persisted(last.sequence);
    this.#durableTo = last.sequence;
    this.#applyWhatIsDue();
  }

  #write({ ready, ownSnapshot }: DiskStep): void {
    const { storage } = this;
    if (ownSnapshot !== null) {
      const { snapshot, compactTo } = ownSnapshot;
      if (snapshot.meta.index < storage.firstIndex() || snapshot.meta.index > storage.lastIndex()) return;
      storage.saveSnapshot(snapshot);
      if (compactTo >= storage.firstIndex()) {
        storage.compact(compactTo);
        this.#host.count('compactions');
      }
      return;
    }
    if (ready === null) return;
    if (ready.snapshot !== null) storage.installSnapshot(ready.snapshot);
    storage.append(ready.entries);
    if (ready.hardState !== null) {
      storage.setHardState(ready.hardState);
      this.#host.invariants.durableVote(this.id, ready.hardState.term, ready.hardState.vote);
    }
  }

  read(context: bigint): void {
    if (this.raft === null) return;
    const seen = this.#host.invariants.highestApplied;
    if (this.raft.readIndex(context).accepted) this.#reads.set(context, seen);
  }
}
