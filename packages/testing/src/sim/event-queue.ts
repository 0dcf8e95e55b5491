/**
 * Events in order of virtual time; equal times in the order in which they were added, so that a run is a function of
 * its seed alone. A binary heap.
 */
interface Scheduled<E> {
  readonly at: number;
  readonly sequence: number;
  readonly event: E;
}

export class EventQueue<E> {
  readonly #heap: Scheduled<E>[] = [];
  #sequence = 0;
  #now = 0;

  /** Time of the event taken last. */
  get now(): number {
    return this.#now;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** @param at not before `now`; earlier times count as now */
  add(at: number, event: E): void {
    const heap = this.#heap;
    const item = { at: Math.max(at, this.#now), sequence: this.#sequence++, event };
    let child = heap.length;
    heap.push(item);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      const above = heap[parent] as Scheduled<E>;
      if (!before(item, above)) break;
      heap[child] = above;
      child = parent;
    }
    heap[child] = item;
  }

  /** The next event, or undefined when none is left; moves `now` on. */
  take(): E | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined) return undefined;
    this.#now = first.at;
    const last = heap.pop() as Scheduled<E>;
    if (heap.length > 0) {
      let parent = 0;
      for (;;) {
        let child = 2 * parent + 1;
        if (child >= heap.length) break;
        const right = child + 1;
        if (right < heap.length && before(heap[right] as Scheduled<E>, heap[child] as Scheduled<E>))
          child = right;
        if (!before(heap[child] as Scheduled<E>, last)) break;
        heap[parent] = heap[child] as Scheduled<E>;
        parent = child;
      }
      heap[parent] = last;
    }
    return first.event;
  }
}

function before<E>(a: Scheduled<E>, b: Scheduled<E>): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}
