/** The tail against a plain array: the same entries, bytes and slices after any sequence of operations. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, EntryType } from '../types.ts';
import { Tail } from './tail.ts';

const operation = fc.oneof(
  fc.record({ kind: fc.constant('push' as const), size: fc.nat({ max: 9 }) }),
  fc.record({ kind: fc.constant('push' as const), size: fc.nat({ max: 9 }) }),
  fc.record({ kind: fc.constant('truncate' as const), at: fc.nat({ max: 20 }) }),
  fc.record({
    kind: fc.constant('drop' as const),
    limit: fc.nat({ max: 20 }),
    maxBytes: fc.nat({ max: 30 }),
  }),
  fc.record({ kind: fc.constant('restart' as const), at: fc.integer({ min: 1, max: 20 }) }),
);
const sum = (entries: readonly Entry[]) => entries.reduce((total, entry) => total + entry.data.length, 0);

describe('tail', () => {
  it('behaves like an array', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const tail = new Tail(1);
        let first = 1;
        let model: Entry[] = [];
        for (const each of operations) {
          const next = first + model.length;
          if (each.kind === 'push') {
            const entry = { index: next, term: 1, type: EntryType.normal, data: new Uint8Array(each.size) };
            tail.push(entry);
            model.push(entry);
          } else if (each.kind === 'truncate') {
            const at = first + (each.at % (model.length + 1));
            tail.truncateFrom(at);
            model = model.slice(0, at - first);
          } else if (each.kind === 'drop') {
            tail.dropFront(each.limit, each.maxBytes);
            while (model.length > 0 && first <= each.limit && sum(model) > each.maxBytes) {
              model = model.slice(1);
              first += 1;
            }
          } else {
            tail.restartAt(each.at);
            first = each.at;
            model = [];
          }
          expect([tail.firstIndex, tail.nextIndex, tail.bytes]).toEqual([
            first,
            first + model.length,
            sum(model),
          ]);
          for (let low = first; low < first + model.length; low += 1) {
            expect(tail.at(low)).toBe(model[low - first]);
            expect(tail.bytesAfter(low)).toBe(sum(model.slice(low - first + 1)));
            let count = 1;
            while (
              count < model.length - low + first &&
              sum(model.slice(low - first, low - first + count + 1)) <= 12
            ) {
              count += 1;
            }
            expect(tail.slice(low, tail.nextIndex, 12)).toEqual(
              model.slice(low - first, low - first + count),
            );
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
