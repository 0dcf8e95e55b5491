import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExpiryHeap } from './expiry-heap.ts';
import { Lease } from './lease.ts';

describe('expiry heap', () => {
  it('gives the earliest first, through additions, changes and removals, as a sorted list would', () => {
    const plan = fc.array(
      fc.record({
        action: fc.constantFrom('add', 'move', 'delete', 'pop'),
        which: fc.nat(40),
        dueMs: fc.nat(50),
      }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(plan, fc.array(fc.nat(50), { maxLength: 30 }), (steps, initial) => {
        const heap = new ExpiryHeap();
        const present: Lease[] = initial.map((dueMs, index) => {
          const lease = new Lease(BigInt(index), 1);
          lease.dueMs = dueMs;
          return lease;
        });
        heap.fill(present);
        for (const { action, which, dueMs } of steps) {
          const lease = present[which % Math.max(1, present.length)];
          if (action === 'add') {
            const added = new Lease(1n, 1);
            added.dueMs = dueMs;
            heap.add(added);
            present.push(added);
          } else if (lease !== undefined && action === 'move') {
            lease.dueMs = dueMs;
            heap.moved(lease);
          } else if (lease !== undefined) {
            const gone = action === 'pop' ? heap.first! : lease;
            heap.delete(gone);
            expect(gone.heapIndex).toBe(-1);
            present.splice(present.indexOf(gone), 1);
          }
          expect(heap.size).toBe(present.length);
          expect(heap.first?.dueMs).toBe(
            present.length === 0 ? undefined : Math.min(...present.map((each) => each.dueMs)),
          );
        }
      }),
      { numRuns: 300 },
    );
  });
});
