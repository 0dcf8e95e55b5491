/**
 * `RaftDriver`: a small host for `RawNode`, for those who do not need to write their own.
 *
 * It batches everything proposed in one turn of the event loop, writes the log while messages travel, applies
 * committed entries, and turns proposals and reads into promises. Time is the caller's: `tick()` at a steady rate.
 *
 *     const driver = new RaftDriver({ node: { id: 1n, random }, storage, transport, machine });
 *     setInterval(() => driver.tick(), 100);
 *     onMessage((bytes) => driver.receive(decodeMessage(bytes)));
 *     const result = await driver.propose(data);      applied here, and committed on a quorum
 *     await driver.read();                            the state machine may now be read, linearizably
 */

import { decodeConfChange } from '../confchange/codec.ts';
import type { ConfChange } from '../confchange/types.ts';
import type { RaftConfig } from '../config.ts';
import { ConfChangeError, ProtocolError } from '../errors.ts';
import { type Message, MessageType } from '../message.ts';
import { RawNode } from '../raw-node.ts';
import type { Ready } from '../ready.ts';
import type { ProposeResult, TransferResult } from '../results.ts';
import type { Status } from '../status.ts';
import { StorageUnavailableError } from '../storage.ts';
import { type ConfState, type Entry, EntryType, type NodeId, type Snapshot } from '../types.ts';
import {
  DriverError,
  type DriverErrorCode,
  type DriverStorage,
  type StateMachine,
  type Transport,
} from './contracts.ts';
import { idOf, TAG_BYTES, tag } from './tag.ts';
import { Waiting } from './waiting.ts';

/** What a driver is told when it is made (thesis §3.9, §5). */
export interface DriverConfig<Result> {
  /** See `RaftConfig`; storage and starting point come from the driver. */
  readonly node: Omit<RaftConfig, 'storage' | 'applied' | 'conf'>;
  readonly storage: DriverStorage;
  readonly transport: Transport;
  readonly machine: StateMachine<Result>;
  /** Applied entries after which the driver keeps a snapshot and compacts the log. Default 10,000. */
  readonly snapshotEvery?: number;
  /** Entries kept before a snapshot for followers that are a little behind. Default 1,000. */
  readonly keepEntries?: number;
  /** Ticks after which a promise without outcome is rejected with `TIMEOUT`. Default 50. */
  readonly timeoutTicks?: number;
}

/**
 * One node with its log, its network and its state machine (thesis §2.1). The sections of what it is asked for stand with
 * `RawNode`. Requests end in promises, which are settled by what is applied (§6.3) or by a deadline in ticks.
 */
export class RaftDriver<Result> {
  readonly #config: DriverConfig<Result>;
  readonly #node: RawNode;
  readonly #proposals: Waiting<Result>;
  readonly #changes: Waiting<ConfState>;
  readonly #reads: Waiting<void>;
  /** Reads whose index is known and not applied yet. */
  #confirmed: { context: bigint; index: number }[] = [];
  readonly #nonce: number;
  #counter = 0;
  #applied: number;
  #snapshotAt: number;
  #conf: ConfState;
  #turnPlanned = false;
  #writes: Promise<void> = Promise.resolve();
  #stopped: DriverError | null = null;

  constructor(config: DriverConfig<Result>) {
    this.#config = config;
    const { storage, machine, node } = config;
    // The newest snapshot may be newer than the beginning of the log: entries before it are kept for slow followers.
    const snapshot = newestSnapshot(storage);
    if (snapshot !== null) machine.restore(snapshot.data);
    this.#conf = snapshot?.meta.conf ?? storage.initialState().conf;
    this.#applied = snapshot?.meta.index ?? 0;
    this.#snapshotAt = this.#applied;
    this.#nonce = node.random(2 ** 32);
    const timeoutTicks = config.timeoutTicks ?? 50;
    this.#proposals = new Waiting(timeoutTicks);
    this.#changes = new Waiting(timeoutTicks);
    this.#reads = new Waiting(timeoutTicks);
    this.#node = new RawNode({ ...node, storage, applied: this.#applied, conf: this.#conf });
  }

