/**
 * The replicated log of one node: what is in storage, what is in memory, and how far each step of its life has come.
 *
 *      firstIndex                                                               lastIndex
 *          |---- storage only ----|------------------ tail, in memory ------------------|
 *                                                                        |-- handed --|-- to hand --|
 *          applied <= applying <= committed            persisted <= handed <= lastIndex
 *
 * - `persisted`: durable here. Storage holds these entries and the same ones.
 * - `handed`: given to the host to persist, which may take its time (thesis §10.2.1).
 * - `applying`: given to the host to apply; never beyond `persisted` or `committed`.
 *
 * The tail keeps entries that are durable and committed only while they fit `maxTailBytes`; what a slow follower or a
 * slow state machine still needs after that is read back from storage. Read next: `persistence.ts`.
 */
import { assert } from '../errors.ts';
import type { Rules } from '../rules.ts';
import { CompactedError, type Storage } from '../storage.ts';
import type { Entry, Snapshot } from '../types.ts';
import { Tail } from './tail.ts';

export interface RaftLogStart {
  readonly storage: Storage;
  readonly rules: Rules;
  readonly commit: number;
  readonly applied: number | undefined;
  readonly maxTailBytes: number;
}

export class RaftLog {
  readonly storage: Storage;
  readonly #rules: Rules;
  readonly #maxTailBytes: number;
  readonly #tail: Tail;
  #committed: number;
  #applied: number;
  #applying: number;
  #persisted: number;
  #handed: number;
  /** A snapshot that replaces the whole log and is not durable yet; storage still holds the old log. */
  #incoming: Snapshot | null = null;

