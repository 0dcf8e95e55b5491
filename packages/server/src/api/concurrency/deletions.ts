/**
 * Tells waiting calls when a key is gone: the one thing that a lock's queue waits for.
 *
 * Applied batches are looked through as they pass, so nothing is kept per waiting call but its callback, and a member
 * without waiting calls pays nothing. A store that took over another member's image has skipped events; a look at every key
 * waited for, once a second, finds what those would have told.
 */
import { Buffer } from 'node:buffer';
import type { EventBatch } from '@quorate/mvcc';
import type { Timer } from '../../env.ts';
import type { Member } from '../../member.ts';

const SWEEP_MS = 1_000;

interface Waiting {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly onGone: () => void;
}

export class Deletions {
  readonly #member: Pick<Member, 'env' | 'store' | 'ended'>;
  /** By key, one character per byte. */
  readonly #waiting = new Map<string, Set<Waiting>>();
  #sweep: Timer | null = null;

  constructor(member: Pick<Member, 'env' | 'store' | 'ended' | 'onApplied'>) {
    this.#member = member;
    member.onApplied((batch) => this.#onApplied(batch));
  }

  /** Calls that wait. */
  get size(): number {
    let size = 0;
    for (const set of this.#waiting.values()) size += set.size;
    return size;
  }

  /**
   * @param createRevision which life of the key is meant
   * @param onGone called once, in a turn in which the key's end is visible in the store
   * @returns gives up waiting; null when the key is gone already, and nothing will be called
   */
  wait(key: Uint8Array, createRevision: number, onGone: () => void): (() => void) | null {
    if (this.#isGone(key, createRevision)) return null;
    const name = nameOf(key);
    const waiting: Waiting = { key, createRevision, onGone };
    const set = this.#waiting.get(name) ?? new Set();
    set.add(waiting);
    this.#waiting.set(name, set);
    this.#schedule();
    return () => {
      set.delete(waiting);
      if (set.size === 0 && this.#waiting.get(name) === set) this.#waiting.delete(name);
      if (this.#waiting.size === 0) this.close();
    };
  }

  /** Nobody is called any more. */
  close(): void {
    this.#waiting.clear();
    this.#sweep?.cancel();
    this.#sweep = null;
  }

  #onApplied(batch: EventBatch): void {
    if (this.#waiting.size === 0) return;
    for (const event of batch.events) {
      if (event.type !== 'delete') continue;
      const name = nameOf(event.record.key);
      const set = this.#waiting.get(name);
      if (set === undefined) continue;
      this.#waiting.delete(name);
      for (const waiting of set) waiting.onGone();
    }
  }

  #isGone(key: Uint8Array, createRevision: number): boolean {
    return this.#member.store.get(key)?.createRevision !== createRevision;
  }

  #schedule(): void {
    this.#sweep ??= this.#member.env.setTimer(SWEEP_MS, () => {
      this.#sweep = null;
      if (this.#member.ended) return;
      for (const [name, set] of [...this.#waiting]) {
        for (const waiting of [...set]) {
          if (!this.#isGone(waiting.key, waiting.createRevision)) continue;
          set.delete(waiting);
          waiting.onGone();
        }
        if (set.size === 0 && this.#waiting.get(name) === set) this.#waiting.delete(name);
      }
      if (this.#waiting.size > 0) this.#schedule();
    });
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
