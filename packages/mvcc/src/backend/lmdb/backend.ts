/**
 * LMDB as the ordered byte store.
 *
 * Files in the store's folder: `store-000001.mdb` and its lock file. Each defragmentation makes the next number: the copy is
 * written as `store-000002.tmp`, synced, renamed, the folder synced; only then is the old one removed. A store that is built anew beside it is
 * `fresh-NAME.tmp` until it takes the next number in the same way. At start the highest number wins and everything else is removed.
 *
 * Settings that are promises: no `useWritemap` (a full disk would raise SIGBUS), no overlapping sync (a returned commit is durable), the map
 * reserved up front. LMDB truncated behind its back raises SIGBUS on a read, so sizes are checked before it is opened.
 */
import { renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type {
  AdoptPlace,
  Backend,
  BackendCopy,
  BackendReader,
  BackendWriter,
  FreshDatabase,
} from '../backend.ts';
import { copyFile } from './copy.ts';
import { backendError } from './errors.ts';
import { fileName, freshPath, makeDirectory, newestOf, removeFiles, storeFiles, syncPath } from './folder.ts';
import { type Opened, openFile } from './open.ts';
import { LmdbReader } from './reader.ts';
import { LmdbWriter } from './writer.ts';

export interface LmdbOptions {
  readonly directory: string;
  readonly mapSizeBytes: number;
}

/** Opens the folder at start: nobody else may use it, for what a crash left behind is removed. */
export function lmdbBackend(options: LmdbOptions): Backend {
  makeDirectory(options.directory);
  const names = storeFiles(options.directory);
  const newest = newestOf(names);
  for (const name of names) {
    if (!name.startsWith(`${fileName(newest)}.mdb`)) rmSync(join(options.directory, name));
  }
  return new LmdbBackend(options, newest);
}

/** The same folder again, for another thread or after a move: removes nothing. */
export function lmdbBackendAgain(options: LmdbOptions): Backend {
  return new LmdbBackend(options, newestOf(storeFiles(options.directory)));
}

/** Removes a fresh database whose maker ended without doing so. */
export function removeFresh(directory: string, name: string): void {
  removeFiles(freshPath(directory, name));
}

class LmdbBackend implements Backend {
  readonly #options: LmdbOptions;
  readonly #generation: number;

  constructor(options: LmdbOptions, generation: number) {
    this.#options = options;
    this.#generation = generation;
  }

  get #path(): string {
    return join(this.#options.directory, `${fileName(this.#generation)}.mdb`);
  }

  openReader(): BackendReader {
    return new LmdbReader(openFile(this.#path, this.#options.mapSizeBytes));
  }

  openWriter(): BackendWriter {
    return new LmdbWriter(openFile(this.#path, this.#options.mapSizeBytes), this.#options.directory);
  }

  copyCompact(done: (error: Error | null, copy: BackendCopy | null) => void): () => void {
    const next = this.#generation + 1;
    const path = join(this.#options.directory, `${fileName(next)}.tmp`);
    removeFiles(path);
    const { mapSizeBytes } = this.#options;
    // First what may fail, on a full disk: the other would stay open.
    const to = openFile(path, mapSizeBytes, true);
    return copyFile(openFile(this.#path, mapSizeBytes), to, (error) => {
      if (error === null) done(null, new LmdbCopy(this.#options, path, this.#path, next));
      else {
        removeFiles(path);
        done(backendError(error), null);
      }
    });
  }

  createFresh(name: string): FreshDatabase {
    return new LmdbFresh(freshPath(this.#options.directory, name), this.#options);
  }

  adoptFresh(name: string, visit: (place: AdoptPlace) => void): Backend {
    const path = freshPath(this.#options.directory, name);
    return adoptFile(this.#options, path, this.#path, this.#generation + 1, visit);
  }
}

class LmdbFresh implements FreshDatabase {
  readonly reader: BackendReader;
  readonly writer: BackendWriter;
  readonly #opened: Opened;
  readonly #path: string;
  #closed: Promise<void> | null = null;

  constructor(path: string, options: LmdbOptions) {
    removeFiles(path);
    // Nothing of it counts before `seal`, so no transaction needs a sync of its own.
    this.#opened = openFile(path, options.mapSizeBytes, true);
    this.#path = path;
    this.reader = new LmdbReader(this.#opened);
    this.writer = new LmdbWriter(this.#opened, options.directory);
  }

  /** LMDB shares what two openings of one file have, settings too: the file must be closed before anybody else opens it. */
  #close(): Promise<void> {
    this.#closed ??= this.#opened.root.close();
    return this.#closed;
  }

  seal(done: (error: Error | null) => void): void {
    this.#close()
      .then(() => {
        syncPath(this.#path);
        syncPath(dirname(this.#path));
        rmSync(`${this.#path}-lock`, { force: true });
      })
      .then(
        () => done(null),
        (error: unknown) => done(backendError(error)),
      );
  }

  discard(): void {
    void this.#close();
    removeFiles(this.#path);
  }
}

class LmdbCopy implements BackendCopy {
  readonly #options: LmdbOptions;
  readonly #path: string;
  readonly #oldPath: string;
  readonly #generation: number;

  constructor(options: LmdbOptions, path: string, oldPath: string, generation: number) {
    this.#options = options;
    this.#path = path;
    this.#oldPath = oldPath;
    this.#generation = generation;
  }

  openWriter(): BackendWriter {
    return new LmdbWriter(openFile(this.#path, this.#options.mapSizeBytes), this.#options.directory);
  }

  adopt(visit: (place: AdoptPlace) => void): Backend {
    return adoptFile(this.#options, this.#path, this.#oldPath, this.#generation, visit);
  }

  discard(): void {
    removeFiles(this.#path);
  }
}

/** Makes the file at `path` generation `generation`, the newest: from then on it is the one that is opened. */
function adoptFile(
  options: LmdbOptions,
  path: string,
  oldPath: string,
  generation: number,
  visit: (place: AdoptPlace) => void,
): Backend {
  try {
    syncPath(path);
    visit('beforeRename');
    renameSync(path, join(options.directory, `${fileName(generation)}.mdb`));
    visit('beforeDirectorySync');
    syncPath(options.directory);
    visit('afterDirectorySync');
    removeFiles(path);
    // Readers that have the old file open keep it until they close it.
    removeFiles(oldPath);
  } catch (error) {
    throw backendError(error);
  }
  return new LmdbBackend(options, generation);
}
