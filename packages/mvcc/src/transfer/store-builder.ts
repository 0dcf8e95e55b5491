/**
 * Building a store from records in a folder of its own: restoring and migrating.
 *
 * The work is done in the calling thread: this is for tools. A serving member receives images through `Store.receiveImage`, which builds in a thread of its own.
 */
import type { Backend } from '../backend/backend.ts';
import { BackendError } from '../backend/backend.ts';
import { lmdbBackend } from '../backend/lmdb/backend.ts';
import { holdsStore } from '../backend/lmdb/folder.ts';
import { DEFAULT_LIMITS, mapSizeFor, type StoreOptions } from '../options.ts';
import { BuildCore } from './build-core.ts';
import type { ImageInfo, ImageRecord, StoreBuilder } from './types.ts';

export interface BuildOptions {
  /** A folder that holds no store yet (made when missing), or a backend such as `memoryBackend()`. */
  readonly storage: StoreOptions['storage'];
  /** Runs `callback` in a later turn: `finish` answers there. */
  readonly afterPoll: (callback: () => void) => void;
  readonly mapSizeBytes?: number;
  readonly limits?: { readonly blockKeys?: number };
}

/** @throws BackendError with code EXISTS when the folder holds a store */
export function buildStore(options: BuildOptions): StoreBuilder {
  const { storage } = options;
  const blockKeys = options.limits?.blockKeys ?? DEFAULT_LIMITS.blockKeys;
  if ('backend' in storage) return new LocalBuilder(storage.backend, blockKeys, options.afterPoll);
  const { directory } = storage;
  if (holdsStore(directory)) throw new BackendError('EXISTS', `${directory} holds a store already`);
  const backend = lmdbBackend({ directory, mapSizeBytes: options.mapSizeBytes ?? mapSizeFor(0) });
  return new LocalBuilder(backend, blockKeys, options.afterPoll);
}

const NAME = 'build';

class LocalBuilder implements StoreBuilder {
  readonly #backend: Backend;
  readonly #core: BuildCore;
  readonly #afterPoll: (callback: () => void) => void;
  #state: 'open' | 'finishing' | 'over' = 'open';

  constructor(backend: Backend, blockKeys: number, afterPoll: (callback: () => void) => void) {
    this.#backend = backend;
    this.#core = new BuildCore(backend.createFresh(NAME), blockKeys);
    this.#afterPoll = afterPoll;
  }

  putMeta(table: string, key: Uint8Array, value: Uint8Array): void {
    this.#attempt(() => this.#core.putMeta(table, key, value));
  }

  addRecords(records: readonly ImageRecord[]): void {
    this.#attempt(() => {
      for (const record of records) this.#core.add(record);
    });
  }

  #attempt(work: () => void): void {
    if (this.#state !== 'open') throw new Error('the builder has ended');
    try {
      work();
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  finish(info: ImageInfo, done: (error: Error | null) => void): void {
    const end = (error: Error | null): void => {
      if (error !== null) this.abort();
      this.#state = 'over';
      this.#afterPoll(() => done(error));
    };
    if (this.#state !== 'open') {
      this.#afterPoll(() => done(new Error('the builder has ended')));
      return;
    }
    this.#state = 'finishing';
    try {
      this.#core.finish(info, (error) => {
        if (error !== null) {
          end(error);
          return;
        }
        try {
          this.#backend.adoptFresh(NAME, () => {});
          end(null);
        } catch (failure) {
          end(failure as Error);
        }
      });
    } catch (error) {
      end(error as Error);
    }
  }

  abort(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#core.abort();
  }
}
