/**
 * The real store in a virtual world, with bounds so small that ring, memtables, flushes and removal are all at work, and
 * beside it the model, which is given the same changes and says what truly happened.
 */
import {
  type EventBatch,
  type MvccStore,
  memoryBackend,
  openStore,
  StoreBusyError,
  type WriteTransaction,
} from '@quorate/mvcc';
import type { SimEnv } from '@quorate/testing';
import type { Change, WatchedStore } from './model-store.ts';
import { ModelStore } from './model-store.ts';

export class RealStore implements WatchedStore {
  readonly model = new ModelStore();
  readonly #env: SimEnv;
  readonly #store: MvccStore;
  #index = 0;

  constructor(env: SimEnv) {
    this.#env = env;
    this.#store = openStore({
      storage: { backend: memoryBackend() },
      monotonicMs: () => env.monotonicMs(),
      afterPoll: (callback) => env.afterPoll(callback),
      inThread: true,
      limits: {
        memtableBytes: 8 << 10,
        flushBytes: 600,
        flushAfterMs: 50,
        headEntries: 40,
        headLagRecords: 60,
        headPartEntries: 5,
        ringBytes: 500,
        removeSliceRecords: 4,
        blockKeys: 4,
      },
    });
  }

  get revision(): number {
    return this.#store.revision;
  }

  get compactRevision(): number {
    return this.#store.compactRevision;
  }

  apply(...changes: readonly Change[]): EventBatch | null {
    const transaction = this.#begin();
    for (const change of changes) {
      if ('put' in change) {
        const value = Buffer.from(change.value ?? '', 'latin1');
        transaction.put(Buffer.from(change.put, 'latin1'), value, change.lease ?? 0n);
      } else {
        transaction.deleteRange({ key: Buffer.from(change.delete, 'latin1'), end: null });
      }
    }
    this.model.apply(...changes);
    return transaction.commit();
  }

  compact(revision: number): void {
    const transaction = this.#begin();
    transaction.compact(revision);
    transaction.commit();
    this.model.compact(revision);
  }

  readEvents(from: number, maxBytes: number): ReturnType<MvccStore['readEvents']> {
    return this.#store.readEvents(from, maxBytes);
  }

  getAt(key: Uint8Array, revision: number): ReturnType<MvccStore['getAt']> {
    return this.#store.getAt(key, revision);
  }

  #begin(): WriteTransaction {
    this.#index += 1;
    for (;;) {
      try {
        return this.#store.begin(this.#index, 1);
      } catch (error) {
        if (!(error instanceof StoreBusyError)) throw error;
        // The writer needs turns.
        this.#env.settle();
      }
    }
  }
}
