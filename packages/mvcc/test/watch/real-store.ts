/**
 * The real store in a virtual world, with bounds so small that ring, memtables, flushes and removal are all at work, and
 * beside it the model, which is given the same changes and says what truly happened.
 */
import {
  type EventBatch,
  type ImageSource,
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
    this.#store = this.#open();
  }

  #open(): MvccStore {
    const env = this.#env;
    return openStore({
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

  /** Sends its own state to a second store, lets that one go ahead, and takes its state back. */
  leap(revisions: readonly (readonly Change[])[], back: number): void {
    // The image must be newer, also when no change of these is one.
    const others = this.#open();
    this.#carry(this.#store, others);
    this.#index += 1;
    others.begin(this.#index, 1).commit();
    for (const changes of revisions) this.#change(this.#begin(others), changes).commit();
    this.model.leap(revisions, back);
    if (this.model.compactRevision > others.compactRevision) {
      const transaction = this.#begin(others);
      transaction.compact(this.model.compactRevision);
      transaction.commit();
    }
    this.#carry(others, this.#store);
  }

  #carry(from: MvccStore, to: MvccStore): void {
    const sink = to.receiveImage();
    const source = this.#answer<ImageSource | null>((done) => from.openImageSource(done))!;
    if (source.info.appliedIndex === 0) return;
    for (
      let chunk = this.#answer<Uint8Array | null>((done) => source.next(done));
      chunk !== null;
      chunk = this.#answer<Uint8Array | null>((done) => source.next(done))
    ) {
      this.#answer((done) => sink.write(chunk!, (error) => done(error, null)));
    }
    source.close();
    this.#answer((done) => sink.finish(done));
    this.#answer((done) => to.install(sink, (error) => done(error, null)));
  }

  /** Turns of the world, in which the hub has its share, until an answer comes. */
  #answer<T>(ask: (done: (error: Error | null, result: T) => void) => void): T {
    let answer: { value: T } | null = null;
    ask((error, value) => {
      if (error !== null) throw error;
      answer = { value };
    });
    for (let i = 0; answer === null; i++) {
      if (i > 10_000) throw new Error('no answer');
      this.#env.turn();
    }
    return (answer as { value: T }).value;
  }

  apply(...changes: readonly Change[]): EventBatch | null {
    const transaction = this.#change(this.#begin(), changes);
    this.model.apply(...changes);
    return transaction.commit();
  }

  #change(transaction: WriteTransaction, changes: readonly Change[]): WriteTransaction {
    for (const change of changes) {
      if ('put' in change) {
        const value = Buffer.from(change.value ?? '', 'latin1');
        transaction.put(Buffer.from(change.put, 'latin1'), value, change.lease ?? 0n);
      } else {
        transaction.deleteRange({ key: Buffer.from(change.delete, 'latin1'), end: null });
      }
    }
    return transaction;
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

  #begin(store = this.#store): WriteTransaction {
    this.#index += 1;
    for (;;) {
      try {
        return store.begin(this.#index, 1);
      } catch (error) {
        if (!(error instanceof StoreBusyError)) throw error;
        // The writer needs turns.
        this.#env.settle();
      }
    }
  }
}
