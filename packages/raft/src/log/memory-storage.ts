/**
 * `Storage` in an array: for tests, for examples, and as the readable model of every other implementation.
 *
 * Entry 0 of the array stands for the last entry of the snapshot, so that its term is known.
 */
import { EMPTY_CONF } from '../confchange/conf.ts';
import { assert } from '../errors.ts';
import { CompactedError, type Storage, StorageUnavailableError } from '../storage.ts';
import { type ConfState, type Entry, EntryType, type HardState, NONE, type Snapshot } from '../types.ts';

const NO_DATA = new Uint8Array(0);

/** A log in an array, with the writes that `Ready` asks for (thesis §3.8, §5.1). */
export class MemoryStorage implements Storage {
  #hardState: HardState = { term: 0, vote: NONE, commit: 0 };
  #conf: ConfState;
  #snapshot: Snapshot | null = null;
  /** `#log[0]` has the index and term before `firstIndex`; its data is not kept. */
  #log: Entry[] = [{ index: 0, term: 0, type: EntryType.normal, data: NO_DATA }];

  /** @param conf the configuration the node is bootstrapped with; default: none, it waits to be told by a snapshot */
  constructor(conf: ConfState = EMPTY_CONF) {
    this.#conf = conf;
  }

  initialState(): { hardState: HardState; conf: ConfState } {
    return { hardState: this.#hardState, conf: this.#snapshot?.meta.conf ?? this.#conf };
  }

  entries(low: number, high: number, maxBytes: number): readonly Entry[] {
    const first = this.firstIndex();
    if (low < first) throw new CompactedError(`entry ${low} is compacted`);
    assert(low < high && high <= this.lastIndex() + 1, 'storage: the range exists', low, high);
    const entries: Entry[] = [];
    let bytes = 0;
    for (let index = low; index < high; index += 1) {
      const entry = this.#log[index - first + 1]!;
      bytes += entry.data.byteLength;
      if (entries.length > 0 && bytes > maxBytes) break;
      entries.push(entry);
    }
    return entries;
  }

  term(index: number): number {
    const base = this.#log[0]!.index;
    if (index < base) throw new CompactedError(`entry ${index} is compacted`);
    const entry = this.#log[index - base];
    assert(entry !== undefined, 'storage: the entry exists', index, this.lastIndex());
    return entry.term;
  }

  firstIndex(): number {
    return this.#log[0]!.index + 1;
  }

  lastIndex(): number {
    return this.#log.at(-1)!.index;
  }

  snapshot(): Snapshot {
    if (this.#snapshot === null) throw new StorageUnavailableError('there is no snapshot yet');
    return this.#snapshot;
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState;
  }

  /** Appends entries; those already there at or after the first index are replaced. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index >= this.firstIndex(), 'storage: the compacted part does not change', first.index);
    assert(
      first.index <= this.lastIndex() + 1,
      'storage: entries leave no gap',
      first.index,
      this.lastIndex(),
    );
    this.#log.length = first.index - this.#log[0]!.index;
    this.#log.push(...entries);
  }

  /** Replaces the whole log by a snapshot received from a leader. */
  installSnapshot(snapshot: Snapshot): void {
    const { index, term } = snapshot.meta;
    this.#snapshot = snapshot;
    this.#log = [{ index, term, type: EntryType.normal, data: NO_DATA }];
  }

  /** Keeps a snapshot of the own state machine, to be sent to followers that are too far behind. */
  saveSnapshot(snapshot: Snapshot): void {
    assert(snapshot.meta.index <= this.lastIndex(), 'storage: a snapshot covers entries that exist');
    this.#snapshot = snapshot;
  }

  /** Drops entries up to and including `index`, which a saved snapshot has to cover. */
  compact(index: number): void {
    const base = this.#log[0]!.index;
    if (index <= base) return;
    assert(index <= (this.#snapshot?.meta.index ?? 0), 'storage: a snapshot covers what is compacted', index);
    const { term } = this.#log[index - base]!;
    this.#log = [
      { index, term, type: EntryType.normal, data: NO_DATA },
      ...this.#log.slice(index - base + 1),
    ];
  }
}
