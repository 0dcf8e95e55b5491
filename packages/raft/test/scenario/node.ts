/**
 * One node of a scenario: a `RawNode` with a disk that can be slow, a state machine that is a list, and crashes.
 */
import {
  ConfChangeError,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  MemoryStorage,
  type Message,
  type RaftConfig,
  type RawNode,
  type Ready,
  type Snapshot,
  StorageUnavailableError,
} from '@quorate/raft';
import { createMutant, EMPTY_CONF, type Rules } from '@quorate/raft/testing';

/** Storage that can be told to be slow to read. */
class SlowStorage extends MemoryStorage {
  readable = true;

  override entries(low: number, high: number, maxBytes: number): readonly Entry[] {
    if (!this.readable) throw new StorageUnavailableError('the entries are being read');
    return super.entries(low, high, maxBytes);
  }
}

export type Options = Partial<Omit<RaftConfig, 'id' | 'storage' | 'random' | 'applied' | 'conf'>>;

export class ScenarioNode {
  readonly id: bigint;
  readonly storage: SlowStorage;
  readonly #options: Options;
  readonly #rules: Partial<Rules>;
  raw: RawNode;
  /** Data of applied normal entries, and the configuration as of then: the state machine. */
  applied: string[] = [];
  appliedIndex = 0;
  conf: ConfState;
  /** Steps handed out and not on disk yet, oldest first. */
  writing: Ready[] = [];
  /** Reads answered, for later checks. */
  answered: { context: bigint; index: number }[] = [];
  jitter: number[] = [];
  /** A slow state machine: what is handed out waits here until told. */
  applyLater: Ready[] | null = null;
  #lives = 0;
  running = true;
  /** Durable hard state, for checks. */
  durable: HardState = { term: 0, vote: 0n, commit: 0 };

  constructor(id: bigint, conf: ConfState, options: Options, rules: Partial<Rules>) {
    this.id = id;
    this.conf = conf;
    this.storage = new SlowStorage(conf);
    this.#options = options;
    this.#rules = rules;
    this.raw = this.#start();
  }

  #start(): RawNode {
    this.#lives += 1;
    return createMutant(
      {
        ...this.#options,
        id: this.id,
        storage: this.storage,
        applied: this.appliedIndex,
        conf: this.conf,
        random: (bound) =>
          bound === 2 ** 32 ? this.#lives : (this.jitter.shift() ?? Number(this.id - 1n) % bound),
      },
      this.#rules,
    );
  }

  /** Writes a log as it might have been left by an earlier life; the node starts from it. */
  preset(entries: readonly Entry[], hardState: HardState): void {
    this.storage.append(entries);
    this.storage.setHardState(hardState);
    this.durable = hardState;
    this.raw = this.#start();
  }

  /** Loses what is not on disk. The state machine survives as of its applied index, as a store on disk would. */
  crash(): void {
    this.running = false;
    this.writing = [];
    this.applyLater = null;
  }

  restart(): void {
    this.running = true;
    this.raw = this.#start();
  }

  /** Takes a `Ready`; persists at once unless the disk is slow. Returns messages that may leave now. */
  takeReady(slowDisk: boolean): { ready: Ready; out: Message[] } {
    const ready = this.raw.ready();
    const out = [...ready.messages];
    this.writing.push(ready);
    if (!slowDisk) while (this.writing.length > 0) out.push(...this.finishWrite());
    this.answered.push(...ready.readStates);
    if (ready.snapshot === null || !slowDisk) this.apply(ready);
    return { ready, out };
  }

  /** The oldest write reaches the disk. Returns messages that waited for it. */
  finishWrite(): readonly Message[] {
    const ready = this.writing.shift();
    if (ready === undefined) throw new Error('no write is under way');
    if (ready.snapshot !== null) this.storage.installSnapshot(ready.snapshot);
    this.storage.append(ready.entries);
    if (ready.hardState !== null) {
      this.storage.setHardState(ready.hardState);
      this.durable = ready.hardState;
    }
    this.raw.persisted(ready.sequence);
    if (ready.snapshot !== null && this.appliedIndex < ready.snapshot.meta.index) this.apply(ready);
    return ready.messagesAfterPersist;
  }

  apply(ready: Ready): void {
    if (this.applyLater !== null) {
      this.applyLater.push(ready);
      return;
    }
    if (ready.snapshot !== null) this.#install(ready.snapshot);
    for (const entry of ready.committedEntries) {
      if (entry.type === EntryType.confChange) this.#applyConf(entry);
      else if (entry.data.length > 0) this.applied.push(String.fromCharCode(...entry.data));
      this.appliedIndex = entry.index;
    }
    if (ready.snapshot !== null || ready.committedEntries.length > 0) this.raw.applied(this.appliedIndex);
  }

  #applyConf(entry: Entry): void {
    try {
      this.conf = this.raw.applyConfChange(entry);
    } catch (error) {
      if (!(error instanceof ConfChangeError)) throw error;
    }
  }

  #install(snapshot: Snapshot): void {
    this.applied = JSON.parse(new TextDecoder().decode(snapshot.data)) as string[];
    this.conf = snapshot.meta.conf;
    this.appliedIndex = snapshot.meta.index;
  }

  /** Makes a snapshot at the applied index and drops the log up to `index`. */
  compact(index: number): void {
    this.storage.saveSnapshot({
      meta: { index: this.appliedIndex, term: this.storage.term(this.appliedIndex), conf: this.conf },
      data: new TextEncoder().encode(JSON.stringify(this.applied)),
    });
    this.storage.compact(index);
  }

  /** Terms of the durable log, compacted ones as `.`. */
  durableTerms(): (number | null)[] {
    const terms: (number | null)[] = [];
    for (let index = 1; index <= this.storage.lastIndex(); index += 1) {
      terms.push(index < this.storage.firstIndex() - 1 ? null : this.storage.term(index));
    }
    return terms;
  }
}

export const NOBODY = EMPTY_CONF;
