/**
 * Leases by the time they are due: a binary heap whose members know their place.
 *
 * The first is the one to look at next. A renewal moves a lease down, O(log n); a revocation takes one out of the
 * middle. Ties go in no order.
 *
 *   invariant: for every i > 0, leases[(i - 1) >> 1].dueMs <= leases[i].dueMs, and leases[i].heapIndex === i
 */
import { assert } from './assert.ts';
import type { Lease } from './lease.ts';

export class ExpiryHeap {
  #leases: Lease[] = [];

  get size(): number {
    return this.#leases.length;
  }

  /** The one that is due first. */
  get first(): Lease | undefined {
    return this.#leases[0];
  }

  add(lease: Lease): void {
    assert(lease.heapIndex === -1, 'a lease is in the heap once', lease.id);
    this.#leases.push(lease);
    this.#up(lease, this.#leases.length - 1);
  }

  delete(lease: Lease): void {
    const index = lease.heapIndex;
    assert(this.#leases[index] === lease, 'a lease knows its place in the heap', lease.id);
    const last = this.#leases.pop()!;
    lease.heapIndex = -1;
    if (last === lease) return;
    this.#place(last, index);
    this.moved(last);
  }

  /** The lease's due time has changed. */
  moved(lease: Lease): void {
    const parent = this.#leases[(lease.heapIndex - 1) >> 1];
    if (lease.heapIndex > 0 && lease.dueMs < parent!.dueMs) this.#up(lease, lease.heapIndex);
    else this.#down(lease, lease.heapIndex);
  }

  /** Takes in many at once, in place of what was there: O(n). */
  fill(leases: readonly Lease[]): void {
    this.clear();
    this.#leases = [...leases];
    for (const [index, lease] of leases.entries()) lease.heapIndex = index;
    for (let index = (leases.length >> 1) - 1; index >= 0; index--) this.#down(this.#leases[index]!, index);
  }

  clear(): void {
    for (const lease of this.#leases) lease.heapIndex = -1;
    this.#leases = [];
  }

  #up(lease: Lease, from: number): void {
    let index = from;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#leases[parentIndex]!;
      if (parent.dueMs <= lease.dueMs) break;
      this.#place(parent, index);
      index = parentIndex;
    }
    this.#place(lease, index);
  }

  #down(lease: Lease, from: number): void {
    const leases = this.#leases;
    let index = from;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= leases.length) break;
      if (childIndex + 1 < leases.length && leases[childIndex + 1]!.dueMs < leases[childIndex]!.dueMs)
        childIndex += 1;
      const child = leases[childIndex]!;
      if (lease.dueMs <= child.dueMs) break;
      this.#place(child, index);
      index = childIndex;
    }
    this.#place(lease, index);
  }

  #place(lease: Lease, index: number): void {
    this.#leases[index] = lease;
    lease.heapIndex = index;
  }
}
