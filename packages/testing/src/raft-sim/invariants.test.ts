/**
 * The checker is not blind: one forged history for each invariant, and its lawful twin that passes.
 */
import { EMPTY_CONF, type Entry, EntryType } from '@quorate/raft';
import { describe, expect, it } from 'vitest';
import { Invariants, type Observed } from './invariants.ts';

function entry(index: number, term: number, value = 0): Entry {
  return { index, term, type: EntryType.normal, data: new Uint8Array([value]) };
}

/** Disks that hold an entry of `term` at every index, or nothing. */
function disks(terms: Readonly<Record<number, number>>): ReadonlyMap<bigint, Observed> {
  return new Map(
    [1n, 2n, 3n, 4n, 5n].map((id) => [id, { id, durableTerm: () => terms[Number(id)] }] as const),
  );
}

const trio = { ...EMPTY_CONF, voters: [1n, 2n, 3n] };

/** What is said twice: first so that it holds, then so that it does not. */
const CASES: Readonly<Record<string, { lawful(i: Invariants): void; forged(i: Invariants): void }>> = {
  'election safety': {
    lawful(check) {
      check.leader(1n, 2);
      check.leader(1n, 2);
      check.leader(2n, 3);
    },
    forged: (check) => check.leader(1n, 3),
  },
  'one vote a term': {
    lawful(check) {
      check.durableVote(1n, 2, 3n);
      check.durableVote(1n, 2, 3n);
      check.durableVote(1n, 3, 2n);
    },
    forged: (check) => check.durableVote(1n, 3, 3n),
  },
  'leader append-only': {
    lawful: (check) => check.leaderAppends(1n, 2, 8, 7),
    forged: (check) => check.leaderAppends(1n, 2, 7, 7),
  },
  'log matching': {
    lawful(check) {
      check.appended(1n, entry(7, 2), 1);
      check.appended(2n, entry(7, 2), 1);
      check.appended(2n, entry(7, 3, 9), 1);
    },
    forged: (check) => check.appended(3n, entry(7, 2, 9), 1),
  },
  'committed is durable on a quorum': {
    lawful: (check) => check.committedByLeader(1n, 7, trio, disks({ 1: 2, 3: 2 })),
    forged: (check) => check.committedByLeader(1n, 7, trio, disks({ 1: 2, 3: 1 })),
  },
  'leader completeness': {
    lawful(check) {
      check.applied(1n, entry(2, 2), 0, 2);
      check.leaderLog(2n, 3, 2, () => 2);
    },
    forged: (check) => check.leaderLog(2n, 3, 2, () => undefined),
  },
  'state-machine safety': {
    lawful(check) {
      check.applied(1n, entry(2, 2), 0, 2);
      check.applied(2n, entry(2, 2), 0, 3);
    },
    forged: (check) => check.applied(3n, entry(2, 3), 0, 3),
  },
  'proposed once': {
    lawful(check) {
      check.requested(7, 4);
      check.requested(7, 4);
    },
    forged: (check) => check.requested(7, 5),
  },
  monotonic: {
    lawful: (check) => check.monotonic(1n, 'commit', 4, 4),
    forged: (check) => check.monotonic(1n, 'commit', 4, 3),
  },
  'read index': {
    lawful: (check) => check.readAnswered(1n, 5, 5),
    forged: (check) => check.readAnswered(1n, 4, 5),
  },
  'configuration safety': {
    lawful(check) {
      check.configured(1n, 4, trio);
      check.configured(2n, 4, trio);
    },
    forged: (check) => check.configured(3n, 4, { ...trio, voters: [1n, 2n] }),
  },
};

describe('invariants', () => {
  it.each(Object.entries(CASES))('%s', (invariant, { lawful, forged }) => {
    const check = new Invariants();
    lawful(check);
    expect(() => forged(check)).toThrow(expect.objectContaining({ name: 'Violation', invariant }));
  });

  it('log matching also looks at what stands before', () => {
    const check = new Invariants();
    check.appended(1n, entry(7, 2), 1);
    expect(() => check.appended(2n, entry(7, 2), 2)).toThrow('log matching');
  });

  it('a joint configuration asks for a majority of both halves', () => {
    const joint = { ...trio, votersOutgoing: [3n, 4n, 5n] };
    const check = new Invariants();
    check.committedByLeader(1n, 7, joint, disks({ 1: 2, 3: 2, 4: 2 }));
    expect(() => check.committedByLeader(1n, 7, joint, disks({ 1: 2, 2: 2, 3: 2 }))).toThrow('durable');
  });

  it('a snapshot stands for the state that others reached entry by entry', () => {
    const check = new Invariants();
    const state = check.applied(1n, entry(2, 2), 0, 2);
    const snapshot = { meta: { index: 2, term: 2, conf: trio }, data: new Uint8Array(0) };
    check.installed(2n, snapshot, state);
    expect(() => check.installed(3n, snapshot, state + 1)).toThrow('state-machine safety');
  });
});