  constructor(start: RaftLogStart) {
    const { storage } = start;
    const base = storage.firstIndex() - 1;
    const last = storage.lastIndex();
    this.storage = storage;
    this.#rules = start.rules;
    this.#maxTailBytes = start.maxTailBytes;
    this.#applied = start.applied ?? base;
    assert(
      this.#applied >= base,
      'log: the state machine is not older than the snapshot',
      this.#applied,
      base,
    );
    this.#applying = this.#applied;
    // The persisted commit index is a hint and may be old; what was applied was committed.
    this.#committed = Math.max(start.commit, this.#applied);
    assert(this.#committed <= last, 'log: committed entries are in storage', this.#committed, last);
    this.#persisted = last;
    this.#handed = last;
    this.#tail = new Tail(last + 1);
  }

  get committed(): number {
    return this.#committed;
  }
  get applied(): number {
    return this.#applied;
  }
  get applying(): number {
    return this.#applying;
  }
  get persisted(): number {
    return this.#persisted;
  }
  get handed(): number {
    return this.#handed;
  }
  get incomingSnapshot(): Snapshot | null {
    return this.#incoming;
  }
  get tailBytes(): number {
    return this.#tail.bytes;
  }
  /** Bytes of entries after the commit index that this process has seen itself. */
  get uncommittedBytes(): number {
    return this.#tail.bytesAfter(this.#committed);
  }

  get firstIndex(): number {
    return this.#incoming === null ? this.storage.firstIndex() : this.#incoming.meta.index + 1;
  }

  get lastIndex(): number {
    return this.#tail.nextIndex - 1;
  }

  get lastTerm(): number {
    return this.term(this.lastIndex);
  }

  /**
   * Term of the entry at `index`, in `[firstIndex - 1, lastIndex]`; 0 for index 0.
   * @throws CompactedError below that range
   */
  term(index: number): number {
    if (index === 0) return 0;
    if (this.#tail.has(index)) return this.#tail.at(index).term;
    assert(index <= this.lastIndex, 'log: a term is asked for an entry that exists', index, this.lastIndex);
    if (this.#incoming !== null) {
      if (index === this.#incoming.meta.index) return this.#incoming.meta.term;
      throw new CompactedError(`entry ${index} is replaced by the snapshot at ${this.#incoming.meta.index}`);
    }
    return this.storage.term(index);
  }

  /** Like `term`, with -1 where the log has nothing to say: beyond its end or compacted. */
  termOrUnknown(index: number): number {
    if (index > this.lastIndex || index < this.firstIndex - 1) return -1;
    return this.term(index);
  }

  /** Whether this log holds the entry that a peer names by `(index, term)`. */
  matches(index: number, term: number): boolean {
    return this.#rules.logMatches(this.termOrUnknown(index), term);
  }

  /** Whether a log that ends in `(index, term)` is at least as complete as this one (thesis §3.6.1). */
  isUpToDate(index: number, term: number): boolean {
    return this.#rules.isUpToDate({ index, term }, { index: this.lastIndex, term: this.lastTerm });
  }

  /**
   * Highest index at or below `index` whose term is at most `term`: where two logs may still agree, so that a whole
   * term is skipped for each refusal (thesis §3.5, end). Terms never fall along the log, so halving finds it.
   *
   *     ours   index 5 6 7 8 9     findConflict(9, term 2) = 6:
   *            term  1 2 4 4 4     nothing of term 4 can match a log that has term 2 at 9
   *
   * @returns `term` 0 when the place is compacted and its term unknown
   */
  findConflict(index: number, term: number): { index: number; term: number } {
    const base = this.firstIndex - 1;
    let low = base;
    let high = Math.min(index, this.lastIndex);
    if (high <= base) return { index: Math.max(high, 0), term: high === base ? this.term(base) : 0 };
    if (this.term(base) > term) return { index: base, term: 0 };
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.term(middle) <= term) low = middle;
      else high = middle - 1;
    }
    return { index: low, term: this.term(low) };
  }

  /** A leader's own entries, at the end of the log. */
  append(entries: readonly Entry[]): void {
    for (const entry of entries) this.#tail.push(entry);
  }

  /**
   * A leader's entries, known to follow an entry that matches. What is already there stays; the first that differs
   * replaces everything from there on (thesis §3.5).
   * @returns the index up to which durable entries became void, or `Infinity` when none did
   */
  appendAfterMatch(entries: readonly Entry[]): number {
    let position = 0;
    if (!this.#rules.replacesMatchingEntries()) {
      while (position < entries.length) {
        const entry = entries[position]!;
        if (this.termOrUnknown(entry.index) !== entry.term) break;
        position += 1;
      }
    }
    const first = entries[position];
    if (first === undefined) return Number.POSITIVE_INFINITY;
    const cut = this.#truncateFrom(first.index);
    for (; position < entries.length; position += 1) this.#tail.push(entries[position]!);
    return cut;
  }

  /** @returns the last index that stays, or `Infinity` when nothing had to go */
  #truncateFrom(index: number): number {
    if (index > this.lastIndex) return Number.POSITIVE_INFINITY;
    assert(this.#rules.mayTruncate(index, this.#committed), 'log: a committed entry never changes', index);
    if (index < this.#tail.firstIndex) this.#tail.restartAt(index);
    else this.#tail.truncateFrom(index);
    this.#handed = Math.min(this.#handed, index - 1);
    this.#persisted = Math.min(this.#persisted, index - 1);
    return index - 1;
  }

  /** Raises the commit index; returns false when that is no news. */
  maybeCommit(index: number): boolean {
    if (index <= this.#committed) return false;
    assert(index <= this.lastIndex, 'log: what is committed exists here', index, this.lastIndex);
    this.#committed = index;
    this.#trim();
    return true;
  }

  /** Replaces the whole log by a snapshot that is ahead of it (thesis §5). */
  restore(snapshot: Snapshot): void {
    assert(
      this.#rules.mayRestore(snapshot.meta.index, this.#committed),
      'log: a snapshot never takes back what is committed',
      snapshot.meta.index,
      this.#committed,
    );
    this.#incoming = snapshot;
    this.#tail.restartAt(snapshot.meta.index + 1);
    this.#committed = snapshot.meta.index;
    this.#handed = snapshot.meta.index;
    this.#persisted = 0;
    // Nothing older may be handed out any more; the host reports the snapshot as applied like entries.
    this.#applying = snapshot.meta.index;
  }

  /** Entries the host has not been given to persist yet; they count as handed out from now on. */
  takeUnpersisted(): readonly Entry[] {
    const low = this.#handed + 1;
    if (low > this.lastIndex) return [];
    this.#handed = this.lastIndex;
    return this.#tail.slice(low, this.lastIndex + 1, Number.POSITIVE_INFINITY);
  }

  get hasUnpersisted(): boolean {
    return this.#handed < this.lastIndex;
  }

  /** Entries up to `index` are durable; `snapshot` too when one was part of the step. */
  persistedTo(index: number, snapshot: Snapshot | null): void {
    if (snapshot !== null && snapshot === this.#incoming) {
      assert(
        this.storage.firstIndex() > snapshot.meta.index,
        'log: a durable snapshot starts the log in storage',
        this.storage.firstIndex(),
        snapshot.meta.index,
      );
      this.#incoming = null;
    }
    if (index > this.#persisted) this.#persisted = index;
    assert(this.#persisted <= this.#handed, 'log: only what was handed out becomes durable', this.#persisted);
    this.#trim();
  }

  /** Last index that may be handed out for application now. */
  get appliable(): number {
    return Math.min(this.#committed, this.#persisted);
  }

  /**
   * Entries to apply next; they count as handed out from now on.
   * @throws StorageUnavailableError when they have to be read and cannot be, just now
   */
  takeCommitted(maxBytes: number): readonly Entry[] {
    const low = this.#applying + 1;
    const high = this.appliable + 1;
    if (low >= high) return [];
    const entries = this.read(low, high, maxBytes);
    this.#applying = entries[entries.length - 1]!.index;
    return entries;
  }

  appliedTo(index: number): void {
    assert(index >= this.#applied, 'log: the applied index never falls', index, this.#applied);
    assert(index <= this.#applying, 'log: only what was handed out is applied', index, this.#applying);
    this.#applied = index;
  }

  /**
   * Entries in `[low, high)`, at least one, no more than `maxBytes` unless the first is larger. May stop early where
   * storage ends and memory begins.
   * @throws CompactedError, StorageUnavailableError
   */
  read(low: number, high: number, maxBytes: number): readonly Entry[] {
    if (low >= this.#tail.firstIndex) return this.#tail.slice(low, high, maxBytes);
    if (low < this.firstIndex) throw new CompactedError(`entry ${low} is compacted`);
    const entries = this.storage.entries(low, Math.min(high, this.#tail.firstIndex), maxBytes);
    assert(entries[0]?.index === low, 'storage: entries returns at least the first entry asked for', low);
    return entries;
  }

  /** Lets go of memory that storage can replace. */
  #trim(): void {
    if (this.#tail.bytes > this.#maxTailBytes) {
      this.#tail.dropFront(Math.min(this.#persisted, this.#committed), this.#maxTailBytes);
    }
  }
}
