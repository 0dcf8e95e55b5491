/**
 * The log as a layman would write it: a list of states, one after each durable batch. Tests compare with it.
 *
 * After a crash a log must be in one of those states: not before the last acknowledged batch, not after the last
 * appended one, and never between two.
 */
import type { Entry, HardState, SnapshotMeta } from '@quorate/raft';
import type { Random } from '@quorate/testing';
import type { Recovered, Wal, WalBatch } from '../src/wal.ts';

export interface ModelState {
  /** Entry at index i, for `firstIndex <= i <= lastIndex`. */
  readonly entries: ReadonlyMap<number, Entry>;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly hardState: HardState | null;
  readonly snapshot: SnapshotMeta | null;
}

export const EMPTY_STATE: ModelState = {
  entries: new Map(),
  firstIndex: 1,
  lastIndex: 0,
  lastTerm: 0,
  hardState: null,
  snapshot: null,
};

export function applyBatch(state: ModelState, batch: WalBatch): ModelState {
  const entries = new Map(state.entries);
  let { firstIndex, lastIndex, lastTerm } = state;
  const marker = batch.snapshotMarker ?? null;
  if (marker !== null && termAt(state, marker.index) !== marker.term) {
    entries.clear();
    firstIndex = marker.index + 1;
    lastIndex = marker.index;
    lastTerm = marker.term;
  }
  for (const entry of batch.entries) {
    for (let i = entry.index; i <= lastIndex; i++) entries.delete(i);
    entries.set(entry.index, { ...entry, data: entry.data.slice() });
    lastIndex = entry.index;
    lastTerm = entry.term;
  }
  return {
    entries,
    firstIndex,
    lastIndex,
    lastTerm,
    hardState: batch.hardState ?? state.hardState,
    snapshot: marker ?? state.snapshot,
  };
}

function termAt(state: ModelState, index: number): number | undefined {
  if (index === state.snapshot?.index) return state.snapshot.term;
  return state.entries.get(index)?.term;
}

/** A batch that a raft node could ask for next. */
export function randomBatch(
  random: Random,
  state: ModelState,
  committedIndex: number,
  maxDataBytes: number,
): WalBatch {
  const term = state.hardState?.term ?? 1;
  const kind = random.weighted({
    extend: 10,
    replace: 2,
    vote: 1,
    mark: 1,
    restart: 1,
    commit: 2,
    large: 0.3,
  });
  const hardState: HardState = { term, vote: 3n, commit: state.hardState?.commit ?? 0 };
  if (kind === 'vote') {
    return { entries: [], hardState: { ...hardState, term: term + 1, vote: 5n }, mustSync: true };
  }
  if (kind === 'commit') {
    const vote = state.hardState?.vote ?? 3n;
    return { entries: [], hardState: { ...hardState, vote, commit: state.lastIndex }, mustSync: true };
  }
  if (kind === 'restart') {
    const meta = snapshotAt(state.lastIndex + random.between(1, 50), Math.max(term, state.lastTerm));
    return { entries: [], hardState: null, snapshotMarker: meta, mustSync: true };
  }
  if (kind === 'mark' && state.entries.size > 0) {
    const entry = state.entries.get(
      random.between(state.lastIndex - state.entries.size + 1, state.lastIndex),
    );
    if (entry !== undefined) {
      const meta = snapshotAt(entry.index, entry.term);
      return { entries: [], hardState: null, snapshotMarker: meta, mustSync: true };
    }
  }
  // A new leader may replace what is not committed: here, what lies after the snapshot and what was released.
  const floor = Math.max(state.firstIndex, (state.snapshot?.index ?? 0) + 1, committedIndex + 1);
  const replace = kind === 'replace' && floor <= state.lastIndex;
  const first = replace ? random.between(floor, state.lastIndex) : state.lastIndex + 1;
  const newTerm = Math.max(replace ? term + 1 : term, state.lastTerm);
  const count = random.between(1, 5);
  const sizes = kind === 'large' ? maxDataBytes * 20 : maxDataBytes;
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    // Runs of zeros matter: a block of them looks as if it had never been written.
    const data = random.chance(0.3) ? new Uint8Array(random.int(sizes)) : random.bytes(random.int(sizes));
    entries.push({ index: first + i, term: newTerm, type: random.chance(0.1) ? 1 : 0, data });
  }
  return { entries, hardState: replace ? { ...hardState, term: newTerm } : null, mustSync: true };
}

export function snapshotAt(index: number, term: number): SnapshotMeta {
  const conf = {
    voters: [1n, 2n ** 64n - 1n],
    votersOutgoing: [],
    learners: [4n],
    learnersNext: [],
    autoLeave: true,
  };
  return { index, term, conf };
}

/** Everything a reader can see of an open log, in a form that compares and prints. */
export function visibleState(wal: Wal, recovered: Pick<Recovered, 'hardState' | 'snapshot'>): object {
  const first = wal.firstIndex();
  const entries =
    first > wal.lastIndex() ? [] : wal.entries(first, wal.lastIndex() + 1, Number.MAX_SAFE_INTEGER);
  return {
    lastIndex: wal.lastIndex(),
    lastTerm: wal.term(wal.lastIndex()),
    hardState: recovered.hardState,
    snapshot: recovered.snapshot,
    entries: entries.map(describeEntry),
  };
}

/** The same of a model state, beginning with `firstIndex`. */
export function modelVisible(state: ModelState, firstIndex: number): object {
  const entries: string[] = [];
  for (let i = firstIndex; i <= state.lastIndex; i++) {
    const entry = state.entries.get(i);
    entries.push(entry === undefined ? `${i} missing` : describeEntry(entry));
  }
  const { lastIndex, lastTerm, hardState, snapshot } = state;
  return { lastIndex, lastTerm, hardState, snapshot, entries };
}

function describeEntry(entry: Entry): string {
  const hash = Buffer.from(entry.data).toString('base64');
  return `${entry.index} t${entry.term} type${entry.type} ${entry.data.length} ${hash}`;
}
