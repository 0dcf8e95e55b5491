/**
 * Physical removal as stories: a history, a compaction, what is left of `log` and `graves`.
 *
 * Written as data so that each case can be read and argued with. `5=a` puts a at revision 5, `5-a` deletes it; `6=a,6-a` does both in one revision.
 */
import { describe, expect, test } from 'vitest';
import { memoryBackend } from './backend/memory.ts';
import { EMPTY } from './bytes.ts';
import { emptyRecordHeader, readRecordHeader } from './log-record.ts';
import { readMain, readSub } from './revision.ts';
import { type MvccStore, openStore } from './store.ts';

const CASES: { why: string; history: string; steps: [compact: number, log: string, graves: string][] }[] = [
  {
    why: 'the drawing of removal.ts: predecessors below C die, a tombstone at C waits for the next compaction',
    history: '2=a 3=b 4=a 5=b 6=b 7-a 8=b 9=a',
    steps: [
      [5, '4a 5b 6b 7-a 8b 9a', ''],
      [7, '6b 7-a 8b 9a', ''],
      [8, '8b 9a', ''],
    ],
  },
  {
    why: 'a key that stays deleted leaves log and graves one compaction after its tombstone passes',
    history: '2=a 3=b 4-a 5=b',
    steps: [
      [4, '3b 4-a 5b', 'a'],
      [5, '5b', ''],
    ],
  },
  {
    why: 'a key written twice in one revision at C: all of that revision stays, for a watch that starts there',
    history: '2=a 3=a,3-a 4=b',
    steps: [
      [3, '3a 3-a 4b', 'a'],
      [4, '4b', ''],
    ],
  },
  {
    why: 'compacting at the newest revision keeps what is alive',
    history: '2=a 3=a 4=b',
    steps: [[4, '3a 4b', '']],
  },
  {
    why: 'a deletion after C protects what lies below: readable from C up to the deletion',
    history: '2=a 3=b 4-a',
    steps: [[3, '2a 3b 4-a', 'a']],
  },
  {
    why: 'a key born again is two lives: the first dies with its tombstone, the second stands',
    history: '2=a 3-a 4=a 5-a 6=a 7=b',
    steps: [
      [4, '4a 5-a 6a 7b', ''],
      [7, '6a 7b', ''],
    ],
  },
];

class Turns {
  readonly queue: (() => void)[] = [];
  settle(until: () => boolean): void {
    for (let i = 0; i < 10_000 && !until(); i++) this.queue.shift()?.();
    expect(until()).toBe(true);
  }
}

function apply(store: MvccStore, revision: string): void {
  const transaction = store.begin(store.appliedIndex + 1, 1);
  for (const change of revision.split(',')) {
    const [, main, what, key] = /^(\d+)([=-])(.+)$/.exec(change)!;
    expect(transaction.revision).toBe(Number(main));
    if (what === '=') transaction.put(Buffer.from(key!), Buffer.from('v'), 0n);
    else transaction.deleteRange({ key: Buffer.from(key!), end: null });
  }
  transaction.commit();
}

describe('case-03 what compaction removes', () => {
  for (const { why, history, steps } of CASES) {
    for (const [sliceRecords, passRecords] of [
      [1, 1],
      [1, 3],
      [2, 5],
      [100, 100],
    ] as const) {
      test(`${why} (slices of ${sliceRecords}, passes of ${passRecords})`, () => {
        const turns = new Turns();
        const backend = memoryBackend();
        const store = openStore({
          storage: { backend },
          monotonicMs: () => 0,
          afterPoll: (callback) => turns.queue.push(callback),
          limits: { removeSliceRecords: sliceRecords, removePassRecords: passRecords },
        });
        for (const revision of history.split(' ')) apply(store, revision);
        for (const [compact, log, graves] of steps) {
          const transaction = store.begin(store.appliedIndex + 1, 1);
          transaction.compact(compact);
          transaction.commit();
          let finished = false;
          store.whenCompacted(compact, () => {
            finished = true;
          });
          turns.settle(() => finished);
          expect([compact, logOf(backend), gravesOf(backend)]).toEqual([compact, log, graves]);
        }
      });
    }
  }
});

function logOf(backend: ReturnType<typeof memoryBackend>): string {
  const records: string[] = [];
  const header = emptyRecordHeader();
  backend.openReader().scan('log', { low: EMPTY, high: null }, (revision, value) => {
    readRecordHeader(value, 0, header);
    const key = Buffer.from(value).toString('latin1', header.keyValueStart + 2, header.keyValueStart + 3);
    expect(readSub(revision, 0)).toBeLessThan(2);
    records.push(`${readMain(revision, 0)}${header.tombstone ? '-' : ''}${key}`);
    return true;
  });
  return records.join(' ');
}

function gravesOf(backend: ReturnType<typeof memoryBackend>): string {
  const keys: string[] = [];
  backend.openReader().scan('graves', { low: EMPTY, high: null }, (key) => {
    keys.push(Buffer.from(key).toString());
    return true;
  });
  return keys.join(' ');
}