  /** Time passes by one tick (thesis §3.9). */
  tick(): void {
    this.#happen(() => {
      this.#node.tick();
      this.#proposals.tick();
      this.#changes.tick();
      this.#reads.tick();
    });
  }

  /** A message from a peer (thesis §3.3). What no correct peer sends is dropped. */
  receive(message: Message): void {
    this.#happen(() => {
      try {
        this.#node.step(message);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    });
  }

  /**
   * Replicates `data` and applies it (thesis §3.5, §6.2).
   * @returns what this node's state machine returned for it
   * @throws DriverError
   */
  propose(data: Uint8Array): Promise<Result> {
    return this.#submit(this.#proposals, (id) => this.#node.propose(tag(this.#config.node.id, id, data)));
  }

  /**
   * Changes who is in the cluster (thesis chapter 4).
   * @returns the configuration after the change was applied here
   * @throws DriverError
   */
  changeMembers(change: Omit<ConfChange, 'context'>): Promise<ConfState> {
    return this.#submit(this.#changes, (id) =>
      this.#node.proposeConfChange({ ...change, context: tag(this.#config.node.id, id, new Uint8Array(0)) }),
    );
  }

  /** Resolves when the state machine holds everything that was committed before the call (thesis §6.4). @throws DriverError */
  read(): Promise<void> {
    if (this.#stopped !== null) return Promise.reject(this.#stopped);
    const context = this.#nextId();
    const result = this.#node.readIndex(context);
    if (!result.accepted) {
      const code = result.reason === 'no-leader' ? 'UNAVAILABLE' : 'OVERLOADED';
      return Promise.reject(new DriverError(code, `the read was dropped: ${result.reason}`));
    }
    this.#plan();
    return this.#reads.add(context);
  }

  /** Hands leadership to `to` (thesis §3.10); see `RawNode.transferLeadership`. */
  transferLeadership(to: NodeId): TransferResult {
    const result = this.#node.transferLeadership(to);
    this.#plan();
    return result;
  }

  /** Messages to `id` are being lost (thesis §10.2.1). */
  reportUnreachable(id: NodeId): void {
    this.#happen(() => this.#node.reportUnreachable(id));
  }

  /** Entries that storage reported as unavailable can be read now (thesis §5). */
  storageAvailable(): void {
    this.#happen(() => this.#node.storageAvailable());
  }

  /** Starts an election now, if this node may (thesis §3.4). */
  campaign(): void {
    this.#happen(() => this.#node.campaign());
  }

  /** A copy of what the node knows of itself and of the others (thesis figure 3.1). */
  status(): Status {
    return this.#node.status();
  }

  /** Why the driver stopped, once it has; `cause` is the failure (thesis §3.8: a node that cannot persist must stop). */
  get stopped(): DriverError | null {
    return this.#stopped;
  }

  /** Stops for good, as in a crash (thesis §3.8). Promises that wait are rejected; a write under way is not interrupted. */
  stop(): void {
    this.#end(new DriverError('STOPPED', 'the driver was stopped'));
  }

  /** Tells the node something. What it does not survive ends the driver, and is not the caller's to handle. */
  #happen(tell: () => void): void {
    if (this.#stopped !== null) return;
    try {
      tell();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#plan();
  }

  #submit<Value>(waiting: Waiting<Value>, offer: (id: bigint) => ProposeResult): Promise<Value> {
    if (this.#stopped !== null) return Promise.reject(this.#stopped);
    const id = this.#nextId();
    const result = offer(id);
    this.#plan();
    if (result.accepted) return waiting.add(id);
    return Promise.reject(new DriverError(codeOf(result.reason), `dropped: ${result.reason}`));
  }

  /** Unique also across restarts, as far as 32 random bits go. */
  #nextId(): bigint {
    this.#counter += 1;
    return (BigInt(this.#nonce) << 32n) | BigInt(this.#counter >>> 0);
  }

  /** One turn for everything that happens in this turn of the event loop. */
  #plan(): void {
    if (this.#turnPlanned || this.#stopped !== null) return;
    this.#turnPlanned = true;
    void Promise.resolve().then(() => {
      this.#turnPlanned = false;
      try {
        while (this.#stopped === null && this.#node.hasReady()) this.#perform(this.#node.ready());
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  #perform(ready: Ready): void {
    for (const message of ready.messages) this.#send(message);
    this.#writes = this.#writes.then(() => this.#persist(ready)).catch((error: unknown) => this.#fail(error));
    for (const entry of ready.committedEntries) this.#apply(entry);
    this.#confirmed.push(...ready.readStates);
    for (const context of ready.droppedReads) {
      this.#reads.reject(context, new DriverError('UNAVAILABLE', 'leadership moved; read again'));
    }
    if (ready.committedEntries.length > 0) this.#appliedUpTo(this.#applied);
    this.#serveReads();
  }

  async #persist(ready: Ready): Promise<void> {
    if (this.#stopped !== null) return;
    if (ready.snapshot !== null || ready.entries.length > 0 || ready.hardState !== null) {
      await this.#config.storage.save(ready);
    }
    if (this.#stopped !== null) return;
    for (const message of ready.messagesAfterPersist) this.#send(message);
    this.#node.persisted(ready.sequence);
    if (ready.snapshot !== null) this.#install(ready.snapshot);
    this.#plan();
  }

  #send(message: Message): void {
    if (message.type !== MessageType.snapshot) {
      this.#config.transport.send(message);
      return;
    }
    const report = (outcome: 'delivered' | 'failed') =>
      this.#happen(() => this.#node.reportSnapshot(message.to, outcome));
    this.#config.transport.sendSnapshot(message).then(
      () => report('delivered'),
      () => report('failed'),
    );
  }

  #apply(entry: Entry): void {
    this.#applied = entry.index;
    if (entry.type === EntryType.confChange) {
      this.#applyChange(entry);
    } else if (entry.data.byteLength >= TAG_BYTES) {
      const result = this.#config.machine.apply(entry.data.subarray(TAG_BYTES));
      const id = idOf(entry.data, this.#config.node.id);
      if (id !== null) this.#proposals.resolve(id, result);
    }
  }

  #applyChange(entry: Entry): void {
    const { context } = decodeConfChange(entry.data);
    const id = idOf(context, this.#config.node.id);
    try {
      this.#conf = this.#node.applyConfChange(entry);
      if (id !== null) this.#changes.resolve(id, this.#conf);
    } catch (error) {
      if (!(error instanceof ConfChangeError)) throw error;
      if (id !== null) this.#changes.reject(id, new DriverError('INVALID', error.message));
    }
  }

  #install(snapshot: Snapshot): void {
    this.#config.machine.restore(snapshot.data);
    this.#conf = snapshot.meta.conf;
    this.#applied = snapshot.meta.index;
    this.#snapshotAt = this.#applied;
    this.#node.applied(this.#applied);
    this.#serveReads();
  }

  #appliedUpTo(index: number): void {
    this.#node.applied(index);
    const { storage, machine, snapshotEvery = 10_000, keepEntries = 1_000 } = this.#config;
    if (index - this.#snapshotAt < snapshotEvery) return;
    this.#snapshotAt = index;
    const meta = { index, term: storage.term(index), conf: this.#conf };
    storage.keepSnapshot({ meta, data: machine.snapshot() }, Math.max(0, index - keepEntries));
  }

  #serveReads(): void {
    if (this.#confirmed.length === 0) return;
    const waiting = this.#confirmed.filter((read) => read.index > this.#applied);
    for (const read of this.#confirmed)
      if (read.index <= this.#applied) this.#reads.resolve(read.context, undefined);
    this.#confirmed = waiting;
  }

  /** A failed write or a broken promise is final: what this node has said may no longer be true. */
  #fail(error: unknown): void {
    this.#end(new DriverError('STOPPED', 'the driver failed', error));
  }

  #end(error: DriverError): void {
    if (this.#stopped !== null) return;
    this.#stopped = error;
    this.#proposals.rejectAll(error);
    this.#changes.rejectAll(error);
    this.#reads.rejectAll(error);
  }
}

function newestSnapshot(storage: DriverStorage): Snapshot | null {
  try {
    return storage.snapshot();
  } catch (error) {
    // There was none yet, unless the log begins after one.
    if (error instanceof StorageUnavailableError && storage.firstIndex() === 1) return null;
    throw error;
  }
}

function codeOf(reason: string): DriverErrorCode {
  if (reason === 'too-many-uncommitted') return 'OVERLOADED';
  return reason === 'conf-change-invalid' ? 'INVALID' : 'UNAVAILABLE';
}
