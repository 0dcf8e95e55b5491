/** The matcher against the obvious answer: ask every watch. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WatchHub } from './hub.ts';
import { type Interval, IntervalTree } from './interval-tree.ts';
import { Matcher } from './matcher.ts';
import { Watch } from './watch.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'b', '\0', '\xff'), maxLength: 4 });
const high = fc.option(text, { nil: null });

function holds(interval: Interval, key: string): boolean {
  return interval.low <= key && (interval.high === null || key < interval.high);
}

describe('interval tree', () => {
  it('finds what a scan of all intervals finds, through additions and removals', () => {
    const plan = fc.array(fc.record({ low: text, high, remove: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(
        plan,
        fc.array(text, { minLength: 5, maxLength: 5 }),
        fc.infiniteStream(fc.nat(2 ** 30 - 1)),
        (steps, keys, draws) => {
          const tree = new IntervalTree<Interval>(() => draws.next().value!);
          const present = new Map<string, Interval>();
          for (const { low, high: end, remove } of steps) {
            const name = JSON.stringify([low, end]);
            const known = present.get(name);
            if (remove && known !== undefined) {
              tree.delete(known);
              present.delete(name);
            } else if (known === undefined) {
              const interval = { low, high: end };
              tree.add(interval);
              present.set(name, interval);
            }
            expect(tree.size).toBe(present.size);
            for (const key of keys) {
              const hits: Interval[] = [];
              tree.stab(key, hits);
              expect(new Set(hits)).toEqual(
                new Set([...present.values()].filter((each) => holds(each, key))),
              );
              expect(hits).toHaveLength(new Set(hits).size);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('equal priorities are no trouble', () => {
    const tree = new IntervalTree<Interval>(() => 0);
    const intervals = Array.from({ length: 200 }, (_, i) => ({ low: String.fromCharCode(i), high: null }));
    for (const interval of intervals) tree.add(interval);
    const hits: Interval[] = [];
    tree.stab(String.fromCharCode(99), hits);
    expect(hits).toHaveLength(100);
    for (const interval of intervals) tree.delete(interval);
    expect(tree.size).toBe(0);
  });
});

describe('matcher', () => {
  const stream = new WatchHub(
    {
      revision: 1,
      compactRevision: -1,
      readEvents: () => ({ batches: [], next: 2 }),
      getAt: () => null,
    },
    { monotonicMs: () => 0, setTimer: () => ({ cancel() {} }), afterPoll() {}, randomInt: () => 0 },
  ).openStream({ isFull: () => false, onEvents() {}, onProgress() {}, onCompacted() {} });

  function watchOf(key: string, end: string | null): Watch {
    return new Watch(
      stream,
      0,
      {
        id: 0,
        key: Buffer.from(key, 'latin1'),
        end: end === null ? null : Buffer.from(end, 'latin1'),
        startRevision: 0,
        withoutPuts: false,
        withoutDeletes: false,
        withPrevious: false,
        progressNotify: false,
        fragment: false,
      },
      2,
    );
  }

  it('single keys and ranges, many of the same, in and out', () => {
    const plan = fc.array(fc.record({ key: text, end: high, drop: fc.nat(9) }), {
      minLength: 1,
      maxLength: 80,
    });
    fc.assert(
      fc.property(plan, text, (steps, key) => {
        let draw = 1;
        const matcher = new Matcher((bound) => {
          draw = (draw * 48_271) % 2_147_483_647;
          return draw % bound;
        });
        const present: Watch[] = [];
        for (const { key: low, end, drop } of steps) {
          const watch = watchOf(low, end);
          matcher.add(watch);
          present.push(watch);
          if (drop < 4) matcher.delete(present.splice(drop % present.length, 1)[0]!);
        }
        const entries: { watches: Watch[] }[] = [];
        matcher.match(key, entries as never);
        const matched = new Set(entries.flatMap((entry) => entry.watches));
        const expected = present.filter((each) => (each.single ? each.low === key : holds(each, key)));
        expect(matched).toEqual(new Set(expected));
        expect(matcher.size).toBe(present.length);
        const all = new Set<Watch>();
        matcher.forEach((watch) => {
          all.add(watch);
        });
        expect(all).toEqual(new Set(present));
      }),
      { numRuns: 500 },
    );
  });
});
