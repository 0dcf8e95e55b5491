/**
 * What every `Storage` has to do, as a list of cases that any test runner can walk.
 *
 *     for (const { name, run } of STORAGE_CONTRACT) it(name, () => run(makeMyStorage()));
 *
 * Part of `@quorate/raft/testing`.
 */
import { EMPTY_CONF } from './confchange/conf.ts';
import { assert } from './errors.ts';
import { CompactedError, type Storage } from './storage.ts';
import { type Entry, EntryType, type HardState, type Snapshot } from './types.ts';

/** An empty storage of a fresh node, with the writes that its host does for `Ready`. */
export interface StorageUnderTest {
  readonly storage: Storage;
  append(entries: readonly Entry[]): void;
  setHardState(hardState: HardState): void;
  installSnapshot(snapshot: Snapshot): void;
  /** Keeps a snapshot at `index` and drops the entries up to it. */
  compact(index: number): void;
}

export interface StorageContractCase {
  readonly name: string;
  /** @throws when the storage breaks the contract */
  run(subject: StorageUnderTest): void;
}

function entry(index: number, term: number, size = 10): Entry {
  return { index, term, type: EntryType.normal, data: new Uint8Array(size).fill(index) };
}

function snapshotAt(index: number, term: number): Snapshot {
  return { meta: { index, term, conf: { ...EMPTY_CONF, voters: [1n, 2n] } }, data: new Uint8Array([index]) };
}

function indexes(entries: readonly Entry[]): string {
  return entries.map((each) => each.index).join(',');
}

function throwsCompacted(action: () => unknown): boolean {
  try {
    action();
    return false;
  } catch (error) {
    return error instanceof CompactedError;
  }
}

/** The contract of `Storage`, case by case; each gets a fresh subject. */
export const STORAGE_CONTRACT: readonly StorageContractCase[] = [
  {
    name: 'a fresh log is empty: first index 1, last index 0, term 0 at index 0',
    run({ storage }) {
      assert(storage.firstIndex() === 1, 'first index is 1', storage.firstIndex());
      assert(storage.lastIndex() === 0, 'last index is 0', storage.lastIndex());
      assert(storage.term(0) === 0, 'term at 0 is 0', storage.term(0));
      const { hardState } = storage.initialState();
      assert(hardState.term === 0 && hardState.vote === 0n && hardState.commit === 0, 'hard state is blank');
    },
  },
  {
    name: 'a hard state is returned as it was set',
    run({ storage, setHardState }) {
      setHardState({ term: 3, vote: 2n ** 64n - 1n, commit: 0 });
      const { hardState } = storage.initialState();
      assert(hardState.term === 3 && hardState.vote === 2n ** 64n - 1n, 'term and vote survive');
    },
  },
  {
    name: 'entries returns [low, high) with the data that was appended',
    run({ storage, append }) {
      append([entry(1, 1), entry(2, 1), entry(3, 2)]);
      assert(indexes(storage.entries(1, 4, Number.MAX_SAFE_INTEGER)) === '1,2,3', 'all three');
      assert(indexes(storage.entries(2, 3, Number.MAX_SAFE_INTEGER)) === '2', 'the middle one');
      assert(storage.entries(3, 4, 1000)[0]!.data[0] === 3, 'its data');
      assert(storage.term(3) === 2 && storage.term(2) === 1, 'its term');
      assert(storage.lastIndex() === 3, 'last index', storage.lastIndex());
    },
  },
  {
    name: 'entries stops before maxBytes is exceeded, and returns the first entry however large it is',
    run({ storage, append }) {
      append([entry(1, 1, 10), entry(2, 1, 10), entry(3, 1, 10)]);
      assert(indexes(storage.entries(1, 4, 20)) === '1,2', 'two fit exactly');
      assert(indexes(storage.entries(1, 4, 19)) === '1', 'the second does not fit');
      assert(indexes(storage.entries(2, 4, 0)) === '2', 'one is always returned');
    },
  },
  {
    name: 'an append replaces everything from its first index on',
    run({ storage, append }) {
      append([entry(1, 1), entry(2, 1), entry(3, 1)]);
      append([entry(2, 2)]);
      assert(storage.lastIndex() === 2, 'what followed is gone', storage.lastIndex());
      assert(storage.term(2) === 2 && storage.term(1) === 1, 'only what was replaced changed');
    },
  },
  {
    name: 'compaction keeps the term of the last entry it removed',
    run({ storage, append, compact }) {
      append([entry(1, 1), entry(2, 2), entry(3, 3)]);
      compact(2);
      assert(storage.firstIndex() === 3, 'first index', storage.firstIndex());
      assert(storage.term(2) === 2, 'the term before the first index is known');
      assert(
        throwsCompacted(() => storage.term(1)),
        'older terms are compacted',
      );
      assert(
        throwsCompacted(() => storage.entries(2, 4, 1000)),
        'older entries are compacted',
      );
      assert(indexes(storage.entries(3, 4, 1000)) === '3', 'newer entries stay');
    },
  },
  {
    name: 'compaction of everything leaves an empty log that goes on',
    run({ storage, append, compact }) {
      append([entry(1, 1), entry(2, 1)]);
      compact(2);
      assert(storage.firstIndex() === 3 && storage.lastIndex() === 2, 'the log is empty');
      append([entry(3, 1)]);
      assert(storage.lastIndex() === 3, 'and goes on');
    },
  },
  {
    name: 'an installed snapshot replaces the whole log, and its configuration is the initial one',
    run({ storage, append, installSnapshot }) {
      append([entry(1, 1), entry(2, 1)]);
      installSnapshot(snapshotAt(10, 4));
      assert(storage.firstIndex() === 11 && storage.lastIndex() === 10, 'the log starts after it');
      assert(storage.term(10) === 4, 'its term is known');
      assert(
        throwsCompacted(() => storage.term(2)),
        'the old log is gone',
      );
      assert(storage.snapshot().meta.index === 10, 'it can be sent on');
      assert(storage.initialState().conf.voters.length === 2, 'its configuration is in force');
      append([entry(11, 4)]);
      assert(storage.lastIndex() === 11, 'the log goes on after it');
    },
  },
];
